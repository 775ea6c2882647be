"""`inxi` (-Fxxx, -a, -G, -C, -m ...): a line per section, or sections with indented lines; `key: value` pairs."""

from __future__ import annotations

import re
from collections.abc import Iterator

from wellfed.hardware.machine import Dimm, Gpu, Machine, OsSettings, Socket
from wellfed.hardware.pcie import PciDevice, PcieLink, generation_of
from wellfed.message import sentence
from wellfed.topology.memory import dimms
from wellfed.topology.pci import normal_address
from wellfed.topology.pci_tree import bracketed_name
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.pci_words import vendor_of
from wellfed.topology.readers.reader import Reader, partial_machine
from wellfed.topology.smbios import MemoryDevice

_SECTION = re.compile(
    r"^(System|Machine|CPU|Graphics|Memory|Info|Audio|Network|Drives|Battery|RAID|Sensors|Repos|Processes|Partition|Swap|"
    r"USB|Bluetooth|Logical|ID-\d+|Weather|Unmounted|Slots|PCI Slots)\s*:",
    re.M,
)
_CARD = re.compile(r"\b(?:Device|Card)-\d+\s*:\s*")
_TOTALS = (  # in the order of trust: what the kernel has, what is built in
    r"\btotal:\s*[\d.]+ \w+ available:",
    r"\btotal:",
    r"Memory:\s*[\d.]+\s*/",
    r"used:\s*[\d.]+ ?\w* ?/",
)
_VIRTUAL = ("kvm", "vmware", "virtualbox", "vm", "xen", "qemu", "hyper", "docker")
_BRANDS = {0x10DE: "nvidia", 0x1002: "amd", 0x8086: "intel"}


def recognises(text: str) -> bool:
    """Two of its sections, or one with its own keys."""
    names = {match[1] for match in _SECTION.finditer(text)}
    own_key = re.search(r"\b(?:bus-ID|chip-ID|loaded|driver|Topology|Info|model|RAM|Array-\d+|Mobo)\s*:", text)
    enough = len(names) > 1 or _CARD.search(text) or "model:" in text
    return bool(names & {"Graphics", "CPU", "Memory", "Machine", "Info"} and own_key and enough)


def _sections(text: str) -> Iterator[tuple[str, str]]:
    text = re.sub(r"\x03\d{0,2}(?:,\d{1,2})?|[\x02\x0f\x1f]", "", text)  # colours as IRC clients want them
    marks = list(_SECTION.finditer(text))
    for at, mark in enumerate(marks):
        end = marks[at + 1].start() if at + 1 < len(marks) else len(text)
        yield mark[1], re.sub(r"\s+", " ", text[mark.end() : end]).strip()


def parse(text: str) -> Machine:
    """Cards, CPU, RAM, what kind of machine."""
    sections: dict[str, str] = {}
    for name, body in _sections(text):
        sections[name] = f"{sections.get(name, '')} {body}".strip()
    cards = list(_cards(sections.get("Graphics", "")))
    memory = sections.get("Memory", "")
    every = f"{memory} {sections.get('Info', '')}"
    kind = re.search(r"Type:\s*(\w+)", sections.get("Machine", ""))
    virtual = kind is not None and kind[1].lower() in _VIRTUAL
    model, cores, count = _cpu(sections.get("CPU", ""))
    return partial_machine(
        gpus=tuple(gpu for gpu, _ in cards),
        pci=tuple(device for _, device in cards if device is not None),
        pci_complete=False,
        cpu_name=model,
        sockets=tuple(Socket(index, name=model, cores=cores) for index in range(count)),
        memory_bytes=next((size for start in _TOTALS if (size := _size(every, start))), None),
        dimms=_dimms(memory),
        os=OsSettings(
            chassis=_chassis(kind[1] if kind else ""),
            virtualised=True if virtual else None,
            family="linux",
        ),
    )


def _chassis(kind: str) -> str | None:
    if kind.lower() in ("laptop", "notebook", "portable", "convertible"):
        return "laptop"
    return {"desktop": "desktop", "mini-pc": "desktop", "server": "server"}.get(kind.lower())


def _cards(body: str) -> Iterator[tuple[Gpu, PciDevice | None]]:
    parts = _CARD.split(body)[1:]
    order = 0
    for entry in parts:
        part = re.split(r"\bDisplay:|\bAPI:|\bMonitor-", entry)[0]
        name = re.split(r"\s(?:vendor|driver|bus[- ]ID|chip-ID|type|class-ID):", part)[0].strip()
        vendor = vendor_of(name) or vendor_of(f"{name.split()[0]} Corporation") if name else None
        vendor = vendor or (0x1002 if name.startswith("AMD") else None)
        place = re.search(r"bus[- ]ID:\s*((?:[0-9a-f]{4}:)?[0-9a-f]{2}:[0-9a-f]{2}\.[0-7])", part)
        if vendor not in _BRANDS:
            continue
        address = normal_address(place[1]) if place else None
        ids = re.search(r"chip-ID:\s*([0-9a-f]{4}):([0-9a-f]{4})", part)
        driver = re.search(r"driver:\s*(\S+)(?:\s+v:\s*(\S+))?", part)
        device = PciDevice(
            address or "",
            vendor_id=vendor,
            device_id=int(ids[2], 16) if ids else None,
            class_code=0x030000,
            name=name,
            driver=driver[1] if driver else None,
            link_current=_link(part, r"pcie:"),
            link_max=_link(part, r"link-max:"),
        )
        if vendor == 0x8086 and "Arc" not in name and "Data Center" not in name:
            continue  # graphics inside the CPU
        version = driver[2] if driver and driver[1] == "nvidia" else None
        gpu = Gpu(order, name=bracketed_name(device), vendor=_BRANDS[vendor], pci_address=address, driver=version)
        yield gpu, device if address else None
        order += 1


