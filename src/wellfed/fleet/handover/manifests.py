"""Replicas for Kubernetes: Deployments or LeaderWorkerSets with their number, and DRA claims with device attributes."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from wellfed.comments import commented, lines_of
from wellfed.engines.exports.kubernetes import kubernetes
from wellfed.engines.exports.kubernetes import notes as notes_of
from wellfed.fleet.handover.replica_set import ReplicaSet
from wellfed.message import sentence
from wellfed.units import GIB

NUMA = "resource.kubernetes.io/numaNode"
# Drivers and their attributes. NVIDIA: kubernetes-sigs/dra-driver-nvidia-gpu, cmd/gpu-kubelet-plugin (type,
# productName, architecture; capacity memory); its class is gpu.nvidia.com.
_CLASSES = {"nvidia": "gpu.nvidia.com"}
_UNDER = 0.95  # of a card's memory: what a driver tells is a little less than its size


def manifests(sets: Sequence[ReplicaSet]) -> str:
    """A workload and a Service for each set: Deployment, or LeaderWorkerSet where a replica spans nodes."""
    notes, documents = _documents(sets)
    return _written(notes, documents)


def with_claims(sets: Sequence[ReplicaSet]) -> str:
    """The same, with GPUs from a ResourceClaimTemplate (resource.k8s.io/v1) in place of a device plugin's count.

    Selected by kind and memory; where a replica's cards fit one NUMA node they must be of one (`matchAttribute` on the
    standard attribute resource.kubernetes.io/numaNode). Fields: Kubernetes API reference, ResourceClaimTemplate v1;
    kubernetes.io/docs/reference/node/dra-standard-device-attributes.
    """
    notes, documents = _documents(sets)
    claims = []
    for replica_set in sets:
        if not replica_set.gpus_a_node:
            notes.append(f"{replica_set.name}: no GPU, so no claim")
            continue
        vendor = replica_set.spec.gpu_vendor
        if vendor not in _CLASSES:
            notes.append(
                sentence(
                    "export.dra.unknown",
                    "{name}: the attributes of {vendor}'s DRA driver are not known here: its device plugin stays",
                    name=replica_set.name,
                    vendor=vendor,
                )
            )
            continue
        claims.append(_template(replica_set, _CLASSES[vendor]))
        for document in documents:
            if document["metadata"]["name"] == replica_set.name:
                for pod in _pods(document):
                    _claimed(pod, f"{replica_set.name}-gpus")
    return _written(notes, [*claims, *documents])


def _documents(sets: Sequence[ReplicaSet]) -> tuple[list[str], list[dict[str, Any]]]:
    notes: list[str] = []
    documents = []
    for replica_set in sets:
        text = kubernetes(replica_set.spec, replica_set.name)
        lines = text.splitlines()
        notes += [note for note in notes_of(replica_set.spec, replica_set.name) if note not in notes]
        body = "\n".join(line for line in lines if not line.startswith("#"))
        for document in map(json.loads, body.split("\n---\n")):
            if "replicas" in document["spec"]:
                document["spec"]["replicas"] = replica_set.replicas
                document["spec"].pop("strategy", None)
            documents.append(document)
    return notes, documents


def _written(notes: Sequence[str], documents: Sequence[dict[str, Any]]) -> str:
    written = "\n---\n".join(json.dumps(document, indent=2, ensure_ascii=False) for document in documents)
    return lines_of([*map(commented, notes), written])


def _pods(document: dict[str, Any]) -> list[dict[str, Any]]:
    spec = document["spec"]
    if document["kind"] == "LeaderWorkerSet":
        group = spec["leaderWorkerTemplate"]
        return [group["leaderTemplate"]["spec"], group["workerTemplate"]["spec"]]
    return [spec["template"]["spec"]] if document["kind"] == "Deployment" else []


def _claimed(pod: dict[str, Any], template: str) -> None:
    """GPUs by claim: the device plugin's resource goes."""
    pod["resourceClaims"] = [{"name": "gpus", "resourceClaimTemplateName": template}]
    resources = pod["containers"][0]["resources"]
    for part in ("requests", "limits"):
        resources[part] = {name: value for name, value in resources[part].items() if "/" not in name}
    resources["claims"] = [{"name": "gpus"}]


def _template(replica_set: ReplicaSet, device_class: str) -> dict[str, Any]:
    request = {
        "name": "gpus",
        "exactly": {
            "deviceClassName": device_class,
            "allocationMode": "ExactCount",
            "count": replica_set.gpus_a_node,
            "selectors": [{"cel": {"expression": selector(replica_set, device_class)}}],
        },
    }
    devices: dict[str, Any] = {"requests": [request]}
    if fits_a_node(replica_set):
        devices["constraints"] = [{"requests": ["gpus"], "matchAttribute": NUMA}]
    return {
        "apiVersion": "resource.k8s.io/v1",
        "kind": "ResourceClaimTemplate",
        "metadata": {"name": f"{replica_set.name}-gpus"},
        "spec": {"spec": {"devices": devices}},
    }


def selector(replica_set: ReplicaSet, driver: str) -> str:
    """CEL over a device: a whole GPU with at least the planned card's memory."""
    sizes = [gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else None) for gpu in replica_set.gpus]
    told_sizes = [size for size in sizes if size]
    parts = [f'device.attributes["{driver}"].type == "gpu"']
    if told_sizes:
        least = int(_UNDER * min(told_sizes) / GIB)
        parts.append(f'device.capacity["{driver}"].memory.compareTo(quantity("{least}Gi")) >= 0')
    return " && ".join(parts)


def fits_a_node(replica_set: ReplicaSet) -> bool:
    """Whether the cards of a replica can all hang on one NUMA node of the machine that was planned."""
    homes = Counter(gpu.numa_node for gpu in replica_set.gpus if gpu.numa_node is not None)
    return replica_set.gpus_a_node > 1 and bool(homes) and max(homes.values()) >= replica_set.gpus_a_node
