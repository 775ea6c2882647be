"""AMD cards by the name of their architecture alone: what ROCm's tools print where the card's own name is empty."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from wellfed.catalog.cut_names import near
from wellfed.hardware.parts import GpuSpec
from wellfed.patterns import regex

# Products of each processor name: LLVM's user guide of the AMDGPU back end (llvm.org/docs/AMDGPUUsage.html, table
# "AMDGPU Processors") and ROCm's list of GPUs (rocm.docs.amd.com, "Accelerator and GPU hardware specifications").
# Left out: gfx90a, where an MI210 and each half of an MI250 report the same memory.
_PRODUCTS: Mapping[str, tuple[str, ...]] = {
    "gfx900": ("mi25", "rx-vega-56", "rx-vega-64"),
    "gfx906": ("mi50-16gb", "mi50-32gb", "mi60", "radeon-vii"),
    "gfx908": ("mi100",),
    "gfx942": ("mi300a", "mi300x", "mi325x"),
    "gfx950": ("mi350x", "mi355x"),
    "gfx1030": ("rx-6800", "rx-6800-xt", "rx-6900-xt", "rx-6950-xt", "pro-w6800", "pro-v620"),
    "gfx1100": ("rx-7900-gre", "rx-7900-xt", "rx-7900-xtx", "pro-w7800-32gb", "pro-w7800-48gb", "pro-w7900"),
    "gfx1101": ("rx-7700-xt", "rx-7800-xt", "pro-w7700", "pro-v710"),
    "gfx1200": ("rx-9060-xt-8gb", "rx-9060-xt-16gb"),
    "gfx1201": ("rx-9070", "rx-9070-xt", "rx-9070-gre", "ai-pro-r9700"),
}
_NAME = regex(r"\(?(gfx[0-9a-f]{3,4})(?::[\w:+-]*)?\)?", re.IGNORECASE)


def architecture(name: str) -> str | None:
    """The architecture that a name is and no more: `gfx950:sramecc+:xnack-` is gfx950; None for other names."""
    match = _NAME.fullmatch(name.strip())
    return match[1].lower() if match else None


def of_architecture(name: str, memory_bytes: int | None, specs: Iterable[GpuSpec]) -> GpuSpec | None:
    """The one card of that architecture and memory; None where several are meant, or none is known."""
    products = _PRODUCTS.get(architecture(name) or "", ())
    candidates = [spec for spec in specs if spec.id in products]
    if memory_bytes is not None:
        candidates = [spec for spec in candidates if near(spec, memory_bytes)]
    return candidates[0] if len(candidates) == 1 else None
