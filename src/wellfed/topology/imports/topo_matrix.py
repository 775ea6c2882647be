"""`nvidia-smi topo -m`: paths between GPUs and NICs, CPU and NUMA affinity.

The column "GPU NUMA ID" is the GPU's own memory node and not where it is plugged in. SYS does not prove different
sockets: some systems print it inside one node, so homes are read from the NUMA affinity alone.
"""

from __future__ import annotations

import re

from wellfed.hardware.machine import DevicePath, Gpu, GpuLink, Machine, Nic, NumaNode, Origin
from wellfed.topology.lists import cpu_list

_DEVICE = re.compile(r"GPU\d+|NIC\d+|(?:mlx|hfi|bnxt|irdma|efa|rdmap|roce|qib|ib)[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*")
_CELL = re.compile(r"X|PIX|PXB|PHB|NODE|SYS|SOC|NV\d+|PSB|C2C|N/A")
_SWITCHED = 6  # as many bonded links to each of four or more GPUs only come through NVSwitches


def recognises(text: str) -> bool:
    """A header of GPU columns and a row for GPU0."""
    return bool(re.search(r"^\s*GPU0\b.*(GPU1|CPU Affinity)", text, re.M) and re.search(r"^\s*GPU0\s+X\b", text, re.M))


def parse(text: str) -> Machine:
    """GPUs with their homes, NICs, paths, NVLink pairs."""
    lines = text.splitlines()
    at = next(
        (n for n, line in enumerate(lines) if re.match(r"\s*GPU0\b", line) and not re.match(r"\s*GPU0\s+X\b", line)),
        None,
    )
    if at is None:
        return Machine("", Origin.DUMP)
    columns = _columns(lines[at])
    rows: dict[str, list[str]] = {}
    for line in lines[at + 1 :]:
        words = line.split()
        if words and words[0] in columns:
            rows[words[0]] = words[1:]
    gpus = tuple(_gpu(name, rows[name][len(columns) :]) for name in columns if name.startswith("GPU") and name in rows)
    paths = _paths(columns, rows)
    return Machine(
        "",
        Origin.DUMP,
        numa_nodes=_nodes(gpus),
        gpus=gpus,
        gpu_links=_links(paths),
        nics=tuple(Nic(_nic_names(text).get(name, name)) for name in columns if not name.startswith("GPU")),
        unknown={"pci": "topo -m shows no addresses and links"},
        paths=paths,
        pci_complete=False,
    )


def _columns(line: str) -> list[str]:
    """Device names up to the affinity columns."""
    head = re.split(r"CPU Affinity|NUMA Affinity|GPU NUMA", line)[0]
    return [word for word in head.split() if _DEVICE.fullmatch(word)]


def _gpu(name: str, rest: list[str]) -> Gpu:
    cpus = cpu_list(rest[0]) if rest and re.fullmatch(r"[\d,-]+", rest[0]) else None
    node = int(rest[1]) if len(rest) > 1 and rest[1].isdigit() else None
    return Gpu(int(name[3:]), numa_node=node, vendor="nvidia", cpu_affinity=cpus or ())


def _paths(columns: list[str], rows: dict[str, list[str]]) -> tuple[DevicePath, ...]:
    found = []
    for i, a in enumerate(columns):
        for j, b in enumerate(columns[i + 1 :], i + 1):
            cell = rows.get(a, [])[j] if len(rows.get(a, [])) > j else None
            if cell and cell != "X" and _CELL.fullmatch(cell) and cell != "N/A":
                found.append(DevicePath(a, b, {"SOC": "SYS"}.get(cell, cell)))
    return tuple(found)


def _links(paths: tuple[DevicePath, ...]) -> tuple[GpuLink, ...]:
    pairs = [path for path in paths if path.kind.startswith("NV") and path.b.startswith("GPU")]
    counts = {int(path.kind[2:]) for path in pairs}
    gpus = {end for path in paths for end in (path.a, path.b) if end.startswith("GPU")}
    everyone = len(pairs) == len(gpus) * (len(gpus) - 1) // 2
    switched = everyone and len(gpus) >= 4 and min(counts, default=0) >= _SWITCHED
    return tuple(
        GpuLink(int(p.a[3:]), int(p.b[3:]), "nvswitch" if switched else "nvlink", count=int(p.kind[2:])) for p in pairs
    )


def _nodes(gpus: tuple[Gpu, ...]) -> tuple[NumaNode, ...]:
    """NUMA nodes as far as GPUs name them, with the CPUs they name."""
    homes = {gpu.numa_node: gpu.cpu_affinity for gpu in gpus if gpu.numa_node is not None}
    return tuple(NumaNode(node, cpus=homes[node]) for node in sorted(n for n in homes if n is not None))


def _nic_names(text: str) -> dict[str, str]:
    """The legend's `NIC0: mlx5_0`."""
    return {match[1]: match[2] for match in re.finditer(r"^\s*(NIC\d+):\s*(\S+)", text, re.M)}
