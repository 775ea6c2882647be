"""One GPU out of nvidia-smi's fields, whether they came as XML or as text.

Fields are keyed by their path, lower case with underscores: `fb_memory_usage/total`. XML tags and text titles differ
here and there, so each value has several names.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wellfed.hardware.machine import Gpu
from wellfed.hardware.pcie import PciDevice, PcieLink
from wellfed.topology.pci import normal_address
from wellfed.topology.readers.numbers import count, not_na, quantity, size, switch

Fields = Mapping[str, str]
_DRAWS = ("power_draw", "instant_power_draw", "average_power_draw", "instantaneous_power_draw")
_REMAPPING_FAILED = ("remapped_rows/remapped_row_failure", "remapped_rows/remapping_failure_occurred")
_RETIREMENT_PENDING = (
    "retired_pages/pending_retirement",
    "retired_pages/pending_blacklist",
    "retired_pages/pending_page_blacklist",
)
_WHOLE = ("clocks_throttle_reasons", "clocks_event_reasons")  # sections of a whole `-q`, not of `-q -d MEMORY`


def key_of(title: str) -> str:
    """A title as a key part: `FB Memory Usage` is `fb_memory_usage`."""
    return re.sub(r"[^a-z0-9.]+", "_", title.strip().lower()).strip("_")


def _get(fields: Fields, *names: str) -> str | None:
    return next((fields[name] for name in names if name in fields), None)


def gpu_of(index: int, address: str | None, fields: Fields, driver: str | None) -> Gpu:
    """The GPU's state. N/A is None."""
    pstate = re.match(r"P(\d+)", not_na(_get(fields, "performance_state")) or "")
    clock = quantity(_get(fields, "clocks/sm_clock", "clocks/sm"))
    clock_max = quantity(_get(fields, "max_clocks/sm_clock", "max_clocks/sm"))
    return Gpu(
        index=index,
        name=not_na(_get(fields, "product_name")),
        memory_bytes=size(_get(fields, "fb_memory_usage/total")),
        memory_free_bytes=size(_get(fields, "fb_memory_usage/free")),
        pci_address=address,
        power_limit_w=_power(fields, "enforced_power_limit", "current_power_limit", "power_limit"),
        performance_state=int(pstate[1]) if pstate else None,
        clock_hz=clock * 1e6 if clock is not None else None,
        throttle_reasons=_reasons(fields),
        driver_told_all=any(key.startswith(_WHOLE) for key in fields),
        ecc_enabled=switch(_get(fields, "ecc_mode/current_ecc", "ecc_mode/current")),
        ecc_uncorrected=_errors(fields, "uncorrectable", "double_bit"),
        remapped_rows_pending=switch(_get(fields, "remapped_rows/remapped_row_pending", "remapped_rows/pending")),
        persistence=switch(_get(fields, "persistence_mode")),
        foreign_processes=count(_get(fields, "process_count")),
        vendor="nvidia",
        link_host_generation=count(_get(fields, _PCI + "pcie_gen/max_host_link_gen", _GEN + "host_max")),
        replays=count(_get(fields, "pci/replay_counter", "pci/replays_since_reset")),
        clock_max_hz=clock_max * 1e6 if clock_max is not None else None,
        power_draw_w=_power(fields, *_DRAWS),
        temperature_c=quantity(_get(fields, "temperature/gpu_temp", "temperature/gpu_current_temp")),
        bar1_bytes=size(_get(fields, "bar1_memory_usage/total")),
        driver=driver,
        mig=switch(_get(fields, "mig_mode/current_mig", "mig_mode/current")),
        virtualisation=_lower(_get(fields, "gpu_virtualization_mode/virtualization_mode")),
        ecc_pending=switch(_get(fields, "ecc_mode/pending_ecc", "ecc_mode/pending")),
        ecc_corrected=_errors(fields, "correctable", "single_bit"),
        remapping_failed=switch(_get(fields, *_REMAPPING_FAILED)),
        retired_pages_pending=switch(_get(fields, *_RETIREMENT_PENDING)),
        fabric_state=_lower(_get(fields, "fabric/state")),
        memory_clock_hz=_megahertz(fields, "clocks/mem_clock", "clocks/memory"),
        memory_clock_max_hz=_megahertz(fields, "max_clocks/mem_clock", "max_clocks/memory"),
        power_limit_default_w=_power(fields, "default_power_limit"),
    )


