"""`df -hT`, `lsblk -o NAME,SIZE,ROTA,TRAN,MOUNTPOINT`: where files lie, on what kind of disk, how much is left."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellfed.hardware.machine import Disk, Machine
from wellfed.message import sentence
from wellfed.topology.readers.reader import Reader, partial_machine

_DF_HEAD = re.compile(
    r"^\s*Filesystem\s+(?:Type\s+)?(\S*[Bb]locks|Size)\s+Used\s+Avail\S*\s+(?:Use%|Capacity)\s+Mounted on\s*$", re.M
)
_DF = re.compile(
    r"^(\S+)\s+(?:([a-z][\w.]*)\s+)?([\d.]+[KMGTP]?)i?B?\s+([\d.]+[KMGTP]?)i?B?\s+([\d.]+[KMGTP]?)i?B?\s+\d+%\s+(/\S*)\s*$"
)
_LSBLK_HEAD = re.compile(r"^\s*NAME\s+(?:\S+\s+)*?(?:SIZE|ROTA|TRAN|TYPE)\b[^\n]*$", re.M)
NETWORK = frozenset(
    {
        "nfs",
        "nfs4",
        "cifs",
        "smb3",
        "ceph",
        "lustre",
        "glusterfs",
        "fuse.sshfs",
        "beegfs",
        "gpfs",
        "9p",
        "fuse.juicefs",
        "fuse.s3fs",
        "virtiofs",
    }
)
MEMORY = frozenset({"tmpfs", "ramfs"})


def kind_of(name: str, file_system: str | None) -> str | None:
    """What the names tell: nvme, network, overlay, memory."""
    if file_system in NETWORK or re.match(r"^(?:[\w.-]+:/|//)", name):
        return "network"
    if file_system == "overlay" or name == "overlay":
        return "overlay"
    if file_system in MEMORY or name == "tmpfs":
        return "memory"
    return "nvme" if "nvme" in name else None


def recognises(text: str) -> bool:
    """Whether a head line of `df` or `lsblk` is there."""
    return bool(_DF_HEAD.search(text) or _LSBLK_HEAD.search(text))


def parse(text: str) -> Machine:
    """The disks and what is mounted where."""
    return partial_machine(disks=(*_mounts(text), *_blocks(text)))


def _mounts(text: str) -> Iterator[Disk]:
    head = _DF_HEAD.search(text)
    if head is None:
        return
    factor = 1024 if "1K" in head[1] or head[1] == "Size" else 512 if "512" in head[1] else 1024
    for line in text[head.end() :].splitlines():
        match = _DF.match(line.strip())
        if match and not re.match(r"^(?:tmpfs|devtmpfs|udev|efivarfs|/dev/loop)", match[1]):
            yield Disk(
                match[1],
                kind_of(match[1], match[2]),
                bytes=_bytes(match[3], factor),
                free_bytes=_bytes(match[5], factor),
                file_system=match[2],
                mount=match[6],
            )


def _bytes(text: str, factor: int) -> int:
    unit = text[-1] if text[-1].isalpha() else ""
    value = float(re.sub(r"[A-Z]", "", text).strip(".") or 0)
    return round(value * (1024 ** (" KMGTP".index(unit)) if unit else factor))


def _blocks(text: str) -> Iterator[Disk]:
    head = _LSBLK_HEAD.search(text)
    if head is None:
        return
    names = head[0].split()
    for line in text[head.end() :].splitlines():
        cells = re.sub(r"^[\s├└─│|`-]+", "", line).split()
        if not cells or len(cells) < 2 or re.match(r"^[├└│|`\s]", line) or cells[0].startswith(("loop", "ram")):
            continue
        row = dict(zip(names, cells, strict=False))
        if row.get("TYPE", "disk") != "disk":
            continue
        turning = row.get("ROTA")
        transport = row.get("TRAN", "")
        kind = "usb" if transport == "usb" else "nvme" if "nvme" in cells[0] or transport == "nvme" else None
        if kind is None and turning in ("0", "1"):
            kind = "hdd" if turning == "1" else "ssd"
        size = re.fullmatch(r"([\d.]+)([KMGTP])", row.get("SIZE", ""))
        yield Disk(f"/dev/{cells[0]}", kind, bytes=_bytes(size[0], 1) if size else None)


READER = Reader(
    "df, lsblk",
    "df -hT; lsblk -o NAME,SIZE,ROTA,TRAN,TYPE",
    sentence("storage.text-disks-what-kind", "disks, what kind they are, room left"),
    ("Filesystem", "NAME"),
    recognises,
    parse,
)
