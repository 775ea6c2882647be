"""Windows: `wmic`, `Get-CimInstance` (lists and tables), `systeminfo`, dxdiag's report."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

from wellfed.hardware.machine import Gpu, Machine, OsSettings, Socket
from wellfed.message import sentence
from wellfed.topology.lists import integer, number
from wellfed.topology.memory import dimms
from wellfed.topology.readers.reader import Reader, partial_machine
from wellfed.topology.smbios import MemoryDevice

_KEYS = (
    "AdapterRAM",
    "BankLabel",
    "Capacity",
    "Caption",
    "ConfiguredClockSpeed",
    "CurrentClockSpeed",
    "DeviceLocator",
    "DriverVersion",
    "FormFactor",
    "Manufacturer",
    "MaxClockSpeed",
    "Model",
    "Name",
    "NumberOfCores",
    "NumberOfLogicalProcessors",
    "PartNumber",
    "PCSystemType",
    "PNPDeviceID",
    "SMBIOSMemoryType",
    "SocketDesignation",
    "Speed",
    "TotalPhysicalMemory",
    "TotalVisibleMemorySize",
    "FreePhysicalMemory",
    "VideoProcessor",
    "Status",
    "SystemType",
    "ThreadCount",
    "NumberOfEnabledCore",
    "HypervisorPresent",
    "Tag",
)
_OWN = {
    "AdapterRAM",
    "NumberOfCores",
    "NumberOfLogicalProcessors",
    "ConfiguredClockSpeed",
    "DeviceLocator",
    "Capacity",
    "TotalPhysicalMemory",
    "TotalVisibleMemorySize",
    "VideoProcessor",
    "BankLabel",
    "MaxClockSpeed",
}
_OF_MODULES = {"DeviceLocator", "BankLabel", "ConfiguredClockSpeed"}
_PAIR = re.compile(rf"^\s*({'|'.join(_KEYS)})\s*[:=]\s*(.*?)\s*$", re.M)
_GPU_NAME = re.compile(r"NVIDIA|GeForce|Quadro|Tesla|Radeon|AMD .*Graphics|Arc\(TM\)|\bArc [AB]\d", re.I)
_CPU_NAME = re.compile(r"Intel\(R\) (?:Core|Xeon)|AMD (?:Ryzen|EPYC|Athlon)|Processor|CPU\b")
_TYPES = {20: "DDR", 21: "DDR2", 24: "DDR3", 26: "DDR4", 34: "DDR5", 35: "LPDDR5"}
_FOUR_GIB = (1 << 32) - (1 << 21)  # AdapterRAM has 32 bits: from 4 GiB on it says nothing
_VIRTUAL = re.compile(r"virtual machine|vmware|virtualbox|kvm|qemu", re.I)
# `C:\\Users\\me>wmic ...`, `PS C:\\> Get-CimInstance ...`, or any shell's
_PROMPT = re.compile(r"\s*(?:PS )?[A-Za-z]:\\[^>]*>|\S*[>$#] |\s*(?:wmic|Get-(?:Cim|Wmi))", re.I)
_SYSTEM = re.compile(r"^\s*(?:OS Name|Host Name|System Manufacturer|System Model|Total Physical Memory)\s*:", re.M)
_DXDIAG = re.compile(r"^\s*(?:Card name|Dedicated Memory|System Model|Operating System):", re.M)


def recognises(text: str) -> bool:
    """Two of WMI's properties, a table of them, systeminfo's or dxdiag's fields."""
    keys = {match[1] for match in _PAIR.finditer(text)}
    if keys & _OWN or any(True for _ in _tables(text)):
        return True
    if "Name" in keys and ("wmic" in text.lower() or "CimInstance" in text or "Win32_" in text):
        return True
    return len(set(_SYSTEM.findall(text))) > 1 or len(set(_DXDIAG.findall(text))) > 1


