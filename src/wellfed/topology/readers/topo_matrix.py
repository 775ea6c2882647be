"""`nvidia-smi topo -m`: paths between GPUs and NICs, CPU and NUMA affinity.

The column "GPU NUMA ID" is the GPU's own memory node and not where it is plugged in. SYS does not prove different
sockets: some systems print it inside one node, so homes are read from the affinities alone. The same form with NPU
columns (`npu-smi info -t topo`) and XPU columns (`xpu-smi topology -m`) is read here, too.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellfed.frozen import dataclass
from wellfed.hardware.machine import DevicePath, Gpu, GpuLink, Machine, Nic, NumaNode
from wellfed.message import sentence
from wellfed.topology.lists import cpu_list
from wellfed.topology.readers.reader import Reader, partial_machine

_NIC = r"NIC\d+|(?:mlx|hfi|bnxt|irdma|efa|rdmap|roce|qib|ib)[A-Za-z0-9_-]*\d[A-Za-z0-9_-]*"
_DEVICE = re.compile(rf"(?:GPU|NPU)\d{{1,3}}|{_NIC}")
_CELL = re.compile(r"X|PIX|PXB|PHB|NODE|SYS|SOC|NV\d+|PSB|C2C|N/A|HCCS(?:_SW)?|SIO|HCCS\d*|XL\d*|PIX_XL|MDF|S")
_NAMES = re.compile(r"CPU ?Affinity|NUMA ?Affinity|GPU NUMA ID|NUMA ?ID")
_HEAD = re.compile(r"^\s*(?:GPU|NPU)\d", re.M)
_KINDS = {"SOC": "SYS", "PSB": "PIX"}
_SWITCHED = 6  # as many bonded links to each of five or more GPUs only come through NVSwitches


@dataclass(frozen=True, slots=True)
class _Matrix:
    columns: tuple[str, ...]
    affinity_columns: tuple[str, ...]  # what stands after the devices: "CPU Affinity", ...
    rows: dict[str, tuple[str, ...]]


def recognises(text: str) -> bool:
    """A header of device columns and a row whose cells are paths."""
    return next(_matrices(text), None) is not None


def _matrices(text: str) -> Iterator[_Matrix]:
    if "/0" in text:
        text = re.sub(r"\b(?:GPU|XPU) (\d+)/0\b", r"GPU\1", text.replace("|", " "))  # xpu-smi's GPU 0/0|GPU 1/0
    if "|" in text and re.search(r"^[ \t]*\|[ \t]*\|?[ \t]*(?:GPU|NPU)\d", text, re.M):
        text = text.replace("|", " ")  # a markdown table
    if not _HEAD.search(text):
        return
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if not _HEAD.match(line):
            continue
        columns = _columns(line)
        if not columns:
            continue
        rows: dict[str, tuple[str, ...]] = {}
        for below in lines[at + 1 : at + 1 + 4 * len(columns) + 8]:
            words = tuple(below.split())
            if words and words[0] in columns and words[0] not in rows:
                rows[words[0]] = words[1:]
        cells = {cell for name, row in rows.items() for cell in row[: len(columns)]}
        if rows and any(_CELL.fullmatch(cell) for cell in cells) and _is_paths(cells):
            yield _Matrix(columns, tuple(_NAMES.findall(line)), rows)


def _is_paths(cells: set[str]) -> bool:
    """Paths, not peer access codes (`topo -p2p`) nor weights (rocm-smi)."""
    return bool({"X", "S"} & cells) and not cells & {"OK", "NS", "CNS", "GNS", "TNS", "DR"}


def _columns(line: str) -> tuple[str, ...]:
    """Device names up to the affinity columns."""
    head = _NAMES.split(line, maxsplit=1)[0]
    words = head.split()
    return tuple(words) if words and all(_DEVICE.fullmatch(word) for word in words) else ()


def parse(text: str) -> Machine:
    """GPUs with their homes, NICs, paths, links."""
    matrix = next(_matrices(text))
    vendor = "ascend" if matrix.columns[0].startswith("NPU") else "intel" if re.search(r"\bXL\d", text) else "nvidia"
    cards = [name for name in matrix.columns if name.startswith(("GPU", "NPU")) and name in matrix.rows]
    gpus = tuple(_gpu(name, matrix, vendor) for name in cards)
    paths = tuple(_paths(matrix))
    return partial_machine(
        numa_nodes=_nodes(gpus),
        gpus=gpus,
        gpu_links=_links(paths, len(gpus)),
        nics=tuple(Nic(_nic_names(text).get(name, name), kind="rdma") for name in matrix.columns if name not in cards),
        unknown={
            "pci": sentence("topo-matrix.topo-m-shows", "topo -m shows no addresses and links"),
            "numa_nodes.partial": sentence("topo-matrix.only-nodes-gpus", "only nodes that have GPUs are named"),
            **{
                f"gpu{gpu.index}.numa_node.several": why
                for gpu, name in zip(gpus, cards, strict=True)
                if (why := _several(matrix, name))
            },
        },
        paths=paths,
        pci_complete=False,
    )


def _affinities(matrix: _Matrix, name: str) -> dict[str, str]:
    """The cells after the devices by their column's name; with cells missing, only a CPU list is sure."""
    cells = matrix.rows[name][len(matrix.columns) :]
    column_names = [re.sub(r" ?(Affinity|ID)", "", title).strip().split()[0] for title in matrix.affinity_columns]
    titles = ["CPU" if word == "CPU" else "NUMA" if word == "NUMA" else "own" for word in column_names]
    if len(cells) >= len(titles):
        return dict(zip(titles, cells, strict=False))
    return {"CPU": cells[0]} if cells and re.search(r"[-,]", cells[0]) else {}


