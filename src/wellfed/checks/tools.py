"""Each vendor's own tool for what a remedy or a question says in `nvidia-smi`'s words.

Sources: AMD SMI CLI reference (`amd-smi set --power-cap`, `reset --gpureset`, `process`, `topology`, `xgmi`), Intel XPU
Manager's `xpu-smi` (`config --powerlimit`, `config --reset`, `ps`, `topology -m`), Huawei's `npu-smi info`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from wellfed.message import sentence

# what an idle GPU does not show
UNDER_LOAD = sentence("check.ask.under-load", "{command} (while the GPUs work)", command="nvidia-smi -q")

_WORDS: Mapping[str, tuple[tuple[str, str], ...]] = {
    "amd": (
        (r"nvidia-smi -i (\d+) -r\b.*", r"amd-smi reset --gpureset -g \1"),
        (r"nvidia-smi -i (\d+) -pl (\d+)", r"amd-smi set -g \1 --power-cap \2"),
        (r"nvidia-smi --query-compute-apps\S* .*", "amd-smi process"),
        (r"nvidia-smi topo .*", "amd-smi topology"),
        (r"nvidia-smi nvlink .*", "amd-smi xgmi"),
        (r"nvidia-smi -q(?: \(.*\))?", "amd-smi static; amd-smi metric"),
        (r"nvidia-smi", "amd-smi"),
    ),
    "intel": (
        (r"nvidia-smi -i (\d+) -r\b.*", r"xpu-smi config -d \1 --reset"),
        (r"nvidia-smi -i (\d+) -pl (\d+)", r"xpu-smi config -d \1 --powerlimit \2"),
        (r"nvidia-smi --query-compute-apps\S* .*", "xpu-smi ps"),
        (r"nvidia-smi topo .*", "xpu-smi topology -m"),
        (r"nvidia-smi -q(?: \(.*\))?", "xpu-smi discovery -d 0; xpu-smi stats -d 0"),
        (r"nvidia-smi", "xpu-smi discovery"),
    ),
    "ascend": ((r"nvidia-smi topo .*", "npu-smi info -t topo"), (r"nvidia-smi(?: -q.*)?", "npu-smi info")),
    "hygon": ((r"nvidia-smi(?: -q.*)?", "hy-smi"),),
    "moorethreads": ((r"nvidia-smi(?: -q.*)?", "mthreads-gmi"),),
    "metax": ((r"nvidia-smi(?: -q.*)?", "mx-smi"),),
}


_OTHER_NAMES = {"huawei": "ascend"}  # the catalogue's for what the tool calls it


def in_words_of(vendor: str | None, command: str) -> str | None:
    """The command for a vendor's cards; as it is where it is not NVIDIA's, None where that vendor has none."""
    if vendor in (None, "nvidia") or "nvidia-smi" not in command:
        return command
    for pattern, replacement in _WORDS.get(_OTHER_NAMES.get(vendor or "", vendor or ""), ()):
        if match := re.fullmatch(pattern, command):
            return match.expand(replacement)
    return None


def all_in_words_of(vendor: str | None, commands: Iterable[str]) -> tuple[str, ...]:
    """Commands for a vendor's cards, each once."""
    return tuple(dict.fromkeys(_translated(vendor, commands)))


def _translated(vendor: str | None, commands: Iterable[str]) -> Iterator[str]:
    for command in commands:
        translated = in_words_of(vendor, command)
        if translated is not None:
            yield translated
