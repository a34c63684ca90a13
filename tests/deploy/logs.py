"""logs.py REPOSITORY [PARITY]: the log path as far as it can be run without Elastic's programs.

The patterns of deploy/logstash/patterns, expanded as grok does and run by Oniguruma, the engine that Logstash uses, on
recorded log lines; Filebeat's multiline settings on the same files; the fields that dashboards and saved searches ask for
beside the index template. Standard patterns come with PyPI's pygrok. Prints what is wrong; exit 1 then.
"""

import glob
import json
import os
import re
import sys

import onigurumacffi
import pygrok
import yaml

root = sys.argv[1]
parity = sys.argv[2] if len(sys.argv) > 2 else os.path.join(root, "../shared/parity")
results = []


def check(what, good, details=()):
    print("ok   " if good else "FAIL ", what)
    for detail in list(details)[:5] if not good else ():
        print("     ", detail)
    results.append(bool(good))


def definitions(file):
    for line in open(file, encoding="utf-8"):
        if line.strip() and not line.startswith("#"):
            name, pattern = line.rstrip("\n").split(" ", 1)
            yield name, pattern


library = {}
for file in [f"{os.path.dirname(pygrok.__file__)}/patterns/grok-patterns", *sorted(glob.glob(f"{root}/deploy/logstash/patterns/*"))]:
    library.update(definitions(file))


def expand(pattern, depth=0):
    assert depth < 30, f"{pattern}: refers to itself"

    def one(found):
        name, field = found.group(1), found.group(2)
        body = expand(library[name], depth + 1)
        return f"(?<{field}>{body})" if field else f"(?:{body})"

    return re.sub(r"%\{(\w+)(?::(\w+))?\}", one, pattern)


conf = open(f"{root}/deploy/logstash/pipeline/logstash.conf").read()
sections = dict(re.findall(r'if \[fields\]\[service\] == "(\w+)" \{(.*?)\n  \}\n', conf.split("\noutput {")[0], re.S))
matchers, names = {}, {}
for service, section in sections.items():
    listed = re.search(r'match => \{ "message" => \[(.*?)\] \}', section).group(1)
    patterns = re.findall(r"'(\^%\{\w+\})'", listed)
    # Where groups have names, Oniguruma numbers those alone, from left to right.
    matchers[service] = [(onigurumacffi.compile(e), re.findall(r"\(\?<(\w+)>", e)) for e in map(expand, patterns)]
    names[service] = {f for p in patterns for f in re.findall(r"\?<(\w+)>", expand(p))}
check("every service of filebeat.yml has patterns", set(matchers) == {"nginx", "mysql", "wordpress"})
for service, section in sections.items():
    # A pattern's field that is neither renamed, a date, nor removed would go to the index under its bare name.
    handled = set(re.findall(r'"(\w+)" =>', section)) | set(re.findall(r'match => \[ "(\w+)"', section)) | {w for l in re.findall(r"remove_field => \[([^\]]*)\]", section) for w in re.findall(r'"(\w+)"', l)}
    check(f"{service}: every field of its patterns is named for the index or removed", names[service] - {"bad_request", "request"} <= handled, names[service] - handled)
check("no pattern of the pipeline has two backslashes", "\\\\\\\\" not in conf)

beats = yaml.safe_load(open(f"{root}/deploy/filebeat/filebeat.yml"))
joins = {}
for template in beats["filebeat.autodiscover"]["providers"][0]["templates"]:
    config = template["config"][0]
    joins[config["fields"]["service"]] = next((p["multiline"] for p in config["parsers"] if "multiline" in p), None)


def events(service, text):
    """Filebeat's type `pattern`, match `after`."""
    lines, rule, out = text.rstrip("\n").split("\n"), joins[service], []
    for line in lines:
        starts = not rule or bool(re.search(rule["pattern"], line)) == rule["negate"]
        if rule and not starts and out:
            out[-1] += "\n" + line
        else:
            out.append(line)
    return out


def take(service, event):
    for matcher, fields in matchers[service]:
        found = matcher.match(event)
        if found:
            return {field: found.group(i + 1) for i, field in enumerate(fields)}
    return None


samples = f"{parity}/log/samples"
if not os.path.isdir(samples):
    print(f"skipped: {samples} is not here")
