"""Kubernetes manifests: a Deployment and a Service, or a LeaderWorkerSet when the plan spans nodes."""

from __future__ import annotations

import json
import re
from pathlib import PurePosixPath
from typing import Any

from wellfed.comments import commented, lines_of
from wellfed.engines.exports.images import dns_label, environment_of, image_of, in_container
from wellfed.engines.exports.keys import FILE, FOLDER, LINE, asking_for_a_key, key_words
from wellfed.engines.exports.leader_worker import LEADER, leader_command, worker_command
from wellfed.engines.spec import LaunchSpec
from wellfed.message import sentence
from wellfed.units import MIB

_NOTES = (
    sentence(
        "export.kubernetes.kubelet",
        "Whole CPUs and NUMA alignment need the kubelet's static CPU manager and topology manager:",
    ),
    sentence(
        "export.kubernetes.policies",
        "  cpuManagerPolicy: static, topologyManagerPolicy: single-numa-node (restricted when ranks span sockets),",
    ),
    sentence(
        "export.kubernetes.guaranteed",
        "  memoryManagerPolicy: Static. Requests equal limits, so that the pod is Guaranteed.",
    ),
)
# The restricted pod security standard, but for hostPath. The engine is nobody in particular, with a home of its own.
_REFERENCE = re.compile(r"\$(?=\$|\([A-Za-z_][\w.-]*\))")  # a dollar that Kubernetes would take for itself
_USER, _HOME = 10001, "/home/engine"
_POD = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER = {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
_GPU = {  # the vendors' device plugins
    "amd": "amd.com/gpu",
    "intel": "gpu.intel.com/xe",
    "huawei": "huawei.com/Ascend910",
    "hygon": "hygon.com/dcu",
    "moorethreads": "mthreads.com/gpu",
    "metax": "metax-tech.com/gpu",
    "cambricon": "cambricon.com/mlu",
    "kunlun": "kunlunxin.com/xpu",
    "iluvatar": "iluvatar.com/gpu",
    "enflame": "enflame.com/gcu",
}
_SEVERAL = sentence(
    "export.kubernetes.several",
    "Several nodes need the LeaderWorkerSet controller: {url}",
    url="https://lws.sigs.k8s.io",
)


def kubernetes(spec: LaunchSpec, name: str) -> str:
    """YAML (as JSON documents) for kubectl apply."""
    spec = asking_for_a_key(spec)
    label = {"app": dns_label(name)}
    several = spec.nodes > 1
    workload = leader_worker_set(spec, label) if several else _deployment(spec, label)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": label["app"], "labels": label},
        "spec": {
            "selector": {**label, **LEADER} if several else label,
            "ports": [{"port": spec.endpoint.port, "targetPort": spec.endpoint.port}],
        },
    }
    documents = "\n---\n".join(json.dumps(document, indent=2, ensure_ascii=False) for document in (workload, service))
    return lines_of([*map(commented, notes(spec, name)), documents])


def notes(spec: LaunchSpec, name: str) -> tuple[str, ...]:
    """What is to be known beside the documents."""
    spec = asking_for_a_key(spec)
    label = {"app": dns_label(name)}
    several = (_SEVERAL,) if spec.nodes > 1 else ()
    return (*_NOTES, *several, *_key_notes(spec, label), *spec.notes, *_memory_notes(spec))


def _key_notes(spec: LaunchSpec, label: dict[str, str]) -> tuple[str, ...]:
    if not spec.secrets:
        return ()
    secret_source = f"{FILE}={FILE} (the line {LINE})" if spec.key_in_file else f"{''.join(sorted(spec.secrets))}=FILE"
    command = f"kubectl create secret generic {label['app']}-key --from-file={secret_source}"
    return (sentence("export.kubernetes.key", "The API key: {command}", command=command),)


def _memory_notes(spec: LaunchSpec) -> tuple[str, ...]:
    if spec.memory_bytes is not None:
        return ()
    text = "Memory requests and limits are missing: the plan does not tell this engine's RAM. Add them."
    return (sentence("export.kubernetes.memory", text),)


def _deployment(spec: LaunchSpec, label: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": label["app"], "labels": label},
        "spec": {
            "replicas": spec.servers,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": label},
            "template": pod(spec, label),
        },
    }


