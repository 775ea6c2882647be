"""`nvidia-smi --query-gpu=... --format=csv`: one line per GPU, columns by name."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.message import sentence
from wellfed.topology.readers.numbers import count, not_na, quantity, size, switch
from wellfed.topology.readers.reader import Reader
from wellfed.topology.readers.smi_fields import address_of

_COLUMN = re.compile(r"^(?:index|name|pstate|uuid|pci\.bus_id|pcie\.link\.|memory\.|gpu_|clocks|power\.|ecc\.|driver)")


_QUERY = re.compile(
    r"--query-gpu[= ]([\w.,]+)[^\n]*--format[= ]\S*noheader|--format[= ]\S*noheader\S*[^\n]*--query-gpu[= ]([\w.,]+)"
)
_STRICT = re.compile(
    r"pstate|pci\.bus_id|gpu_bus_id|pcie\.link|memory\.(total|free|used)|gpu_name|driver_version|power\.limit|compute_cap"
)
_MOST_LINES = 4000  # a limit of ours


def recognises(text: str) -> bool:
    """A header of at least two of nvidia-smi's column names, or the command that asked for no header."""
    return _table(text) is not None


def _table(text: str) -> tuple[list[str], list[str]] | None:
    """Column titles with their units, and the lines below."""
    lines = text.splitlines()[:_MOST_LINES]
    for number, line in enumerate(lines):
        query = _QUERY.search(line)
        if query:
            return (query[1] or query[2]).split(","), lines[number + 1 :]
        if "--query-gpu" in line:  # the command itself: its table comes below
            continue
        titles = [title.strip() for title in line.split(",")]
        if (
            len(titles) >= 2
            and sum(bool(_COLUMN.match(title)) for title in titles) >= 2
            and any(_STRICT.match(title) for title in titles)
        ):
            return titles, lines[number + 1 :]
    return None


def parse(text: str) -> Machine:
    """A GPU per row; of repeated samples the last that is there counts."""
    titles, lines = _table(text) or ([], [])
    names = [re.sub(r"\s*\[[^\]]*\]", "", title).strip() for title in titles]
    units = dict(zip(names, titles, strict=True))
    rows: dict[str, tuple[Gpu, PciDevice]] = {}
    for line in lines:
        cells = line.split(",")
        if len(cells) != len(names):
            continue
        fields = {name: value.strip() for name, value in zip(names, cells, strict=True)}
        key = next(
            (fields[name] for name in ("pci.bus_id", "gpu_bus_id", "index", "uuid", "gpu_uuid") if name in fields), ""
        )
        if key in ("pci.bus_id", "index", "uuid"):
            continue
        gpu, device = _gpu(len(rows), fields, units)
        rows[key or str(len(rows))] = gpu, device
    cards = list(rows.values())
    return Machine(
        "",
        Origin.DUMP,
        gpus=tuple(gpu for gpu, _ in cards),
        pci=tuple(device for gpu, device in cards if gpu.pci_address),
        pci_complete=False,
        unknown={} if cards else {"gpus": sentence("nvidia-smi-csv.table-row", "the table has no row")},
    )


