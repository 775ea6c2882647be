"""What llama.cpp's log says it allocated (verbose logs only)."""

from __future__ import annotations

import re

from wellfed.units import MIB

# load_tensors:   CPU_Mapped model buffer size =    92.10 MiB
_BUFFER = re.compile(r"(\S+)\s+(model|KV|compute|output)\s+buffer size\s*=\s*([0-9.]+) MiB")


def buffers(log: str) -> dict[tuple[str, str], float]:
    """(backend, kind) -> bytes, as CPU_REPACK, model or CPU, KV. A line that comes again replaces the earlier one."""
    return {(backend, kind): float(size) * MIB for backend, kind, size in _BUFFER.findall(log)}