def pod(
    spec: LaunchSpec, label: dict[str, str], command: list[str] | None = None, ready: bool = True
) -> dict[str, Any]:
    """The pod template: the image's own entry point with the plan's arguments, or `command` in its place."""
    argv, volumes = in_container(spec)
    argv += key_words(spec)
    mounts: list[dict[str, Any]] = [
        {"name": f"model-{n}", "mountPath": inside, "readOnly": True} for n, inside in enumerate(volumes.values())
    ]
    sources: list[dict[str, Any]] = [
        {"name": f"model-{n}", "hostPath": {"path": host, "type": _kind(host)}} for n, host in enumerate(volumes)
    ]
    sources.append({"name": "shm", "emptyDir": {"medium": "Memory"}})
    mounts.append({"name": "shm", "mountPath": "/dev/shm"})
    if spec.key_in_file:
        sources.append({"name": "key", "secret": {"secretName": f"{label['app']}-key", "defaultMode": 0o440}})
        mounts.append({"name": "key", "mountPath": FOLDER, "readOnly": True})
    container: dict[str, Any] = {
        "name": "engine",
        "image": image_of(spec),
        **({"args": _literal(argv)} if command is None else {"command": _literal(command)}),
        "env": _environment(spec, label),
        "securityContext": _CONTAINER,
        "ports": [{"containerPort": spec.endpoint.port}],
        "resources": {"requests": _resources(spec), "limits": _resources(spec)},
        "volumeMounts": mounts,
    }
    if ready:
        container["readinessProbe"] = {
            "httpGet": {"path": spec.health_path, "port": spec.endpoint.port},
            "periodSeconds": 5,
            "failureThreshold": 360,
        }
    sources.append({"name": "home", "emptyDir": {}})
    mounts.append({"name": "home", "mountPath": _HOME})
    of_pod = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": _POD,
        "containers": [container],
        "volumes": sources,
    }
    return {"metadata": {"labels": label}, "spec": of_pod}


def _kind(path: str) -> str:
    """What must be there: a path that is neither would be made, as an empty folder."""
    return "File" if PurePosixPath(path).suffix in (".gguf", ".safetensors", ".bin") else "Directory"


def _literal(words: list[str]) -> list[str]:
    """`$(NAME)` would be replaced by a variable of the pod; `$$` is a dollar (Kubernetes, dependent variables)."""
    return [_REFERENCE.sub("$$", word) for word in words]


def leader_worker_set(spec: LaunchSpec, label: dict[str, str]) -> dict[str, Any]:
    """One group of `spec.nodes` pods: the leader serves, the workers join it."""
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": label["app"], "labels": label},
        "spec": {
            "replicas": spec.servers,
            "leaderWorkerTemplate": {
                "size": spec.nodes,
                "restartPolicy": "RecreateGroupOnPodRestart",
                "leaderTemplate": pod(spec, {**label, **LEADER}, leader_command(spec)),
                "workerTemplate": pod(spec, label, worker_command(spec), ready=False),
            },
        },
    }


def _environment(spec: LaunchSpec, label: dict[str, str]) -> list[dict[str, Any]]:
    written = {**environment_of(spec), "HOME": _HOME, "USER": "engine"}
    plain: list[dict[str, Any]] = [
        {"name": key, "value": _REFERENCE.sub("$$", value)} for key, value in written.items()
    ]
    if spec.key_in_file:
        return plain
    secret = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": f"{label['app']}-key", "key": key}}}
        for key in sorted(spec.secrets)
    ]
    return plain + secret


def _resources(spec: LaunchSpec) -> dict[str, str]:
    requests = {"cpu": str(max(1, spec.cores or len(spec.binding.cpus) or 2 * (len(spec.gpus) + 2)))}
    if spec.memory_bytes is not None:
        requests["memory"] = f"{round(spec.memory_bytes * 1.1 / MIB)}Mi"
    if spec.gpus:
        vendor = spec.gpu_vendor
        requests[_GPU.get(vendor, f"{vendor}.com/gpu")] = str(len(spec.gpus))
    if spec.huge_pages:
        requests["hugepages-2Mi"] = f"{2 * sum(spec.huge_pages.values())}Mi"
    return requests
