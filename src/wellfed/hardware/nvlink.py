"""NVLink by the data sheet: the rate of one link, and how many a card has."""

from __future__ import annotations

from wellfed.hardware.parts import GpuSpec

# One NVLink, one direction, by GPU architecture (NVIDIA data sheets: P100, V100, A100, H100, B200)
_BYTES_PER_S = {"pascal": 20e9, "volta": 25e9, "turing": 25e9, "ampere": 25e9, "hopper": 25e9, "blackwell": 50e9}
_GDDR_AMPERE_BYTES_PER_S = 14.0625e9  # RTX 3090, A40, RTX A6000 ...: 56.25 GB/s over 4 links


def nvlink_bytes_per_s(spec: GpuSpec) -> float | None:
    """One link, one direction; None for cards without NVLink."""
    if spec.vendor != "nvidia" or not spec.link_bytes_per_s:
        return None
    if spec.architecture == "ampere" and spec.memory_type.upper().startswith("GDDR"):
        return _GDDR_AMPERE_BYTES_PER_S
    return _BYTES_PER_S.get(spec.architecture)


def nvlinks(spec: GpuSpec) -> int | None:
    """Links that the product uses: 12 of the 18 on an H100 NVL's chip."""
    single = nvlink_bytes_per_s(spec)
    return round((spec.link_bytes_per_s or 0) / single) if single else None
