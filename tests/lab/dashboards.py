"""dashboards.py PROMETHEUS REPOSITORY [PARITY]: every expression of our dashboards, and the public dashboards that must work
unmodified, asked of a running Prometheus.

A line `ok` or `FAIL` each, and the totals as the test runner reads them. Our expressions: none refused, and each has an
answer but for those in ABSENT, which say why. Public dashboards: at least as many of their metrics and expressions have
data as with the Go exporters (BASELINE.tsv), but for what BELOW explains.
"""

import glob
import json
import os
import re
import sys
import time
import urllib.parse
import urllib.request

# What this lab cannot have data for, by a pattern in the expression, and why.
ABSENT = {
    r"container_(spec_memory_limit|network)|container_cpu_cfs_throttled|instance_name:container|name!=": "a lab without Docker has no containers with names or limits",
    r"slave_status": "no replica here",
    r"node_hwmon": "no sensors in a virtual machine",
    r"node_pressure": "only where the kernel measures pressure",
    r"\bALERTS\b": "only while something fires",
    r"offset \d+m|\[\d+d\]": "only in a lab that has run for a while",
    r"[=<>]=? *[0-9.]+$": "only while something is wrong",
}
# Services that may be left out of a lab, and what only they give.
ONLY_WITH = {
    "log-exporter": r"nginx_http_response|\blog_|log_exporter|\bweb:|job=\"log",
    "custom-exporter": r"wordpress_|custom_",
}
# The kernel of the machine on which the baseline was taken has more than another may have.
SLACK = {"1860-node-exporter-full": 12}
# Seconds that a lab which has just come up gets for its first data.
PATIENCE = 120


def query(prometheus, expression):
    url = f"{prometheus}/api/v1/query?" + urllib.parse.urlencode({"query": expression})
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return len(json.load(answer)["data"]["result"])
    except urllib.error.HTTPError as refused:
        return json.load(refused)["error"]


def expressions(dashboard):
    for panel in dashboard.get("panels", []):
        for target in panel.get("targets", []):
            if "expr" in target:
                yield panel.get("title", "?"), target["expr"]


def resolve(expression, instance, job):
    """Grafana's variables as it would fill them in for this lab."""
    for name, value in {
        "$__rate_interval": "30s", "$__interval": "30s", "$interval": "30s", "$__range": "5m", "$diskdevices": "[a-z]+|nvme[0-9]+n[0-9]+|mmcblk[0-9]+",
        "$instance": instance, "$node": instance, "$host": instance, "$job": job, "$container": ".*", "$name": ".*", "$nodename": ".*",
    }.items():
        expression = re.sub(re.escape(name) + r"(?![a-zA-Z_])", lambda _: value, expression)
    return expression


def main():
    prometheus, repository = sys.argv[1], sys.argv[2]
    parity = sys.argv[3] if len(sys.argv) > 3 else os.path.join(repository, "../shared/parity")
    results = []

    def check(what, good, details=()):
        print("ok   " if good else "FAIL ", what)
        for detail in details if not good else ():
            print("     ", detail)
        results.append(good)

    up = {t["labels"]["job"] for t in json.load(urllib.request.urlopen(f"{prometheus}/api/v1/targets"))["data"]["activeTargets"]}
    absent = list(ABSENT) + [pattern for service, pattern in ONLY_WITH.items() if service not in up]

    def ask(file):
        refused, empty, asked = [], [], 0
        for title, expression in expressions(json.load(open(file))):
            asked += 1
            answer = query(prometheus, resolve(expression, ".*", ".*"))
            if isinstance(answer, str):
                refused.append(f"{title}: {expression}: {answer}")
            elif answer == 0 and not any(re.search(pattern, expression) for pattern in absent):
                empty.append(f"{title}: {expression}")
        return refused, empty, asked

    # Rates and recording rules need some scrapes first, and sources with an interval their turn.
    patience = time.monotonic() + PATIENCE
    for file in sorted(glob.glob(f"{repository}/deploy/grafana/dashboards/*.json")):
        refused, empty, asked = ask(file)
        while empty and time.monotonic() < patience:
            time.sleep(3)
            refused, empty, asked = ask(file)
        check(f"{os.path.basename(file)}: none of {asked} expressions is refused", not refused, refused)
        check(f"{os.path.basename(file)}: every expression that can have data has some", not empty, empty)

    names = set(json.load(urllib.request.urlopen(f"{prometheus}/api/v1/label/__name__/values"))["data"])
    baseline = os.path.join(parity, "dashboards/BASELINE.tsv")
    if not os.path.exists(baseline):
        print(f"skipped: {baseline} is not here")
    else:
        lines = open(baseline).read().splitlines()
        counts = {name: int(count) for name, count in (line.split("\t") for line in lines if not line.startswith("#"))}
        wanted_data = {m[0]: int(m[1]) for m in re.findall(r"(\S+?)(?:\(\d+\))? (\d+)/\d+", " ".join(line for line in lines if line.startswith("#")))}
        named = any("container_last_seen{" in n for n in names) or query(prometheus, 'container_last_seen{name!=""}')
        for name, count in counts.items():
            metrics = [line.split("\t")[0] for line in open(f"{parity}/dashboards/{name}.txt") if line.strip() and not line.startswith("#")]
            here = [m for m in metrics if m in names]
            least = count - SLACK.get(name, 0)
            check(f"dashboard {name}: {len(here)} of its {len(metrics)} metrics (Go exporters: {count})", len(here) >= least, sorted(set(metrics) - set(here)))
            if not named and name in ("14282-cadvisor", "193-docker-monitoring"):
                print(f"skipped: expressions of {name} want containers with names")
                continue
            queries = [line.split("\t", 1)[1].rstrip("\n") for line in open(f"{parity}/dashboards/{name}.exprs") if line.startswith("expr\t")]
            part = {"1860": "node_uname_info", "7362": "mysql_up", "mysqld": "mysql_up", "12708": "nginx_up"}.get(name.split("-")[0])
            instance = job = ".*"
            if part:
                found = json.load(urllib.request.urlopen(f"{prometheus}/api/v1/query?query={part}"))["data"]["result"]
                instance, job = found[0]["metric"]["instance"], found[0]["metric"]["job"]
            answers = [query(prometheus, resolve(q, instance, job)) for q in queries]
            refused = [f"{q}: {a}" for q, a in zip(queries, answers) if isinstance(a, str)]
            data = sum(1 for a in answers if isinstance(a, int) and a > 0)
            least = next((v for k, v in wanted_data.items() if name.startswith(k)), 0) - SLACK.get(name, 0)
            check(f"dashboard {name}: none of its expressions is refused", not refused, refused)
            check(f"dashboard {name}: {data} of {len(queries)} expressions have data (Go exporters: {least + SLACK.get(name, 0)})", data >= least,
                  [q for q, a in zip(queries, answers) if a == 0])

    failed = results.count(False)
    print(f"test result: {'FAILED' if failed else 'ok'}. {len(results) - failed} passed; {failed} failed; 0 ignored")
    sys.exit(bool(failed))


main()
