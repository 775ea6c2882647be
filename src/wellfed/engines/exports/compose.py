"""A compose file. Keys: the Compose Specification, services (cpuset, mem_limit, deploy.resources, healthcheck)."""

from __future__ import annotations

import json
from typing import Any

from wellfed.engines.exports.images import dns_label, image_of, in_container
from wellfed.engines.spec import LaunchSpec, ranges


def compose(spec: LaunchSpec, name: str) -> str:
    """One service with cpuset, memory limit, GPU devices and a health check. JSON is YAML, and needs no library."""
    argv, volumes = in_container(spec)
    service: dict[str, Any] = {
        "image": image_of(spec),
        "command": [word.replace("$", "$$") for word in argv],
        "ports": [f"{spec.endpoint.host}:{spec.endpoint.port}:{spec.endpoint.port}"],
        "volumes": [f"{host}:{inside}:ro" for host, inside in volumes.items()],
        "ipc": "host",
        "ulimits": {"memlock": {"soft": -1, "hard": -1}},
        "restart": "unless-stopped",
    }
    environment = dict(spec.environment)
    for secret in spec.secrets:
        environment[secret] = f"${{{secret}:?set {secret}}}"
    if environment:
        service["environment"] = environment
    if spec.binding.cpus:
        service["cpuset"] = ranges(spec.binding.cpus)
    if spec.memory_bytes is not None:
        service["mem_limit"] = str(round(spec.memory_bytes * 1.1))
    if spec.binding.nodes:
        service["cap_add"] = ["SYS_NICE"]
    if spec.gpus:
        device = {"driver": "nvidia", "device_ids": [str(gpu) for gpu in spec.gpus], "capabilities": ["gpu"]}
        service["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    comments = "".join(f"# {note}\n" for note in spec.notes)
    return comments + json.dumps({"name": dns_label(name), "services": {"engine": service}}, indent=2) + "\n"
