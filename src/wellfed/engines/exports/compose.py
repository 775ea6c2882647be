"""A compose file. Keys: the Compose Specification, services (cpuset, mem_limit, deploy.resources, healthcheck)."""

from __future__ import annotations

import json
from typing import Any

from wellfed.comments import commented, lines_of
from wellfed.engines.exports.images import (
    dns_label,
    environment_of,
    image_of,
    in_container,
    locks_memory,
    shares_memory,
)
from wellfed.engines.exports.keys import FILE, LINE, key_words
from wellfed.engines.spec import KEY_FILE, LaunchSpec, MemoryPolicy, ranges
from wellfed.errors import Unsupported
from wellfed.message import sentence

_SECRETS = "/run/secrets"
# Device files by vendor; {gpu} is a card's number. vllm-ascend, GPUStack and the vendors' own installation pages.
_DEVICES = {
    "amd": ("/dev/kfd", "/dev/dri"),
    "intel": ("/dev/dri",),
    "huawei": ("/dev/davinci{gpu}", "/dev/davinci_manager", "/dev/devmm_svm", "/dev/hisi_hdc"),
    "hygon": ("/dev/kfd", "/dev/mkfd", "/dev/dri"),
    "moorethreads": ("/dev/dri", "/dev/mtgpu.{gpu}"),
    "metax": ("/dev/mxcd", "/dev/dri"),
    "cambricon": ("/dev/cambricon_dev{gpu}", "/dev/cambricon_ctl"),
    "kunlun": ("/dev/xpu{gpu}", "/dev/xpuctrl"),
    "iluvatar": ("/dev/iluvatar{gpu}",),
}


def compose(spec: LaunchSpec, name: str) -> str:
    """One service with cpuset, memory limit, GPU devices and a health check. JSON is YAML, and needs no library.

    Raises Unsupported for a plan of several machines.
    """
    if spec.nodes > 1:
        raise Unsupported(f"a compose file is for one machine, the plan takes {spec.nodes}", "use kubernetes or slurm")
    argv, volumes = in_container(spec)
    argv += key_words(spec, _SECRETS)
    host = f"[{spec.endpoint.host}]" if ":" in spec.endpoint.host else spec.endpoint.host
    service: dict[str, Any] = {
        "image": image_of(spec),
        "command": [_escaped(word) for word in argv],
        "ports": [f"{host}:{spec.endpoint.port}:{spec.endpoint.port}"],
        "volumes": [
            {"type": "bind", "source": _escaped(source), "target": _escaped(inside), "read_only": True}
            for source, inside in volumes.items()
        ],
        "cap_drop": ["ALL"],
        "security_opt": ["no-new-privileges:true"],
        **({"ipc": "host"} if shares_memory(spec) else {}),
        **({"ulimits": {"memlock": {"soft": -1, "hard": -1}}} if locks_memory(spec) else {}),
        "restart": "unless-stopped",
        "healthcheck": _healthcheck(spec),
        **_hardware(spec),
    }
    environment = {key: _escaped(value) for key, value in environment_of(spec).items()}
    if not spec.key_in_file:
        environment |= {secret: f"${{{secret}:?set {secret}}}" for secret in spec.secrets}
    if environment:
        service["environment"] = environment
    document: dict[str, Any] = {"name": dns_label(name), "services": {"engine": service}}
    if spec.key_in_file:
        service["secrets"] = [{"source": "key", "target": f"{_SECRETS}/{FILE}"}]
        document["secrets"] = {"key": {"file": f"${{{KEY_FILE}:?set {KEY_FILE} to a file with the line {LINE}}}"}}
    comments = [commented(note) for note in (*spec.notes, *_notes(spec))]
    return lines_of([*comments, json.dumps(document, indent=2, ensure_ascii=False)])


def _healthcheck(spec: LaunchSpec) -> dict[str, Any]:
    url = f"http://localhost:{spec.endpoint.port}{spec.health_path}"
    return {"test": ["CMD", "curl", "-fs", url], "interval": "10s", "start_period": "30m", "start_interval": "2s"}


def _hardware(spec: LaunchSpec) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    if spec.binding.cpus:
        fields["cpuset"] = ranges(spec.binding.cpus)
    if spec.memory_bytes is not None:
        fields["mem_limit"] = str(round(spec.memory_bytes * 1.1))
    if spec.binding.nodes:
        fields["cap_add"] = ["SYS_NICE"]
    if spec.gpus and spec.gpu_vendor in _DEVICES:
        fields["devices"] = [f"{path}:{path}" for path in _device_files(spec)]
    elif spec.gpus and spec.gpu_vendor == "nvidia":
        device = {"driver": "nvidia", "device_ids": [str(gpu) for gpu in spec.gpus], "capabilities": ["gpu"]}
        fields["deploy"] = {"resources": {"reservations": {"devices": [device]}}}
    return fields


def _device_files(spec: LaunchSpec) -> list[str]:
    paths = (path.format(gpu=gpu) for path in _DEVICES[spec.gpu_vendor] for gpu in spec.gpus)
    return list(dict.fromkeys(paths))


def _notes(spec: LaunchSpec) -> tuple[str, ...]:
    """What a compose file cannot say."""
    if spec.binding.policy is MemoryPolicy.DEFAULT:
        return ()
    text = "compose has no memory policy: pages follow the CPUs of the cpuset by first touch"
    return (sentence("export.compose.policy", text),)


def _escaped(word: str) -> str:
    return word.replace("$", "$$")