else:
    def read(name):
        return open(f"{samples}/{name}", encoding="utf-8", errors="replace").read()

    for name in ("nginx_access_combined.log", "nginx_access_with_request_time.log", "nginx_error.log"):
        lines = events("nginx", read(name))
        lost = [line for line in lines if not take("nginx", line)]
        check(f"{name}: all of {len(lines)} lines are taken", not lost, lost)
    timed = read("nginx_access_with_request_time.log").splitlines()
    wrong = []
    for line in timed:
        found = take("nginx", line)
        seconds = line.rsplit(" ", 2)[1]
        want = re.search(r'" (\d{3}) \d+ "', line).group(1)
        if found["status"] != want or found["seconds"] != seconds:
            wrong.append(line)
    check(f"status and seconds are right in {len(timed)} lines", not wrong, wrong)

    error = read("mariadb_error.log")
    joined = events("mysql", error)
    dated = len(re.findall(r"^\d{4}-\d{2}-\d{2}[T ]", error, re.M))
    lost = [e for e in joined if re.match(r"\d{4}-", e) and not take("mysql", e)]
    check(f"mariadb_error.log: {dated} events, all taken", len([e for e in joined if re.match(r"\d{4}-", e)]) == dated and not lost, lost)
    slow = read("mariadb_slow.log")
    queries = [e for e in events("mysql", slow) if e.startswith("# User@Host")]
    times = re.findall(r"^# Query_time: ([0-9.]+)", slow, re.M)
    got = [take("mysql", q) for q in queries]
    check(f"mariadb_slow.log: {len(times)} queries are {len(queries)} events with their times", [g and g["query_seconds"] for g in got] == times)
    check("each has its own text and moment", all(g and g["query"].strip() and g["when_unix"].isdigit() for g in got))

    php = read("wordpress_debug.log")
    php_events = sum(line.startswith("[") for line in php.splitlines())
    joined = events("wordpress", php)
    lost = [e for e in joined if not take("wordpress", e)]
    check(f"wordpress_debug.log: {php_events} events, all taken", len(joined) == php_events and not lost, lost)
    traces = [e for e in joined if "Stack trace" in e]
    check(f"{len(traces)} stack traces stay with their errors", traces and all("#1 " in e and (take("wordpress", e)["level"] == "Fatal error") == ("thrown in" in e) for e in traces), traces)

for service, line, field, want in [
    ("mysql", "2026-11-22T16:11:27.662123Z 8 [Warning] [MY-010055] [Server] IP address '1.2.3.4' could not be resolved", "code", "MY-010055"),
    ("mysql", "2026-11-22  6:11:27 8 [Warning] Aborted connection 8", "level", "Warning"),
    ("wordpress", "[Sun Nov 22 16:11:27.123456 2026] [php:error] [pid 7] [client 10.0.0.1:1] PHP Fatal error: x", "level", "error"),
    ("wordpress", '172.18.0.3 - - [22/Nov/2026:16:11:27 +0000] "GET / HTTP/1.0" 302 - "-" "curl"', "status", "302"),
]:
    found = take(service, line)
    check(f"{service}: {line[:40]} …", found and found[field] == want)

template = json.load(open(f"{root}/deploy/elasticsearch/template.json"))["template"]["mappings"]["properties"]


def kind(field):
    at = {"properties": template}
    for part in field.split("."):
        at = at.get("properties", {}).get(part)
        if at is None:
            return "keyword"  # dynamic_templates
    return at.get("type", "object")


board = json.load(open(f"{root}/deploy/grafana/dashboards/bongsu-elasticsearch.json"))
grouped = {a["field"] for p in board["panels"] for t in p["targets"] for a in t["bucketAggs"] if a["type"] == "terms"}
check("what the dashboard groups by is no full text", all(kind(f) != "text" for f in grouped), grouped)
mapped = set(re.findall(r'"\[([\w\]\[]+)\]"', conf))
indexed = {m.replace("][", ".") for m in mapped} | {"@timestamp", "tags", "message", "log.level", "service.name"}
asked = grouped | {m["field"] for p in board["panels"] for t in p["targets"] for m in t["metrics"] if "field" in m}
saved = [json.loads(line) for line in open(f"{root}/deploy/kibana/saved-objects.ndjson")]
ids = {o["id"] for o in saved}
for o in saved:
    if o["type"] == "search":
        asked |= set(o["attributes"]["columns"])
        source = json.loads(o["attributes"]["kibanaSavedObjectMeta"]["searchSourceJSON"])
        asked |= set(re.findall(r"([\w.]+) (?::|>)", source["query"]["query"]))
check("every field that Grafana and Kibana ask for is made by the pipeline", asked <= indexed, asked - indexed)
check("saved objects refer to what is there", all(r["id"] in ids for o in saved for r in o["references"]))

failed = results.count(False)
print(f"test result: {'FAILED' if failed else 'ok'}. {len(results) - failed} passed; {failed} failed; 0 ignored")
sys.exit(bool(failed))
