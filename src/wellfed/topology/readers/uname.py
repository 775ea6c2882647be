"""`uname -a`: the kernel, and whether it is that of Windows' subsystem for Linux."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine, OsSettings
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader, partial_machine

_LINE = re.compile(
    r"^[ \t]*Linux \S+ (\d+\.\d+\S*) #\d[^\n]*?(x86_64|aarch64|ppc64le|riscv64)?(?: GNU/Linux)?[ \t]*$", re.M
)


def recognises(text: str) -> bool:
    """Whether the text has a line that `uname -a` prints."""
    return _LINE.search(text) is not None


def parse(text: str) -> Machine:
    """Kernel and architecture, and whether it is WSL."""
    line = _LINE.search(text)
    kernel = line[1] if line else None
    return partial_machine(
        os=OsSettings(
            kernel=kernel,
            architecture=line[2] if line else None,
            family="linux",
            wsl=True if "microsoft" in (kernel or "").lower() else None,
        )
    )


READER = Reader("uname -a", "uname -a", sentence("uname.text", "the kernel"), ("GNU/Linux",), recognises, parse)
