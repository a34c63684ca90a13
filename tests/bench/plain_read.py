#!/usr/bin/env python3
"""plain_read.py ROUNDS PORT COMMAND: the floor of a scrape that opens its sources anew each time.

Follows one scrape of COMMAND with strace, then opens, reads to the end and closes the same kernel files ROUNDS times. Prints
the system's time alone, so that this script's own work does not count."""
import http.client
import os
import re
import resource
import shlex
import signal
import socket
import subprocess
import sys
import tempfile
import time

OPENED = re.compile(r'openat\(AT_FDCWD[^,]*, "(/(?:proc|sys)/[^"]*)", ([A-Z_|]+).*\) = \d+')


def sources(port, command):
    server = subprocess.Popen(shlex.split(command), stderr=subprocess.DEVNULL)
    try:
        for _ in range(500):
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                time.sleep(0.02)
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)

        def scrape():
            connection.request("GET", "/metrics")
            connection.getresponse().read()

        scrape()  # what is read once in a life is no part of a scrape
        with tempfile.NamedTemporaryFile("r") as trace:
            follow = ["strace", "-f", "-qq", "-e", "trace=openat", "-o", trace.name, "-p", str(server.pid)]
            strace = subprocess.Popen(follow, stderr=subprocess.DEVNULL)
            time.sleep(1)  # until it holds every thread
            scrape()
            strace.send_signal(signal.SIGINT)
            strace.wait(20)
            found = OPENED.findall(trace.read())
    finally:
        server.kill()
        server.wait()
    own = re.compile(r"^/proc/(self|\d+)/(stat|status|limits|fd)$")
    return [path for path, flags in found if "O_DIRECTORY" not in flags and not own.match(path)]


def read_all(paths):
    for path in paths:
        try:
            file = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
        except OSError:
            continue
        try:
            while os.read(file, 65536):
                pass
        except OSError:
            pass
        os.close(file)


def main():
    rounds, port, command = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3]
    paths = sources(port, command)
    if not paths:
        sys.exit("strace saw no file opened")
    read_all(paths)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_stime
    for _ in range(rounds):
        read_all(paths)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_stime - before
    print(f"plain open, read, close of the {len(paths)} files of a scrape: {used / rounds * 1e3:.2f} ms of system time")


main()