def parse(text: str) -> Machine:
    """Cards, CPUs, memory modules, RAM."""
    records = [*_lists(text), *_tables(text)]
    cards = [r for r in records if _GPU_NAME.search(r.get("Name", r.get("Caption", "")) + r.get("VideoProcessor", ""))]
    cpus = [r for r in records if r not in cards and (r.get("NumberOfCores") or _CPU_NAME.search(r.get("Name", "")))]
    modules = [r for r in records if r.get("Capacity", "").isdecimal() or not _OF_MODULES.isdisjoint(r)]
    model = " ".join(r["Model"] for r in records if r.get("Model")) + _field(text, "System Model")
    maker = _field(text, "System Manufacturer")
    names = [_clean(r.get("Name", "")) for r in cpus if r.get("Name")] or _dx_cpu(text)
    return partial_machine(
        gpus=tuple(_gpu(i, r) for i, r in enumerate(cards)) or tuple(_dx_cards(text)),
        pci_complete=False,
        cpu_name=names[0] if names else None,
        sockets=tuple(
            Socket(
                i,
                name=_clean(r.get("Name", "")) or None,
                cores=integer(r.get("NumberOfCores")),
                threads=integer(r.get("NumberOfLogicalProcessors")),
            )
            for i, r in enumerate(cpus)
        ),
        memory_bytes=_memory(text, records),
        dimms=() if _is_cut(text) else dimms([_module(r) for r in modules]),
        unknown={"dimms": sentence("windows.paste-ends-within", "the paste ends within the list of modules")}
        if _is_cut(text) and modules
        else {},
        os=OsSettings(
            family="windows",
            chassis="laptop" if re.search(r"laptop|notebook|book\b", model, re.I) or _type(records) == 2 else None,
            virtualised=True if _VIRTUAL.search(f"{model} {maker}") else None,
            memory_free_bytes=_free(text, records),
        ),
    )


def _lists(text: str) -> Iterator[dict[str, str]]:
    """`Name : value` or `Name=value`; a blank line or a key that comes again starts the next record."""
    record: dict[str, str] = {}
    for line in text.splitlines():
        match = _PAIR.match(line)
        again = match is not None and match[1] in record
        if record and (again or not line.strip()):
            yield record
            record = {}
        if match is not None:
            record[match[1]] = match[2]
    if record:
        yield record


def _is_cut(text: str) -> bool:
    """Whether it ends within a property's name: what came after it is not known."""
    last = text.rstrip().rpartition("\n")[2].strip()
    return any(key.startswith(last) for key in _KEYS if key != last) if last.isalpha() else False


def _tables(text: str) -> Iterator[dict[str, str]]:
    """A head of property names, columns by where they start; PowerShell rules the head with dashes."""
    lines = text.splitlines()
    for at, line in enumerate(lines):
        words = line.split()
        if not _is_head(words):
            continue
        starts = [match.start() for match in re.finditer(r"\S+", line)]
        rows = [row for row in lines[at + 1 : at + 40] if not re.fullmatch(r"[\s-]+", row)]
        if (
            len(words) == 1
            and words[0] == "Name"
            and not any(_GPU_NAME.search(r) or _CPU_NAME.search(r) for r in rows[:4])
        ):
            continue
        for row in rows:
            if _PROMPT.match(row) or row.strip().split()[:1] == words[:1] or _is_head(row.split()):
                break
            cells = _cells(row, starts, len(words))
            if any(cells):
                yield dict(zip(words, cells, strict=True))


def _cells(row: str, starts: list[int], count: int) -> list[str]:
    """A row's cells: by where the columns start; numbers stand at a column's right, and reach out of it to the left."""
    words = row.split()
    straight = [row[a:b].strip() for a, b in zip(starts, [*starts[1:], None], strict=True)]
    words_whole = all(a == 0 or a >= len(row) or row[a - 1].isspace() or row[a].isspace() for a in starts)
    return words if not words_whole and len(words) == count else straight


def _is_head(words: list[str]) -> bool:
    """Names of properties and nothing else."""
    return 0 < len(words) <= 12 and all(word in _KEYS for word in words) and bool({*words} & {*_OWN, "Name"})


def _field(text: str, name: str) -> str:
    match = re.search(rf"^\s*{name}:\s*(\S[^\n]*)$", text, re.M)
    return match[1].strip() if match else ""


def _clean(name: str) -> str:
    return re.sub(r"\s+", " ", name).strip()


