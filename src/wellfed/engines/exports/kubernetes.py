"""Kubernetes manifests: a Deployment and a Service, or a LeaderWorkerSet when the plan spans nodes."""

from __future__ import annotations

import json
from typing import Any

from wellfed.engines.exports.images import image_of, in_container
from wellfed.engines.spec import LaunchSpec
from wellfed.units import MIB

_NOTES = (
    "Whole CPUs and NUMA alignment need the kubelet's static CPU manager and topology manager:",
    "  cpuManagerPolicy: static, topologyManagerPolicy: single-numa-node (restricted when ranks span sockets),",
    "  memoryManagerPolicy: Static. Requests equal limits, so that the pod is Guaranteed.",
)


def kubernetes(spec: LaunchSpec, name: str) -> str:
    """YAML (as JSON documents) for kubectl apply."""
    label = {"app": name.lower().replace("_", "-").replace(".", "-")}
    workload = _leader_worker_set(spec, label) if spec.nodes > 1 else _deployment(spec, label)
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": label["app"], "labels": label},
        "spec": {"selector": label, "ports": [{"port": spec.endpoint.port, "targetPort": spec.endpoint.port}]},
    }
    notes = "".join(f"# {note}\n" for note in (*_NOTES, *spec.notes))
    return notes + "\n---\n".join(json.dumps(document, indent=2) for document in (workload, service)) + "\n"


def _deployment(spec: LaunchSpec, label: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": label["app"], "labels": label},
        "spec": {
            "replicas": 1,
            "strategy": {"type": "Recreate"},
            "selector": {"matchLabels": label},
            "template": _pod(spec, label),
        },
    }


def _leader_worker_set(spec: LaunchSpec, label: dict[str, str]) -> dict[str, Any]:
    return {
        "apiVersion": "leaderworkerset.x-k8s.io/v1",
        "kind": "LeaderWorkerSet",
        "metadata": {"name": label["app"], "labels": label},
        "spec": {"replicas": 1, "leaderWorkerTemplate": {"size": spec.nodes, "workerTemplate": _pod(spec, label)}},
    }


def _pod(spec: LaunchSpec, label: dict[str, str]) -> dict[str, Any]:
    argv, volumes = in_container(spec)
    mounts = [
        {"name": f"model-{n}", "mountPath": inside, "readOnly": True} for n, inside in enumerate(volumes.values())
    ]
    sources = [{"name": f"model-{n}", "hostPath": {"path": host}} for n, host in enumerate(volumes)]
    shared = {"name": "shm", "emptyDir": {"medium": "Memory"}}
    container: dict[str, Any] = {
        "name": "engine",
        "image": image_of(spec.engine),
        "args": argv,
        "env": _environment(spec, label),
        "ports": [{"containerPort": spec.endpoint.port}],
        "resources": {"requests": _resources(spec), "limits": _resources(spec)},
        "volumeMounts": [*mounts, {"name": "shm", "mountPath": "/dev/shm"}],
        "readinessProbe": {
            "httpGet": {"path": spec.health_path, "port": spec.endpoint.port},
            "periodSeconds": 5,
            "failureThreshold": 360,
        },
    }
    return {"metadata": {"labels": label}, "spec": {"containers": [container], "volumes": [*sources, shared]}}


def _environment(spec: LaunchSpec, label: dict[str, str]) -> list[dict[str, Any]]:
    plain: list[dict[str, Any]] = [{"name": key, "value": value} for key, value in sorted(spec.environment.items())]
    secret = [
        {"name": key, "valueFrom": {"secretKeyRef": {"name": f"{label['app']}-key", "key": key}}}
        for key in sorted(spec.secrets)
    ]
    return plain + secret


def _resources(spec: LaunchSpec) -> dict[str, str]:
    found = {"cpu": str(max(1, len(spec.binding.cpus)))}
    if spec.memory_bytes is not None:
        found["memory"] = f"{round(spec.memory_bytes * 1.1 / MIB)}Mi"
    if spec.gpus:
        found["nvidia.com/gpu"] = str(len(spec.gpus))
    if spec.huge_pages:
        found["hugepages-2Mi"] = f"{2 * sum(spec.huge_pages.values())}Mi"
    return found
