#!/usr/bin/env python3
"""scrape.py SCRAPES NAME=PORT=COMMAND ...: start each command, scrape it as Prometheus does, print what that costs.

CPU is the process's own time from /proc/PID/stat, memory from /proc/PID/status. The commands run one after the other, twice
each in turn, so that a drift of the machine's speed meets all; the lower CPU of the two is printed."""
import http.client
import os
import shlex
import socket
import subprocess
import sys
import threading
import time

HEADERS = {"Accept-Encoding": "gzip", "Accept": "text/plain;version=0.0.4;q=0.5", "X-Prometheus-Scrape-Timeout-Seconds": "10"}
TICK = os.sysconf("SC_CLK_TCK")


def cpu(pid):
    fields = open(f"/proc/{pid}/stat").read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / TICK


def status(pid, key):
    for line in open(f"/proc/{pid}/status"):
        if line.startswith(key + ":"):
            return int(line.split()[1])
    return 0


def mib(pid, key):
    return status(pid, key) / 1024


def scrape(connection):
    connection.request("GET", "/metrics", headers=HEADERS)
    answer = connection.getresponse()
    body = answer.read()
    if answer.status != 200:
        sys.exit(f"status {answer.status}")
    return len(body)


def measure(command, port, scrapes):
    began = time.time()
    process = subprocess.Popen(shlex.split(command), stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        while True:
            try:
                socket.create_connection(("127.0.0.1", port), 1).close()
                break
            except OSError:
                if process.poll() is not None or time.time() - began > 30:
                    sys.exit(f"{command}: did not start")
                time.sleep(0.002)
        idle = mib(process.pid, "VmRSS")
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
        size = scrape(connection)
        first = time.time() - began
        for _ in range(20):
            scrape(connection)
        before, began = cpu(process.pid), time.time()
        for _ in range(scrapes):
            scrape(connection)
        used, wall = cpu(process.pid) - before, time.time() - began
        after, threads = mib(process.pid, "VmRSS"), status(process.pid, "Threads")

        def loop():
            mine = http.client.HTTPConnection("127.0.0.1", port, timeout=30)
            for _ in range(max(scrapes // 20, 5)):
                scrape(mine)

        parallel = [threading.Thread(target=loop) for _ in range(8)]
        for thread in parallel:
            thread.start()
        for thread in parallel:
            thread.join()
        before = cpu(process.pid)
        time.sleep(2)
        rest = (cpu(process.pid) - before) / 2
        return {"cpu": used / scrapes * 1e3, "wall": wall / scrapes * 1e3, "first": first * 1e3, "idle": idle, "after": after,
                "peak": mib(process.pid, "VmHWM"), "size": size, "threads": threads, "rest": rest * 1e3}
    finally:
        process.terminate()
        process.wait()


def main():
    scrapes = int(sys.argv[1])
    targets = [argument.split("=", 2) for argument in sys.argv[2:]]
    best = {}
    for _ in range(2):
        for name, port, command in targets:
            seen = measure(command, int(port), scrapes)
            if name not in best or seen["cpu"] < best[name]["cpu"]:
                best[name] = seen
    print(f"load average {open('/proc/loadavg').read().split()[0]}, {scrapes} scrapes each, gzip")
    print("| | CPU ms/scrape | wall ms | start to first answer ms | RSS idle MiB | RSS after MiB | peak of 8 scrapers MiB | CPU ms/s at rest |")
    print("|---|---|---|---|---|---|---|---|")
    for name, row in best.items():
        print(f"| {name} | {row['cpu']:.2f} | {row['wall']:.2f} | {row['first']:.0f} | {row['idle']:.1f} | {row['after']:.1f} | {row['peak']:.1f} | {row['rest']:.1f} |")
    names = list(best)
    for other in names[1:]:
        print(f"CPU {other} / {names[0]}: {best[other]['cpu'] / best[names[0]]['cpu']:.1f}")


main()