_PCI = "pci/pci_gpu_link_info/"
_GEN = "pci/gpu_link_info/pcie_generation/"
_WIDTH = "pci/gpu_link_info/link_width/"


def pci_of(address: str, fields: Fields) -> PciDevice:
    """The GPU's PCI function: ids and its own link; the maximum is what the card itself can do."""
    ids = re.fullmatch(
        r"(?:0x)?([0-9A-Fa-f]{4})([0-9A-Fa-f]{4})", not_na(_get(fields, "pci/pci_device_id", "pci/device_id")) or ""
    )
    newest = _get(fields, _PCI + "pcie_gen/max_device_link_gen", _GEN + "device_max")
    newest = newest if count(newest) else _get(fields, _PCI + "pcie_gen/max_link_gen", _GEN + "max")
    return PciDevice(
        address=address,
        vendor_id=int(ids[2], 16) if ids else 0x10DE,
        device_id=int(ids[1], 16) if ids else None,
        class_code=0x030200,
        link_current=_link(
            _get(fields, _PCI + "pcie_gen/current_link_gen", _GEN + "current"),
            _get(fields, _PCI + "link_widths/current_link_width", _WIDTH + "current"),
        ),
        link_max=_link(newest, _get(fields, _PCI + "link_widths/max_link_width", _WIDTH + "max")),
    )


def address_of(text: str | None) -> str | None:
    """`00000000:06:00.0` as 0000:06:00.0."""
    address = not_na(text)
    return (
        normal_address(address)
        if address and re.fullmatch(r"[0-9A-Fa-f]{4,8}:[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\.\d", address)
        else None
    )


def _link(generation: str | None, width: str | None) -> PcieLink | None:
    gen, lanes = count(generation), count(width)
    return PcieLink(gen, lanes) if gen and lanes and 1 <= gen <= 6 and lanes <= 32 else None


def _megahertz(fields: Fields, *names: str) -> float | None:
    value = quantity(_get(fields, *names))
    return value * 1e6 if value is not None else None


def _lower(text: str | None) -> str | None:
    value = not_na(text)
    return value.lower() if value else None


def _power(fields: Fields, *names: str) -> float | None:
    for section in ("gpu_power_readings", "power_readings"):
        for name in names:
            value = quantity(_get(fields, f"{section}/{name}"))
            if value is not None:
                return value
    return None


def _errors(fields: Fields, word: str, old: str) -> int | None:
    """Errors since the driver loaded, summed over SRAM and DRAM; the older layout has a total."""
    counts = []
    for key, value in fields.items():
        if not key.startswith("ecc_errors/volatile/"):
            continue
        last = key.rpartition("/")[2]
        if re.match(rf"[sd]ram_{word}", last) or key.endswith(f"{old}/total"):
            number = count(value)
            counts += [number] if number is not None else []
    return sum(counts) if counts else None


def _reasons(fields: Fields) -> tuple[str, ...]:
    """Active throttle reasons, named as NVML does."""
    reasons = []
    for key, value in fields.items():
        section, _, last = key.rpartition("/")
        if section.startswith(("clocks_throttle_reasons", "clocks_event_reasons")) and value.strip() == "Active":
            name = re.sub(r"^clocks_(?:throttle|event)_reason_", "", last)
            reasons.append({"idle": "gpu_idle"}.get(name, name))
    return tuple(reasons)
