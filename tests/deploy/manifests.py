"""Rules of this project for rendered Kubernetes objects, beyond their schema. Prints what is wrong; exit 1 then."""

import glob
import re
import sys

import yaml

ROOT_ALLOWED = {"container-exporter", "log-exporter"}  # the host's cgroups, sockets and log files are root's
CAPABILITIES = {"log-exporter": ["DAC_READ_SEARCH"]}
# The one folder of the host that a service may write to: positions in the node's log files.
WRITES = {"log-exporter": "/var/lib/log-exporter"}


def pods(objects):
    for o in objects:
        if o["kind"] in ("Deployment", "DaemonSet", "StatefulSet", "Job"):
            yield o, o["spec"]["template"]


def problems(objects, root):
    targets = set(re.findall(r"^FROM scratch AS (\S+)", open(f"{root}/deploy/Dockerfile").read(), re.M))
    claimed = set()
    for o in objects:
        if o["kind"] not in ("Namespace", "ClusterRole", "ClusterRoleBinding") and o["metadata"].get("namespace") != "bongsu":
            yield f"{o['kind']} {o['metadata']['name']} is in no namespace"
    for o, pod in pods(objects):
        name, spec = o["metadata"]["name"], pod["spec"]
        labels = pod["metadata"]["labels"]
        wanted = o["spec"]["selector"]["matchLabels"]
        if not wanted.items() <= labels.items():
            yield f"{name}: the selector does not match its own pods"
        if spec.get("automountServiceAccountToken") is not False:
            yield f"{name}: gets a token that it does not need"
        security = spec.get("securityContext", {})
        if security.get("seccompProfile", {}).get("type") != "RuntimeDefault":
            yield f"{name}: no seccomp profile"
        if name not in ROOT_ALLOWED and not security.get("runAsNonRoot"):
            yield f"{name}: may run as root"
        volumes = {v["name"] for v in spec.get("volumes", [])}
        for c in spec["containers"]:
            image, tag = c["image"].rsplit(":", 1) if ":" in c["image"] else (c["image"], "")
            if not re.fullmatch(r"\d+\.\d+\.\d+", tag):
                yield f"{name}: image {c['image']} is not pinned"
            if image.removeprefix("bongsu/") not in targets:
                yield f"{name}: deploy/Dockerfile makes no {image}"
            own = c.get("securityContext", {})
            if not own.get("readOnlyRootFilesystem") or own.get("allowPrivilegeEscalation") is not False or own.get("privileged"):
                yield f"{name}: not read-only and without privileges"
            if own.get("capabilities", {}).get("drop") != ["ALL"] or own["capabilities"].get("add", []) != CAPABILITIES.get(name, []):
                yield f"{name}: capabilities {own.get('capabilities')}"
            if "memory" not in c.get("resources", {}).get("limits", {}):
                yield f"{name}: no memory limit"
            for probe in ("livenessProbe", "readinessProbe"):
                if probe not in c:
                    yield f"{name}: no {probe}"
            for mount in c.get("volumeMounts", []):
                if mount["name"] not in volumes:
                    yield f"{name}: mounts {mount['name']}, which is no volume"
            if volumes - {m["name"] for m in c.get("volumeMounts", [])}:
                yield f"{name}: has volumes that nobody mounts"
        for v in spec.get("volumes", []):
            if "hostPath" in v and any(m["name"] == v["name"] and not m.get("readOnly") for c in spec["containers"] for m in c["volumeMounts"]):
                if v["hostPath"]["path"] != WRITES.get(name):
                    yield f"{name}: may write to {v['hostPath']['path']} of the host"
            if "persistentVolumeClaim" in v:
                claimed.add(v["persistentVolumeClaim"]["claimName"])
    for o in objects:
        if o["kind"] == "Service":
            backs = [p for _, p in pods(objects) if o["spec"]["selector"].items() <= p["metadata"]["labels"].items()]
            if len(backs) != 1:
                yield f"Service {o['metadata']['name']} selects {len(backs)} workloads"
            for port in o["spec"]["ports"]:
                if backs and port["targetPort"] not in {p["name"] for c in backs[0]["spec"]["containers"] for p in c["ports"]}:
                    yield f"Service {o['metadata']['name']}: no pod has port {port['targetPort']}"
        if o["kind"] == "PersistentVolumeClaim" and o["metadata"]["name"] not in claimed:
            yield f"claim {o['metadata']['name']} is used by nobody"
        if o["kind"] == "ServiceMonitor":
            wanted = o["spec"]["selector"]["matchLabels"].items()
            services = {s["metadata"]["name"] for s in objects if s["kind"] == "Service" and wanted <= s["metadata"]["labels"].items()}
            workloads = {w["metadata"]["name"] for w, _ in pods(objects)}
            if services != workloads:
                yield f"ServiceMonitor sees {services ^ workloads} differently"
    names = {w["metadata"]["name"] for w, _ in pods(objects)}
    targets -= {"prebuilt", "all-in-one"}
    if names != targets:
        yield f"workloads and images differ by {names ^ targets}"


def rule_problems(objects, root):
    named = {r.get("alert") or r.get("record") for o in objects for g in o["spec"]["groups"] for r in g["rules"]}
    there = set()
    for file in glob.glob(f"{root}/deploy/prometheus/rules/*.yml"):
        there |= {r.get("alert") or r.get("record") for g in yaml.safe_load(open(file))["groups"] for r in g["rules"]}
    if named != there or not there:
        yield f"rules differ by {named ^ there}"


arguments = sys.argv[1:]
check = problems
if arguments[0] == "--rules":
    check, arguments = rule_problems, arguments[1:]
found = list(check([o for o in yaml.safe_load_all(open(arguments[0])) if o], arguments[1]))
print("\n".join(found))
sys.exit(bool(found))
