"""`nvidia-smi --query-gpu=... --format=csv`: one line per GPU, columns by name."""

from __future__ import annotations

import csv
import io
import re

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.topology.imports.numbers import count, known, quantity, size, switch
from wellfed.topology.imports.smi_fields import address_of

_COLUMN = re.compile(r"^(?:index|name|pstate|uuid|pci\.bus_id|pcie\.link\.|memory\.|gpu_|clocks|power\.|ecc\.|driver)")


def recognises(text: str) -> bool:
    """A header of at least two of nvidia-smi's column names."""
    return _header(text) is not None


def _header(text: str) -> int | None:
    for number, line in enumerate(text.splitlines()[:50]):
        names = [name.strip() for name in line.split(",")]
        strict = sum(
            bool(re.match(r"pstate|pci\.bus_id|pcie\.link|memory\.(total|free|used)|gpu_name", n)) for n in names
        )
        if len(names) >= 2 and strict and sum(bool(_COLUMN.match(name)) for name in names) >= 2:
            return number
    return None


def parse(text: str) -> Machine:
    """A GPU per row."""
    start = _header(text) or 0
    rows = list(csv.reader(io.StringIO("\n".join(text.splitlines()[start:]))))
    names = [re.sub(r"\s*\[[^\]]*\]", "", name).strip() for name in rows[0]]
    units = {re.sub(r"\s*\[.*", "", n).strip(): n for n in rows[0]}
    gpus: list[Gpu] = []
    devices: list[PciDevice] = []
    for row in rows[1:]:
        if len(row) != len(names):
            continue
        fields = {name: value.strip() for name, value in zip(names, row, strict=True)}
        gpu, device = _gpu(len(gpus), fields, units)
        gpus.append(gpu)
        devices.append(device)
    shown = tuple(device for device, gpu in zip(devices, gpus, strict=True) if gpu.pci_address)
    return Machine("", Origin.DUMP, gpus=tuple(gpus), pci=shown, pci_complete=False)


def _gpu(row: int, fields: dict[str, str], units: dict[str, str]) -> tuple[Gpu, PciDevice]:
    address = address_of(fields.get("pci.bus_id", fields.get("gpu_bus_id")))
    index = count(fields.get("index"))
    state = re.match(r"P(\d+)", fields.get("pstate", ""))
    current = _link(fields, "current", "gpucurrent")
    device = PciDevice(
        address or f"row {row}", vendor_id=0x10DE, class_code=0x030200, link_current=current,
        link_max=_link(fields, "gpumax", "max", "hostmax"),
    )  # fmt: skip
    gpu = Gpu(
        index=row if index is None else index,
        name=known(fields.get("name", fields.get("gpu_name"))),
        memory_bytes=_memory(fields, units, "memory.total"),
        memory_free_bytes=_memory(fields, units, "memory.free"),
        pci_address=address,
        link=None if address else _loaded(current, state),
        performance_state=int(state[1]) if state else None,
        ecc_enabled=switch(fields.get("ecc.mode.current")),
        persistence=switch(fields.get("persistence_mode")),
        power_limit_w=quantity(fields.get("power.limit")),
        power_draw_w=quantity(fields.get("power.draw")),
        vendor="nvidia",
        driver=known(fields.get("driver_version")),
        link_host_generation=count(fields.get("pcie.link.gen.hostmax")),
        link_generation=_first(fields, "pcie.link.gen.gpucurrent", "pcie.link.gen.current"),
        link_generation_max=_first(fields, "pcie.link.gen.gpumax", "pcie.link.gen.max"),
    )
    return gpu, device


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
    if text and text.isdigit() and "MiB" in units.get(name, ""):
        return int(text) << 20
    return size(text)
