"""Environment reports: `vllm collect-env` (PyTorch's collect_env) and `python -m sglang.check_env`.

The report's other parts (lscpu, topology matrix, rocm-smi, npu-smi, xpu-smi) have readers of their own, which see the
same text. Here: names of the cards, driver and ROCm versions, operating system, hypervisor.
"""

from __future__ import annotations

import re
from itertools import combinations

from wellfed.hardware.machine import Gpu, Machine, OsSettings, PeerAccess
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.topology.readers.reader import Reader, partial_machine

_FIRST = re.compile(
    r"^\s*(Collecting environment information|GPU models and configuration\s*:|PyTorch version\s*:)", re.M
)
_SGLANG = re.compile(r"^\s*(GPU[\d, ]+Compute Capability:|sglang(?:-kernel)?: \d|CUDA available: )", re.M)
_NUMBERED = re.compile(
    r"^[ \t]*(?:GPU models and configuration\s*:[ \t]*)?(GPU|NPU|XPU) (\d{1,3}(?:,[ ]?\d{1,3})*):[ \t]*([^\n]+)$", re.M
)
_BARE = re.compile(r"GPU models and configuration[ \t]*:[ \t]*(?!GPU \d)([^\n]*)")
_GFX = re.compile(r"\(?(gfx[0-9a-f]+)(?::[\w:+-]*)?\)?")
_NOTHING = ("Could not collect", "N/A", "No CUDA", "")
_DRIVER = re.compile(r"(?:Nvidia driver version|CUDA Driver Version)\s*:\s*([\d.]+)")
_ROCM = re.compile(r"(?:ROCM (?:used to build PyTorch|Version)|HIP runtime version)\s*:\s*(\d+\.\d+(?:\.\d+)*)", re.I)
_HYPERVISOR = re.compile(r"^\s*Hypervisor vendor:+\s*(\S.*)$", re.M)
_PLATFORM = re.compile(r"Python platform\s*:\s*(\S+)")
_NO_PEERS = re.compile(r"^\s*NCCL_P2P_DISABLE=[1-9]", re.M)
_SYSTEM = re.compile(r"^\s*OS\s*:\s*([^\n]+)$", re.M)


def recognises(text: str) -> bool:
    """A line that only such reports have."""
    return bool(_FIRST.search(text) or _SGLANG.search(text))


def parse(text: str) -> Machine:
    """Names of the cards, versions, system."""
    hypervisor = _HYPERVISOR.search(text)
    platform, system = _PLATFORM.search(text), _SYSTEM.search(text)
    driver, rocm = _DRIVER.search(text), _ROCM.search(text)
    gpus = _gpus(text, driver[1] if driver else None)
    once = len(gpus) > 1 and not _NUMBERED.search(text)
    kernel = re.match(r"Linux-([^\n]+?)-(?:x86_64|aarch64|ppc64le|riscv64)", platform[1]) if platform else None
    machine = re.search(
        r"(x86_64|aarch64|arm64|ppc64le)", (system[1] if system else "") + (platform[1] if platform else "")
    )
    return partial_machine(
        gpus=gpus,
        assumptions=(Assumption(f"all GPUs are {gpus[0].name}", "the report names only the first"),) if once else (),
        pci_complete=False,
        peers=_without_peers(gpus, text),
        os=OsSettings(
            kernel=kernel[1] if kernel else None,
            virtualised=True if hypervisor else None,
            hypervisor=hypervisor[1].strip().lower() if hypervisor else None,
            nvidia_driver=driver[1] if driver else None,
            rocm=rocm[1] if rocm else None,
            architecture=machine[1] if machine else None,
            family=_family(system[1] if system else platform[1] if platform else ""),
            wsl=True if platform and "microsoft" in platform[1].lower() else None,
        ),
    )


def _without_peers(gpus: tuple[Gpu, ...], text: str) -> tuple[PeerAccess, ...]:
    """Peer access that the report's environment switches off, for NCCL on all cards."""
    if not _NO_PEERS.search(text):
        return ()
    pairs = combinations((gpu.index for gpu in gpus), 2)
    return tuple(PeerAccess(a, b, False, "NCCL_P2P_DISABLE=1") for a, b in pairs)


def _family(text: str) -> str | None:
    if re.search(r"windows", text, re.I):
        return "windows"
    if re.search(r"macos|darwin", text, re.I):
        return "macos"
    return "linux" if text else None


def _gpus(text: str, driver: str | None) -> tuple[Gpu, ...]:
    """Numbered cards, each once; else the one name that PyTorch prints for all (AMD), whose number stays unknown."""
    cards: dict[int, Gpu] = {}
    for match in _NUMBERED.finditer(text):
        name = re.sub(r"\s*\(UUID.*$", "", match[3]).strip()
        if "Compute Capability" in match[0] or name in _NOTHING or name.startswith("(Topology)"):
            continue
        for number in match[2].split(","):
            cards.setdefault(int(number), _gpu(int(number), name, driver))
    if cards:
        return tuple(cards[index] for index in sorted(cards))
    bare = _BARE.search(text)
    name = bare[1].strip() if bare else ""
    return () if name in _NOTHING else tuple(_gpu(index, name, driver) for index in _numbers(text))


def _numbers(text: str) -> list[int]:
    """The cards that the report's topology numbers, for a name that it gives but once (of the first)."""
    matches = re.finditer(r"^\s*GPU(?:\[(\d{1,3})\]|(\d{1,3})\s)", text, re.M)
    return sorted({int(match[1] or match[2]) for match in matches}) or [0]


def _gpu(index: int, text: str, driver: str | None) -> Gpu:
    """A card; AMD's architecture in brackets is the name where there is no other."""
    target = _GFX.search(text)
    name = _GFX.sub("", text).strip() if target else text
    if target or re.search(r"\b(?:AMD|Radeon|Instinct)\b", text):
        return Gpu(index, name=name or (target[1] if target else None), vendor="amd")
    vendor = "intel" if "Intel" in name else "ascend" if re.match(r"(?:Huawei )?Ascend", name) else "nvidia"
    return Gpu(index, name=name, vendor=vendor, driver=driver if vendor == "nvidia" else None)


READER = Reader(
    sentence("reader.environment", "environment report"),
    "vllm collect-env, or python3 -m sglang.check_env",
    "names of the GPUs, driver, hypervisor; lscpu and the topology in it are read as such",
    (
        "environment information",
        "GPU models and",
        "PyTorch version",
        "Compute Capability:",
        "sglang",
        "CUDA available:",
    ),
    recognises,
    parse,
)