def _link(part: str, start: str) -> PcieLink | None:
    """`gen: 3 speed: 8 GT/s lanes: 16`; older versions leave out the generation."""
    match = re.search(start + r"\s*(?:gen:\s*(\d)\s*)?(?:speed:\s*([\d.]+) GT/s)?\s*lanes:\s*(\d{1,2})", part)
    if match is None:
        return None
    generation = int(match[1]) if match[1] else generation_of(float(match[2] or 0))
    if generation is None or not 1 <= generation <= 6 or not 1 <= int(match[3]) <= 32:
        return None
    return PcieLink(generation, int(match[3]))


def _cpu(body: str) -> tuple[str | None, int | None, int]:
    """Name, cores, packages; packages only where the tool says so (`2x 64-core`, `Topology: 2x ...`)."""
    model = re.search(r"model:\s*(.+?)\s+(?:bits|type|socket|arch|variant|smt):", body)
    cores = re.search(r"(?:Info|Topology):\s*(?:(\d)x\s+)?(\d{1,3})[- ][Cc]ore|cores:\s*(\d{1,3})", body)
    words = {"quad": 4, "dual": 2, "hexa": 6, "octa": 8, "single": 1}
    word = re.search(r"(?:Info|Topology):\s*(?:(\d)x\s+)?(Single|Dual|Quad|Hexa|Octa)[- ][Cc]ore", body)
    if not model:
        return _old_cpu(body)
    if cores:
        return model[1], int(cores[2] or cores[3]), int(cores[1] or 1)
    return (model[1], words[word[2].lower()], int(word[1] or 1)) if word else (model[1], None, 1)


def _old_cpu(body: str) -> tuple[str | None, int | None, int]:
    """`Quad core Intel Core i7-7700K (-MT-MCP-)`, as versions before 3 wrote it; `16-core AMD Ryzen 9 7950X [MT MCP]`,
    as those since write it in short.
    """
    body = re.sub(r"^\s*Info:\s*", "", body)
    match = re.match(r"(?:(\d)x?\s+)?(?:(\w+)[- ]core)?\s*((?:Intel|AMD)\s.*?)\s*(?:\(?-M|\[M[TC])", body, re.I)
    if match is None:
        return None, None, 0
    words = {"dual": 2, "quad": 4, "hexa": 6, "octa": 8, "deca": 10}
    cores = int(match[2]) if match[2] and match[2].isdecimal() else words.get((match[2] or "").lower())
    return match[3], cores, int(match[1] or 1)


def _size(body: str, start: str) -> int | None:
    match = re.search(start + r"\s*([\d.]+)\s*(KiB|MiB|GiB|TiB|MB|GB|TB)\b", body)
    return round(float(match[1]) * power_of_1024(match[2])) if match else None


def _dimms(body: str) -> tuple[Dimm, ...]:
    """`Device-1: DIMM_A1 type: DDR4 size: 16 GiB speed: 3200 MT/s` (also spec and actual speeds).

    None of them where lines are missing: `Array-1: ... slots: 4` says how many there are.
    """
    devices = []
    for match in re.finditer(r"Device-\d+:\s*(.*?)(?=Device-\d+:|Array-\d+:|$)", body):
        part = match[1]
        locator = re.split(r"\s(?:type|size|info):", part)[0].strip()
        size = re.search(r"size:\s*([\d.]+)\s*(MiB|GiB|MB|GB)", part)
        empty = re.search(r"size:\s*(?:No Module|N/A)|info:\s*empty", part, re.I)
        speed = re.search(r"speed:\s*(?:spec:\s*(\d+)\s*MT/s\s*)?(?:actual:\s*)?(\d+)\s*MT/s", part)
        kind = re.search(r"type:\s*(\w+)", part)
        devices.append(
            MemoryDevice(
                locator,
                "",
                round(float(size[1]) * power_of_1024(size[2])) if size else 0 if empty else None,
                kind[1] if kind else None,
                float(speed[1]) if speed and speed[1] else None,
                float(speed[2]) if speed else None,
            )
        )
    slots = re.findall(r"Array-\d+:(?:(?!Device-\d).){0,200}?slots:\s*(\d{1,3})", body)
    return dimms(devices) if len(devices) == sum(map(int, slots)) else ()


READER = Reader(
    "inxi",
    "inxi -Fmxxxa",
    sentence("inxi.text-gpus-link-driver", "GPUs with link and driver, CPU, RAM and its slots, laptop or desktop"),
    ("Graphics:", "CPU:", "Memory:", "Machine:", "Info:"),
    recognises,
    parse,
)
