"""How many bytes of RAM llama.cpp's server may fill with the prompts of those who may come back.

Its own default is 8 GiB whatever the machine has (ggml-org/llama.cpp, pull request 16391): on a machine that the model
nearly fills, that ends in the kernel killing it.
"""

from __future__ import annotations

from wellfed.nouns.estimate import Memory
from wellfed.units import GIB, MIB

_MOST_BYTES = 8 * GIB  # the server's own default
_STEP_BYTES = 64 * MIB  # it is rounded down to: ours
_SHARE = 4  # one part in so many of what is left: assumed


def prompt_cache_bytes(memory: Memory, sequences: int) -> int | None:
    """min(8 GiB, a quarter of the RAM that the ledger leaves), in steps of 64 MiB; 0 switches it off.

    0, too, where one sequence of the whole context would not fit: the server keeps one whatever the bound. None when
    the RAM is unknown: the server's default stands.
    """
    ram = next((device for device in memory.devices if device.device == "ram"), None)
    if ram is None or ram.spare_bytes is None:
        return None
    cache_bytes = min(_MOST_BYTES, max(0, int(ram.spare_bytes)) // _SHARE) // _STEP_BYTES * _STEP_BYTES
    sequence_bytes = sum(t.bytes for device in memory.devices for t in device.terms if t.name == "kv") / max(
        1, sequences
    )
    return cache_bytes if cache_bytes >= sequence_bytes else 0
