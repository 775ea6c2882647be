"""The disk behind a folder: its mount, its kind, its PCI function, room left. Live only; nothing that names anybody."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from wellfed.hardware.machine import Disk
from wellfed.homes import under_home
from wellfed.message import sentence
from wellfed.topology.pci import ADDRESS, normal_address
from wellfed.topology.readers.storage import kind_of


def model_folders() -> tuple[Path, ...]:
    """Where the hub's client keeps models: HF_HUB_CACHE, HF_HOME, else its own place in the home folder."""
    cache_folder = os.environ.get("HF_HUB_CACHE") or os.environ.get("HF_HOME")
    return (Path(cache_folder) if cache_folder else under_home(".cache", "huggingface"),)


def look(folders: Iterable[Path]) -> list[dict[str, Any]]:
    """Facts of each folder's disk, as JSON. Empty where nothing can be told. Never raises."""
    disks = []
    for folder in folders:
        try:
            disks.append(_facts(folder))
        except OSError:
            continue
    return disks


def _facts(folder: Path) -> dict[str, Any]:
    while not folder.exists() and folder != folder.parent:
        folder = folder.parent
    room = os.statvfs(folder)
    mount = _mount(folder.resolve(), Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace"))
    device, file_system, source = mount
    kind, place, name = _block(device)
    kind = kind_of(source if source.startswith("/dev/") else "", file_system) or kind
    return {
        "name": name or (sentence("disks.network", "the network's") if kind == "network" else file_system),
        "kind": kind,
        "pci_address": place,
        "bytes": room.f_blocks * room.f_frsize,
        "free_bytes": room.f_bavail * room.f_frsize,
        "file_system": file_system,
        "holds_models": True,
    }


def _mount(folder: Path, mountinfo: str) -> tuple[str, str, str]:
    """Device number, file system and source of the mount that a folder is on: the longest that holds it (proc(5))."""
    best, mount = -1, ("0:0", "", "")
    for line in mountinfo.splitlines():
        before, _, right = line.partition(" - ")
        fields, after = before.split(), right.split()
        if len(fields) < 5 or len(after) < 2:
            continue
        point = fields[4].encode().decode("unicode_escape")
        inside = str(folder) == point or str(folder).startswith(point.rstrip("/") + "/")
        if inside and len(point) >= best:
            best, mount = len(point), (fields[2], after[0], after[1])
    return mount


def _block(device: str) -> tuple[str | None, str | None, str | None]:
    """Kind, PCI function and name of a block device, from its place in /sys; what is stacked on others is followed."""
    place = Path("/sys/dev/block") / device
    if not place.exists():
        return None, None, None
    here = place.resolve()
    below = sorted((here / "slaves").iterdir()) if (here / "slaves").is_dir() else []
    if below:
        here = below[0].resolve()
    names = str(here).split("/")
    addresses = [name for name in names if ADDRESS.fullmatch(name)]
    turning = _read(here / "queue" / "rotational") or _read(here.parent / "queue" / "rotational")
    if any(re.match(r"usb\d", name) for name in names):
        kind: str | None = "usb"
    elif any(name.startswith("nvme") for name in names):
        kind = "nvme"
    else:
        kind = {"1": "hdd", "0": "ssd"}.get(turning or "") if "virtio" not in str(here) else None
    return kind, normal_address(addresses[-1]) if addresses else None, f"/dev/{here.name}"


def _read(path: Path) -> str | None:
    try:
        return path.read_text(encoding="ascii").strip()
    except (OSError, UnicodeDecodeError):
        return None


def read_disks(facts: Any) -> tuple[Disk, ...]:
    """Disks of a snapshot's notes; what is not of the right type is left out."""
    if not isinstance(facts, list):
        return ()
    return tuple(
        Disk(
            name=str(disk.get("name") or "?"),
            kind=_text(disk.get("kind")),
            pci_address=_text(disk.get("pci_address")),
            bytes=_size(disk.get("bytes")),
            free_bytes=_size(disk.get("free_bytes")),
            file_system=_text(disk.get("file_system")),
            holds_models=disk.get("holds_models") is True,
        )
        for disk in facts[:64]
        if isinstance(disk, dict)
    )


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) else None


def _size(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value >= 0 else None
