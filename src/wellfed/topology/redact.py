"""Leaving out what identifies a machine or a person: serials, UUIDs, MACs, host, user and group names."""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.topology.smbios import structures
from wellfed.topology.snapshot import Snapshot

_UUID = re.compile(r"\b[0-9a-f]{8}-(?:[0-9a-f]{4}-){3}[0-9a-f]{12}\b", re.IGNORECASE)
_MAC = re.compile(r"(?<![0-9a-f:.])(?:[0-9a-f]{2}:){5}[0-9a-f]{2}(?![0-9a-f:])", re.IGNORECASE)
_SERIAL = re.compile(r"(?im)^(\s*(?:serial(?: number)?|asset tag|uuid|gpu uuid|hostname|system uuid)\s*[:=]\s*).*$")
_NAMED = re.compile(r"\b((?:ip|hostname|host|nfsroot|BOOTIF|rd\.luks\.\w+|cryptdevice|user|systemd\.\S*)=)\S+")
_DMI = "/sys/firmware/dmi/tables/DMI"
# Strings that identify: SMBIOS type -> offsets of their numbers (DSP0134 3.7: serial number, asset tag, ...)
_DMI_SERIALS = {1: (0x07, 0x19), 2: (0x07, 0x08), 3: (0x07, 0x08), 4: (0x20, 0x21), 17: (0x18, 0x19)}
_DMI_KEPT = frozenset({0, 1, 2, 3, 4, 7, 9, 16, 17, 19, 20, 127})


def redact(snapshot: Snapshot) -> Snapshot:
    """The snapshot without identifiers. Structure and figures stay."""
    groups = _group_names(snapshot)
    files = {_hide_groups(path, groups): _clean(path, data, groups) for path, data in snapshot.files.items()}
    dumps = {name: clean_text(text) for name, text in snapshot.dumps.items()}
    return replace(snapshot, files=files, dumps=dumps)


def clean_text(text: str) -> str:
    """Text without UUIDs, MAC addresses, serial numbers and named hosts."""
    text = _MAC.sub("00:00:00:00:00:00", _UUID.sub("redacted", text))
    return _NAMED.sub(r"\1redacted", _SERIAL.sub(r"\1redacted", text))


def _clean(path: str, data: bytes, groups: dict[str, str]) -> bytes:
    if path == _DMI:
        return _dmi(data)
    if path.endswith(("/config", "/smbios_entry_point")) or path.startswith("/sys/devices/system/"):
        return data
    text = data.decode("utf-8", "surrogateescape")
    if path in ("/proc/mounts", "/proc/self/mounts"):
        text = "\n".join(line for line in text.splitlines() if re.search(r" (cgroup2?|cpuset) ", line))
    if path == "/proc/self/status":
        text = "\n".join(line for line in text.splitlines() if "_allowed_list" in line)
    if path in ("/proc/version", "/proc/hwloc-nofile-info"):
        text = re.sub(r"\([^()]*@[^()]*\)", "", text)
    if path == "/proc/swaps":
        text = re.sub(r"(?m)^/\S*", "swap", text)
    text = clean_text(_hide_groups(text, groups) if path.startswith("/proc/self/c") else text)
    return text.encode("utf-8", "surrogateescape")


def _group_names(snapshot: Snapshot) -> dict[str, str]:
    """Control group path components, which hold user ids, pod ids and job names, with their stand-ins."""
    names: dict[str, str] = {}
    text = b"\n".join(snapshot.files.get(f"/proc/self/{name}", b"") for name in ("cgroup", "cpuset"))
    for line in text.decode("utf-8", "replace").splitlines():
        for component in line.rpartition(":")[2].split("/"):
            if component:
                names.setdefault(component, f"group{len(names)}")
    return names


def _hide_groups(text: str, groups: dict[str, str]) -> str:
    if not groups or "/" not in text:
        return text
    if text.startswith(("/sys/devices", "/sys/bus", "/sys/class", "/wellfed")):
        return text
    return (
        "/".join(groups.get(component, component) for component in text.split("/"))
        if ("\n" not in text)
        else "\n".join(_hide_groups(line, groups) for line in text.split("\n"))
    )


def _dmi(table: bytes) -> bytes:
    """Only structures that tell of CPUs, slots and memory, with their serial numbers overwritten."""
    structures_kept: list[bytes] = []
    for s in structures(table):
        if s.type not in _DMI_KEPT:
            continue
        area = bytearray(s.area)
        if s.type == 1 and len(area) >= 0x18:
            area[0x08:0x18] = bytes(16)  # UUID
        strings = list(s.strings)
        for offset in _DMI_SERIALS.get(s.type, ()):
            index = s.byte(offset) or 0
            if 0 < index <= len(strings):
                strings[index - 1] = "redacted"
        body = b"".join(string.encode() + b"\0" for string in strings) if strings else b"\0"
        structures_kept.append(bytes(area) + body + b"\0")
    return b"".join(structures_kept)
