"""/proc/cmdline: the kernel's parameters."""

from __future__ import annotations

import re

from wellfed.hardware.machine import Machine, Origin, OsSettings
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader


def recognises(text: str) -> bool:
    """One line that starts as boot loaders write it."""
    return len(text.strip().splitlines()) == 1 and bool(re.match(r"\s*(?:BOOT_IMAGE=|root=|ro |quiet )\S*", text))


def parse(text: str) -> Machine:
    """The command line without identifiers."""
    line = re.sub(r"UUID=\S+", "UUID=redacted", text.strip())
    return Machine("", Origin.DUMP, os=OsSettings(command_line=line))


READER = Reader(
    "/proc/cmdline",
    "cat /proc/cmdline",
    sentence("cmdline.text-kernel-parameters", "kernel parameters"),
    ("BOOT_IMAGE=", "root=", "ro ", "quiet "),
    recognises,
    parse,
)
