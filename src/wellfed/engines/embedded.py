"""What the embedded llama.cpp build does that others need not: layouts of it carry these options."""

from __future__ import annotations

import platform

MODULE = "wellfed.launch.embedded"


def options() -> tuple[tuple[str, str], ...]:
    """On x86 nothing past AVX2."""
    return (("isa", "avx2"),) if platform.machine() in {"x86_64", "AMD64"} else ()