def _gpu(row: int, fields: dict[str, str], units: dict[str, str]) -> tuple[Gpu, PciDevice]:
    address = address_of(fields.get("pci.bus_id", fields.get("gpu_bus_id")))
    index = count(fields.get("index"))
    state = re.match(r"P(\d+)", fields.get("pstate", ""))
    current = _link(fields, "current", "gpucurrent")
    device = PciDevice(
        address or f"row {row}",
        vendor_id=0x10DE,
        class_code=0x030200,
        link_current=current,
        link_max=_link(fields, "gpumax", "max", "hostmax"),
    )
    gpu = Gpu(
        index=row if index is None else index,
        name=not_na(fields.get("name", fields.get("gpu_name"))),
        memory_bytes=_memory(fields, units, "memory.total"),
        memory_free_bytes=_free(fields, units),
        pci_address=address,
        link=None if address else _loaded(current, state),
        performance_state=int(state[1]) if state else None,
        ecc_enabled=switch(fields.get("ecc.mode.current")),
        persistence=switch(fields.get("persistence_mode")),
        ecc_pending=switch(fields.get("ecc.mode.pending")),
        ecc_uncorrected=count(fields.get("ecc.errors.uncorrected.volatile.total")),
        ecc_corrected=count(fields.get("ecc.errors.corrected.volatile.total")),
        mig=switch(fields.get("mig.mode.current")),
        temperature_c=quantity(fields.get("temperature.gpu")),
        clock_hz=_megahertz(fields, "clocks.current.sm", "clocks.sm"),
        clock_max_hz=_megahertz(fields, "clocks.max.sm"),
        memory_clock_hz=_megahertz(fields, "clocks.current.memory", "clocks.mem"),
        memory_clock_max_hz=_megahertz(fields, "clocks.max.memory", "clocks.max.mem"),
        power_limit_default_w=quantity(fields.get("power.default_limit")),
        power_limit_w=quantity(fields.get("power.limit")),
        power_draw_w=quantity(fields.get("power.draw")),
        vendor="nvidia",
        driver=not_na(fields.get("driver_version")),
        link_host_generation=count(fields.get("pcie.link.gen.hostmax")),
        link_generation=_first(fields, "pcie.link.gen.gpucurrent", "pcie.link.gen.current"),
        link_generation_max=_first(fields, "pcie.link.gen.gpumax", "pcie.link.gen.max"),
        link_width=_first(fields, "pcie.link.width.current"),
        link_width_max=_first(fields, "pcie.link.width.max"),
    )
    return gpu, device


def _free(fields: dict[str, str], units: dict[str, str]) -> int | None:
    free = _memory(fields, units, "memory.free")
    total, used = _memory(fields, units, "memory.total"), _memory(fields, units, "memory.used")
    return max(0, total - used) if free is None and total is not None and used is not None else free


def _megahertz(fields: dict[str, str], *names: str) -> float | None:
    value = next((q for name in names if (q := quantity(fields.get(name))) is not None), None)
    return value * 1e6 if value is not None else None


def _first(fields: dict[str, str], *names: str) -> int | None:
    return next((value for name in names if (value := count(fields.get(name))) is not None), None)


def _loaded(current: PcieLink | None, state: re.Match[str] | None) -> PcieLink | None:
    """Without an address there is no tree to judge by: only a link seen in P0 counts."""
    return current if state and state[1] == "0" else None


def _link(fields: dict[str, str], *kinds: str) -> PcieLink | None:
    generation = next((g for kind in kinds if (g := count(fields.get(f"pcie.link.gen.{kind}")))), None)
    width_kind = "current" if "current" in kinds else "max"
    width = count(fields.get(f"pcie.link.width.{width_kind}"))
    if not generation or not width or not 1 <= generation <= 6 or not 1 <= width <= 32:
        return None
    return PcieLink(generation, width)


def _memory(fields: dict[str, str], units: dict[str, str], name: str) -> int | None:
    """`24576 MiB`, or a bare number under a `[MiB]` header (nounits)."""
    text = fields.get(name)
    if text and text.isdecimal() and len(text) < 9 and ("MiB" in units.get(name, "") or units.get(name) == name):
        return int(text) << 20
    return size(text)


READER = Reader(
    "nvidia-smi --query-gpu",
    "nvidia-smi --query-gpu=index,name,pci.bus_id,pstate,pcie.link.gen.gpucurrent,pcie.link.gen.gpumax,"
    "pcie.link.gen.hostmax,pcie.link.width.current,pcie.link.width.max,memory.total,memory.free,power.limit,"
    "clocks.max.memory --format=csv",
    sentence("nvidia-smi-csv.text-what-asked-each", "what was asked for of each GPU"),
    (
        "memory.",
        "bus_id",
        "pcie.link",
        "pstate",
        "gpu_name",
        "driver_version",
        "power.limit",
        "compute_cap",
        "--query-gpu",
    ),
    recognises,
    parse,
)