def _gpu(index: int, record: Mapping[str, str]) -> Gpu:
    name = _clean(record.get("Name") or record.get("Caption") or record.get("VideoProcessor", ""))
    memory = integer(record.get("AdapterRAM"))
    vendor = (
        "nvidia"
        if re.search(r"NVIDIA|GeForce|Quadro|Tesla", name)
        else "amd"
        if re.search(r"Radeon|AMD", name)
        else "intel"
    )
    return Gpu(
        index,
        name=name,
        vendor=vendor,
        memory_bytes=memory if memory and 0 < memory < _FOUR_GIB else None,
        display_only=vendor == "intel" and "Arc" not in name,
    )


def _module(record: Mapping[str, str]) -> MemoryDevice:
    size = integer(record.get("Capacity"))
    return MemoryDevice(
        record.get("DeviceLocator", ""),
        record.get("BankLabel", ""),
        size,
        _TYPES.get(integer(record.get("SMBIOSMemoryType")) or 0),
        number(record.get("Speed")),
        number(record.get("ConfiguredClockSpeed")),
        record.get("Manufacturer") or None,
        (record.get("PartNumber") or "").strip() or None,
    )


def _type(records: list[dict[str, str]]) -> int | None:
    return next((integer(r["PCSystemType"]) for r in records if "PCSystemType" in r), None)


def _memory(text: str, records: list[dict[str, str]]) -> int | None:
    for record in records:
        if (total := integer(record.get("TotalPhysicalMemory"))) is not None:
            return total
        if (kib := integer(record.get("TotalVisibleMemorySize"))) is not None:
            return kib << 10
    match = re.search(r"^\s*Total Physical Memory:\s*([\d.,\u202f ]+?)\s*MB", text, re.M)
    match = match or re.search(r"^\s*Memory:\s*(\d+)\s*MB RAM", text, re.M)
    digits = re.sub(r"\D", "", match[1]) if match else ""
    return int(digits) << 20 if digits and len(digits) < 10 else None


def _free(text: str, records: list[dict[str, str]]) -> int | None:
    kib = next((value for r in records if (value := integer(r.get("FreePhysicalMemory"))) is not None), None)
    if kib is not None:
        return kib << 10
    match = re.search(r"^\s*Available Physical Memory:\s*([\d.,\u202f ]+?)\s*MB", text, re.M)
    digits = re.sub(r"\D", "", match[1]) if match else ""
    return int(digits) << 20 if digits and len(digits) < 10 else None


def _dx_cpu(text: str) -> list[str]:
    match = re.search(r"^\s*Processor: ((?:AMD|Intel|11th|12th|13th|14th)[^\n]*?)(?:\s*\(\d+ CPUs\).*)?$", text, re.M)
    return [_clean(match[1])] if match else []


def _dx_cards(text: str) -> Iterator[Gpu]:
    marks = list(re.finditer(r"^\s*Card name: (\S[^\n]*)$", text, re.M))
    for at, mark in enumerate(marks):
        block = text[mark.end() : marks[at + 1].start() if at + 1 < len(marks) else len(text)]
        memory = re.search(r"^\s*Dedicated Memory: (\d{1,7}) MB", block, re.M)
        card = _gpu(at, {"Name": mark[1]})
        yield Gpu(
            at,
            name=card.name,
            vendor=card.vendor,
            memory_bytes=int(memory[1]) << 20 if memory else None,
            display_only=card.display_only,
        )


READER = Reader(
    "Windows (WMI, systeminfo, dxdiag)",
    "Get-CimInstance Win32_VideoController; ... Win32_Processor; ... Win32_PhysicalMemory; systeminfo",
    sentence("windows.text-gpus-cpus-memory", "GPUs, CPUs, memory modules and RAM of a Windows machine"),
    (
        "AdapterRAM",
        "NumberOf",
        "Capacity",
        "Win32_",
        "wmic",
        "WMIC",
        "CimInstance",
        "OS Name",
        "Host Name",
        "System M",
        "Card name",
        "ClockSpeed",
        "PhysicalMemory",
        "VisibleMemory",
        "DeviceLocator",
        "VideoProcessor",
        "BankLabel",
    ),
    recognises,
    parse,
)
