#!/usr/bin/env python3
"""churn.py COUNT COMMAND: start the exporter, let COUNT containers live for a moment while it is scraped, print what is left."""
import http.client
import shlex
import subprocess
import sys
import time

PORT = 27180


def scrape():
    connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=30)
    connection.request("GET", "/metrics")
    return connection.getresponse().read().decode()


def state(pid, page):
    status = {l.split(":")[0]: l.split()[1] for l in open(f"/proc/{pid}/status") if l.startswith(("VmRSS", "VmHWM"))}
    value = lambda name: next(float(l.rsplit(" ", 1)[1]) for l in page.splitlines() if l.startswith(name + " "))
    series = sum(1 for l in page.splitlines() if l.startswith("container_"))
    ids = sum(1 for l in page.splitlines() if l.startswith("container_last_seen{"))
    return {"cgroups": ids, "series": series, "descriptors": int(value("process_open_fds")),
            "RSS MiB": round(int(status["VmRSS"]) / 1024, 2), "peak MiB": round(int(status["VmHWM"]) / 1024, 2)}


def shown(page):
    return sum(1 for l in page.splitlines() if l.startswith("container_last_seen{") and 'image="bongsu-bench:1"' in l)


def main():
    count, command = int(sys.argv[1]), shlex.split(sys.argv[2])
    exporter = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        time.sleep(1)
        for _ in range(20):
            page = scrape()
        rows, began, seen = [("before", state(exporter.pid, page))], time.time(), 0
        run = "docker run -d --rm --label bongsu-bench --label bongsu-churn bongsu-bench:1 /bin/busybox sleep 1"
        for done in range(0, count, 4):
            starters = [subprocess.Popen(run.split(), stdout=subprocess.DEVNULL) for _ in range(4)]
            for starter in starters:
                starter.wait()
            page = scrape()
            seen += shown(page)
            if done and done % (count // 4) < 4:
                rows.append((f"after {done}", state(exporter.pid, page)))
                print(rows[-1], f"{time.time() - began:.0f} s", flush=True)
        while subprocess.run(["docker", "ps", "-aq", "--filter", "label=bongsu-churn"], capture_output=True).stdout:
            time.sleep(1)
        time.sleep(2)
        page = scrape()
        rows.append(("at the end", state(exporter.pid, page)))
        print(f"{count} containers in {time.time() - began:.0f} s, seen {seen} times, {shown(page)} left at the end")
        print("| | " + " | ".join(rows[0][1]) + " |")
        print("|---" * (len(rows[0][1]) + 1) + "|")
        for name, row in rows:
            print(f"| {name} | " + " | ".join(str(v) for v in row.values()) + " |")
    finally:
        exporter.terminate()
        exporter.wait()


main()