def _gpu(name: str, matrix: _Matrix, vendor: str) -> Gpu:
    cells = _affinities(matrix, name)
    cpus = cpu_list(cells.get("CPU")) if re.fullmatch(r"[\d,-]+", cells.get("CPU", "")) else None
    node = int(cells["NUMA"]) if re.fullmatch(r"\d{1,5}", cells.get("NUMA", "")) else None
    return Gpu(int(name[3:]), numa_node=node, vendor=vendor, cpu_affinity=cpus or ())


def _several(matrix: _Matrix, name: str) -> str | None:
    cell = _affinities(matrix, name).get("NUMA", "")
    return (
        sentence("topo-matrix.driver-names-several", "the driver names several NUMA nodes ({cell})", cell=cell)
        if re.fullmatch(r"\d+[-,][\d,-]+", cell)
        else None
    )


def _paths(matrix: _Matrix) -> Iterator[DevicePath]:
    for i, a in enumerate(matrix.columns):
        row = matrix.rows.get(a, ())
        for j, b in enumerate(matrix.columns[i + 1 :], i + 1):
            cell = row[j] if len(row) > j else _mirrored(matrix, b, i)
            if cell and cell not in ("X", "S", "N/A") and _CELL.fullmatch(cell):
                yield DevicePath(a.replace("NPU", "GPU"), b.replace("NPU", "GPU"), _KINDS.get(cell, cell))


def _mirrored(matrix: _Matrix, b: str, i: int) -> str | None:
    """The other half of the matrix, where a's row is cut off."""
    row = matrix.rows.get(b, ())
    return row[i] if len(row) > i else None


def _links(paths: tuple[DevicePath, ...], count: int) -> tuple[GpuLink, ...]:
    """Bonded NVLinks, Huawei's HCCS and Intel's Xe links. Four GPUs may be joined directly: their rates are equal."""
    pairs = [path for path in paths if path.b.startswith("GPU") and re.match(r"NV\d|HCCS|XL|SIO", path.kind)]
    links = {int(path.kind[2:]) for path in pairs if path.kind.startswith("NV")}
    everyone = len(pairs) == count * (count - 1) // 2
    least = min(links, default=0)
    switched = everyone and ((count > 4 and least >= _SWITCHED) or (count == 4 and least >= 2 * _SWITCHED))
    return tuple(
        GpuLink(
            int(path.a[3:]),
            int(path.b[3:]),
            _kind(path.kind, switched),
            count=int(path.kind[2:]) if re.fullmatch(r"(?:NV|XL)\d+", path.kind) else None,
        )
        for path in pairs
    )


def _kind(path: str, switched: bool) -> str:
    if path.startswith("NV"):
        return "nvswitch" if switched else "nvlink"
    return "xelink" if path.startswith("XL") else "hccs"


def _nodes(gpus: tuple[Gpu, ...]) -> tuple[NumaNode, ...]:
    """NUMA nodes as far as GPUs name them, with the CPUs they name."""
    homes = {gpu.numa_node: gpu.cpu_affinity for gpu in gpus if gpu.numa_node is not None}
    return tuple(NumaNode(node, cpus=homes[node]) for node in sorted(n for n in homes if n is not None))


def _nic_names(text: str) -> dict[str, str]:
    """The legend's `NIC0: mlx5_0`."""
    return {match[1]: match[2] for match in re.finditer(r"^\s*(NIC\d+):\s*(\S+)", text, re.M)}


READER = Reader(
    "nvidia-smi topo -m",
    "nvidia-smi topo -m",
    sentence(
        "topo-matrix.text-paths-nvlinks",
        "paths and NVLinks between GPUs and network cards, CPUs and NUMA node of each GPU",
    ),
    ("GPU0", "GPU1", "NPU0", "GPU 0/0"),
    recognises,
    parse,
)
