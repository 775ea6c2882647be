"""The one program that runs on a node: a POSIX-sh script that prints the raw files of a snapshot as a stream."""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from wellfed.topology.collect import CGROUP_FILES, WANTED

VERSION = 1
_LINKS = (
    "/sys/bus/pci/devices/*",
    "/sys/bus/pci/devices/*/driver",
    "/sys/bus/pci/devices/*/iommu_group",
    "/sys/class/net/*",
    "/sys/class/net/*/device",
    "/sys/class/infiniband/*",
    "/sys/class/infiniband/*/device",
    "/sys/class/drm/card[0-9]*",
    "/sys/class/drm/card[0-9]*/device",
    "/sys/class/iommu/*",
    "/sys/class/kfd/kfd",
    "/sys/class/dmi/id",
    "/sys/devices/system/node/node[0-9]*/access[01]/initiators/node[0-9]*",
)


@cache
def script() -> str:
    """The script's text, with the list of files that a snapshot is made of (`topology.collect.WANTED`)."""
    text = resources.files("wellfed.fleet").joinpath("node.sh").read_text(encoding="utf-8")
    files = "\n".join(pattern for files_wanted in WANTED for pattern in _expanded(files_wanted))
    filled = {"VERSION": str(VERSION), "LINKS": "\n".join(_LINKS), "FILES": files, "GROUP": " ".join(CGROUP_FILES)}
    return re.sub(r"@([A-Z]+)@", lambda match: filled[match[1]], text)


def _expanded(pattern: str) -> list[str]:
    """Shell patterns, one for each name in the braces; what only our own snapshots hold is left out."""
    if pattern.startswith("/wellfed/"):
        return []
    head, brace, names = pattern.partition("{")
    if not brace:
        return [pattern]
    chosen = names.rstrip("}").split(",")
    return [head + name for name in chosen if head + name not in _LINKS]
