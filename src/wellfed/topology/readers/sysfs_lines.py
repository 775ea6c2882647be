"""Excerpts of /sys and /proc as people paste them: `path: value`, `path value`, `path=value`, one per line.

Also the short form `0000:9f:00.0 0` below a comment that names numa_node. Comments that call a function the GPU or
the upstream port of an on-card switch are believed, and said as assumptions.
"""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.hardware.pcie import PciDevice
from wellfed.message import sentence
from wellfed.provenance import Assumption
from wellfed.topology.cgroup import read_limits
from wellfed.topology.gpu_amd import fastest_level
from wellfed.topology.os_settings import HostFacts, read_os
from wellfed.topology.pci import normal_address, read_pci
from wellfed.topology.readers.reader import Reader
from wellfed.topology.snapshot import Snapshot, Tree

_PCI_LINE = re.compile(r"^\s*\S*?([0-9a-f]{4}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])/([a-z_]+)\s*(?:[:=]\s*|\s)\s*(\S.*?)\s*$")
_FILE_LINE = re.compile(r"^\s*(/(?:sys|proc)/[^\s:=]+)\s*(?:[:=]\s*|\s)\s*(\S.*?)\s*$")
_PCI_PLACE = re.compile(r"[0-9a-f]{2}\.[0-7]/[a-z_]+")
_FILE_PLACE = re.compile(r"^\s{0,8}/(?:sys|proc)/", re.M)
_SHORT = re.compile(r"^\s*((?:[0-9a-f]{4,8}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])[:=]?\s+(-?\d+)\s*$")
# `cat` of one file with its one line below: `$ cat /sys/.../scaling_governor` and `powersave`
_CAT = re.compile(
    r"^[^\n]{0,60}?\bcat (/sys/[\w./:-]+|/proc/sys/[\w./-]+)[ \t]*\n[ \t]*([^\s#$][^\n]{0,200}?)[ \t]*$", re.M
)


_SYSCTL = re.compile(r"^[ \t]*((?:kernel|vm)\.[a-z_]+) = (-?\d{1,12})[ \t]*$", re.M)


def recognises(text: str) -> bool:
    """At least one line with a PCI function's file, or the short NUMA form, or one of sysctl's."""
    if _CAT.search(text) or _SYSCTL.search(text):
        return True
    if _PCI_PLACE.search(text) or _FILE_PLACE.search(text):
        lines = text.splitlines()
        if any(_PCI_LINE.match(line) or _FILE_LINE.match(line) for line in lines):
            return True
    return "numa_node" in text and any(_SHORT.match(line) for line in text.splitlines())


def parse(text: str) -> Machine:
    """PCI functions with what the lines say of them."""
    files: dict[str, bytes] = {}
    roles: dict[str, str] = {}
    numa: dict[str, int] = {}
    comment = ""
    files.update({match[1]: match[2].encode() for match in _CAT.finditer(text)})
    files.update({"/proc/sys/" + m[1].replace(".", "/"): m[2].encode() for m in _SYSCTL.finditer(text)})
    for line in text.splitlines():
        if line.lstrip().startswith("#"):
            comment = line
            continue
        pci, short, file = _PCI_LINE.match(line), _SHORT.match(line), _FILE_LINE.match(line)
        if pci:
            files[f"/sys/bus/pci/devices/{pci[1]}/{pci[2]}"] = pci[3].encode()
            roles.setdefault(normal_address(pci[1]), comment)
        elif file:
            files[file[1]] = file[2].encode()
        elif short and "numa_node" in text:
            numa[normal_address(short[1])] = int(short[2])
            roles.setdefault(normal_address(short[1]), comment)
    tree = Tree(Snapshot("", Origin.DUMP, files))
    devices = {d.address: d for d in read_pci(tree)}
    for address, node in numa.items():
        device = devices.get(address, PciDevice(address))
        devices[address] = replace(device, numa_node=node if node >= 0 else None)
    devices, gpus = _with_roles(devices, roles, "pp_dpm" in text or "Radeon" in text or "amdgpu" in text)
    level = fastest_level(text[text.find("pp_dpm_pcie") :] if "pp_dpm_pcie" in text else None)
    if level is not None and len(gpus) == 1:
        gpus = (replace(gpus[0], link=level),)
    assumed = [
        Assumption(
            sentence("sysfs-lines.gpu", "{pci_address} is a GPU", pci_address=gpu.pci_address),
            sentence("sysfs-lines.excerpt-comment-says", "the excerpt's comment says so"),
        )
        for gpu in gpus
    ]
    return Machine(
        "",
        Origin.DUMP,
        gpus=gpus,
        pci=tuple(devices.values()),
        os=read_os(tree, HostFacts(None, None, (), read_limits(tree))),
        assumptions=tuple(assumed),
        unknown={"pci": sentence("sysfs-lines.excerpt-names-only", "an excerpt names only some PCI functions")},
        pci_complete=False,
    )


def _with_roles(
    devices: dict[str, PciDevice], roles: dict[str, str], radeon: bool
) -> tuple[dict[str, PciDevice], tuple[Gpu, ...]]:
    """Which functions the comments call GPUs, and which on-card switch they hang on."""
    marked = dict(devices)
    edges = [a for a, comment in roles.items() if re.search(r"card edge|upstream port", comment, re.I)]
    cards = [a for a, comment in roles.items() if re.search(r"\bGPUs?\b", comment) and a not in edges]
    for address in edges:
        marked[address] = replace(marked[address], class_code=0x060400, port="upstream", parent=None)
        if radeon:
            marked[address] = replace(marked[address], vendor_id=0x1002, device_id=0x1478)
    gpus = []
    for index, address in enumerate(sorted(cards)):
        above = [edge for edge in edges if edge < address]
        if above and marked[address].parent is None:
            marked[address] = replace(marked[address], parent=max(above))
        vendor = "amd" if radeon else None
        gpus.append(Gpu(index, pci_address=address, numa_node=marked[address].numa_node, vendor=vendor))
    return marked, tuple(gpus)


READER = Reader(
    sentence("reader.sys", "files of /sys"),
    "grep . /sys/bus/pci/devices/*/{numa_node,current_link_width,max_link_width,current_link_speed,max_link_speed}",
    sentence("sysfs-lines.text-what-files-say", "what the files say of PCI functions and the system"),
    ("/sys/", "/proc/", "numa_", "_link_", "/vendor", "/device", "/class", "local_cpu", "vm.zone_reclaim_mode"),
    recognises,
    parse,
    adds_up=True,
)
