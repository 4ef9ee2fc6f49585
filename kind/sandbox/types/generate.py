#!/usr/bin/env python3
"""Writes builtin.txt: the facts about Kubernetes' built-in types that no OpenAPI document says in full.

    kind/sandbox/types/generate.py "$(go env GOMODCACHE)/k8s.io" v0.34.4 > kind/sandbox/types/builtin.txt

Read from the Go sources: the name of each field in JSON, whether it is a pointer, what becomes of its zero value, how its
list merges under server-side apply (listType, listMapKey) and under strategic merge (patchMergeKey). One block for each
type: a line with its name, then one line for each field: NAME TYPE FLAG…, where a type is s(tring), i(nteger), b(oolean),
f(loat), t(ime), q(uantity), ?(anything), []TYPE, {}TYPE, *TYPE or a name. Flags: o (left out when zero), set, map=KEYS, atomic,
merge=KEY, retain.
"""
import re
import sys

ROOT, VERSION = sys.argv[1], sys.argv[2]
PACKAGES = {
    "core": f"api@{VERSION}/core/v1/types.go",
    "autoscaling": f"api@{VERSION}/autoscaling/v1/types.go",
    "apps": f"api@{VERSION}/apps/v1/types.go",
    "batch": f"api@{VERSION}/batch/v1/types.go",
    "policy": f"api@{VERSION}/policy/v1/types.go",
    "coordination": f"api@{VERSION}/coordination/v1/types.go",
    "discovery": f"api@{VERSION}/discovery/v1/types.go",
    "events": f"api@{VERSION}/events/v1/types.go",
    "networking": f"api@{VERSION}/networking/v1/types.go",
    "rbac": f"api@{VERSION}/rbac/v1/types.go",
    "scheduling": f"api@{VERSION}/scheduling/v1/types.go",
    "storage": f"api@{VERSION}/storage/v1/types.go",
    "meta": f"apimachinery@{VERSION}/pkg/apis/meta/v1/types.go",
    "apiextensions": f"apiextensions-apiserver@{VERSION}/pkg/apis/apiextensions/v1/types.go",
}
ALIASES = {"metav1": "meta", "v1": "core", "corev1": "core", "api": "core", "apiv1": "core", "v1core": "core"}
ROOTS = """core.Pod core.Service core.Endpoints core.ConfigMap core.Secret core.ServiceAccount core.Namespace core.Node
core.PersistentVolume core.PersistentVolumeClaim core.Event core.LimitRange core.ResourceQuota apps.StatefulSet
apps.Deployment apps.ReplicaSet apps.DaemonSet apps.ControllerRevision batch.Job batch.CronJob policy.PodDisruptionBudget
coordination.Lease discovery.EndpointSlice events.Event rbac.Role rbac.RoleBinding rbac.ClusterRole
rbac.ClusterRoleBinding scheduling.PriorityClass storage.StorageClass networking.NetworkPolicy
apiextensions.CustomResourceDefinition autoscaling.Scale""".split()
SCALARS = {"string": "s", "bool": "b", "int": "i", "int32": "i", "int64": "i", "uint32": "i", "uint8": "i",
           "float64": "f", "byte": "i"}
OPAQUE = {"IntOrString", "RawExtension", "FieldsV1", "JSON", "Duration", "JSONSchemaProps"}
TIMES = {"Time", "MicroTime"}

structs, named, atomic_types = {}, {}, set()


def parse(package, path):
    text = open(f"{ROOT}/{path}").read()
    notes = []
    lines = iter(text.split("\n"))
    for line in lines:
        line = line.strip()
        if line.startswith("//"):
            notes.append(line)
            continue
        start = re.match(r"type (\w+) struct ?\{(\})?", line)
        alias = re.match(r"type (\w+) ([\w.\[\]*]+)$", line)
        if start:
            name = f"{package}.{start[1]}"
            if any("+structType=atomic" in note or "+mapType=atomic" in note for note in notes):
                atomic_types.add(name)
            structs[name] = [] if start[2] else fields(package, lines)
        elif alias:
            named[f"{package}.{alias[1]}"] = (package, alias[2])
        notes = []


def fields(package, lines):
    found, notes = [], []
    for line in lines:
        line = line.strip()
        if line == "}":
            return found
        if line.startswith("//"):
            notes.append(line)
            continue
        field = re.match(r"(?:(\w+)\s+)?([\w.\[\]*]+)\s+`(.*)`", line)
        if field and 'json:"' in field[3]:
            found.append((field[2], field[3], notes, package))
        notes = []
    raise SystemExit("a struct without an end")


def type_text(package, go):
    if go.startswith("*"):
        return "*" + type_text(package, go[1:])
    if go == "[]byte":
        return "s"
    if go.startswith("[]"):
        return "[]" + type_text(package, go[2:])
    if go.startswith("map["):
        return "{}" + type_text(package, go[go.index("]") + 1:])
    if go in SCALARS:
        return SCALARS[go]
    prefix, _, name = go.rpartition(".")
    where = ALIASES.get(prefix, prefix) if prefix else package
    if name in TIMES:
        return "t"
    if name == "Quantity":
        return "q"
    if name in OPAQUE or where in ("runtime", "resource", "intstr"):
        return "?"
    if name in ("UID", "NodeName"):
        return "s"
    full = f"{where}.{name}"
    if full in structs:
        return full
    if full in named:
        return type_text(*named[full])
    raise SystemExit(f"unknown type {go} in {package}")


def described(go, tag, notes, package):
    names = re.search(r'json:"([^"]*)"', tag)[1].split(",")
    joined = " ".join(notes)
    kind, flags = type_text(package, go), []
    if "omitempty" in names or "omitzero" in names:
        flags.append("o")
    # A struct is never empty to Go's encoder, only zero to newer tags.
    if "omitzero" in names:
        flags.append("z")
    listed = re.search(r"\+listType=(\w+)", joined)
    keys = re.findall(r"\+listMapKey=(\w+)", joined)
    if listed and listed[1] == "map":
        flags.append("map=" + ",".join(keys))
    elif listed and listed[1] in ("set", "atomic"):
        flags.append(listed[1])
    bare = kind.lstrip("*")
    if "+mapType=atomic" in joined or "+structType=atomic" in joined or bare in atomic_types:
        flags.append("atomic")
    strategy = re.search(r'patchStrategy:"([^"]*)"', tag)
    if strategy and "merge" in strategy[1]:
        key = re.search(r'patchMergeKey:"([^"]*)"', tag)
        flags.append("merge=" + (key[1] if key else ""))
    if strategy and "replace" in strategy[1]:
        flags.append("replace")
    return names[0], kind, flags


def flattened(name):
    for go, tag, notes, package in structs[name]:
        json_name, kind, flags = described(go, tag, notes, package)
        if json_name == "-":
            continue
        if json_name == "":
            if kind != "meta.TypeMeta":
                yield from flattened(kind)
            continue
        yield json_name, kind, flags


for package, path in PACKAGES.items():
    parse(package, path)
waiting, done = list(ROOTS), []
while waiting:
    name = waiting.pop(0)
    if name in done:
        continue
    done.append(name)
    print(name + (" atomic" if name in atomic_types else ""))
    for json_name, kind, flags in flattened(name):
        print(" ", json_name, kind, *flags)
        bare = kind.replace("*", "").replace("[]", "").replace("{}", "")
        if "." in bare:
            waiting.append(bare)
