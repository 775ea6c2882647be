"""`lscpu`: packages, cores, CPU model, online CPUs, NUMA nodes (util-linux)."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping

from wellfed.hardware.machine import CpuSignature, Machine, NumaNode, Origin, OsSettings, Socket
from wellfed.message import sentence
from wellfed.topology.cpu import kept_flags, signature_of
from wellfed.topology.lists import cpu_list, integer, keyed, number
from wellfed.topology.readers.locales import in_english
from wellfed.topology.readers.numbers import power_of_1024
from wellfed.topology.readers.reader import Reader

_KEYS = frozenset(
    {
        "Architecture",
        "CPU op-mode(s)",
        "Address sizes",
        "CPU(s)",
        "On-line CPU(s) list",
        "Off-line CPU(s) list",
        "Vendor ID",
        "Model name",
        "BIOS Model name",
        "BIOS Vendor ID",
        "CPU family",
        "Thread(s) per core",
        "Core(s) per socket",
        "Core(s) per cluster",
        "Socket(s)",
        "Cluster(s)",
        "BogoMIPS",
        "L3 cache",
        "NUMA node(s)",
        "CPU max MHz",
        "Hypervisor vendor",
        "Virtualization type",
        "Stepping",
    }
)
_ENOUGH = 3  # keys: fewer may stand in any text
_AFTER_HYPERVISOR = ("L1d cache", "L2 cache", "L3 cache", "NUMA node(s)")  # printed behind the hypervisor's lines


def recognises(text: str) -> bool:
    """Several of lscpu's keys, however much is cut off, or its JSON."""
    if '"lscpu"' in text[:400]:
        return True
    keys = {match[1] for match in re.finditer(r"^\s*([A-Z][\w() -]{3,22}):\s", in_english(text), re.M)}
    return len(keys & _KEYS) >= _ENOUGH and bool(keys & {"CPU(s)", "Model name", "BIOS Model name", "Socket(s)"})


def parse(text: str) -> Machine:
    """Sockets, NUMA nodes and what lscpu says about virtualisation."""
    facts = _json(text) if '"lscpu"' in text[:400] else keyed(in_english(text))
    online = cpu_list(facts.get("On-line CPU(s) list"))
    offline = cpu_list(facts.get("Off-line CPU(s) list")) or ()
    nodes = _nodes(facts)
    hypervisor = facts.get("Hypervisor vendor")
    return Machine(
        "",
        Origin.DUMP,
        sockets=_sockets(facts, nodes, online),
        numa_nodes=nodes,
        cpu_name=_name(facts),
        os=OsSettings(
            virtualised=_virtual(facts),
            cpus_online=online,
            cpus_present=tuple(sorted({*online, *offline})) if online else None,
            cpus_offline=offline if online else None,
            hypervisor=hypervisor.lower() if hypervisor else None,
            architecture=facts.get("Architecture"),
            smt=_several_threads(facts),
        ),
        unknown=_lacking(facts, nodes),
    )


def _name(facts: Mapping[str, str]) -> str | None:
    """The kernel's name; the firmware's where lines are cut off. A dash is none."""
    names = (facts.get(key, "").strip() for key in ("Model name", "BIOS Model name"))
    return next((name for name in names if name not in ("", "-", "Not Specified")), None)


def _lacking(facts: Mapping[str, str], nodes: tuple[NumaNode, ...]) -> dict[str, str]:
    """What is cut off, or has a dash."""
    reasons: dict[str, str] = (
        {}
        if integer(facts.get("Socket(s)"))
        else {"sockets": sentence("lscpu.lscpu-does-tell", "lscpu does not tell the number of sockets")}
    )
    count = integer(facts.get("NUMA node(s)"))
    if count is not None and count != len(nodes):
        reasons["numa_nodes.cut"] = sentence(
            "lscpu.numa-nodes-shown", "{count} of {count2} NUMA nodes are shown", count=len(nodes), count2=count
        )
    return reasons


def _virtual(facts: Mapping[str, str]) -> bool | None:
    """A hypervisor's name or flag; none only where the lines that would name it are there."""
    if facts.get("Hypervisor vendor") or facts.get("Virtualization type") in ("full", "para"):
        return True
    flags = f" {facts.get('Flags', '')} "
    if " hypervisor " in flags:
        return True
    not_cut = any(key in facts for key in _AFTER_HYPERVISOR)
    return False if not_cut and ("Vendor ID" in facts or "Model name" in facts) else None


def _several_threads(facts: Mapping[str, str]) -> bool | None:
    threads = integer(facts.get("Thread(s) per core"))
    return None if threads is None else threads > 1


def _json(text: str) -> dict[str, str]:
    """`lscpu -J`: a list of {field, data}, nested in newer versions."""
    values: dict[str, str] = {}
    try:
        pending = list(json.loads(text[text.index("{") :])["lscpu"])
    except (ValueError, KeyError, TypeError):
        return values
    for _ in range(10_000):
        if not pending:
            break
        entry = pending.pop(0)
        if isinstance(entry, dict):
            key, data = str(entry.get("field", "")).rstrip(":"), entry.get("data")
            if isinstance(data, str):
                values.setdefault(key, data)
            pending += entry.get("children") or []
    return values


def _nodes(facts: Mapping[str, str]) -> tuple[NumaNode, ...]:
    nodes = []
    for key, value in facts.items():
        match = re.fullmatch(r"NUMA node(\d+) CPU\(s\)", key)
        if match:
            nodes.append(NumaNode(int(match[1]), cpus=cpu_list(value) or ()))
    return tuple(sorted(nodes, key=lambda node: node.os_index))


def _sockets(
    facts: Mapping[str, str], nodes: tuple[NumaNode, ...], online: tuple[int, ...] | None
) -> tuple[Socket, ...]:
    count = integer(facts.get("Socket(s)"))
    if count is None or not 0 < count <= 1024:
        return ()
    return tuple(
        Socket(
            index=index,
            name=_name(facts),
            cores=_cores(facts),
            threads=_threads(index, count, facts, nodes, online),
            l3_bytes=_l3(facts),
            isa=kept_flags(facts.get("Flags", "")),
            clock_max_hz=_clock(facts),
            signature=_signature(facts),
        )
        for index in range(count)
    )


def _signature(facts: Mapping[str, str]) -> CpuSignature | None:
    """In the words of /proc/cpuinfo, which lscpu has its own for."""
    words = {"vendor_id": "Vendor ID", "cpu family": "CPU family", "model": "Model", "stepping": "Stepping"}
    return signature_of({key: facts[word] for key, word in words.items() if word in facts})


def _cores(facts: Mapping[str, str]) -> int | None:
    per_socket = integer(facts.get("Core(s) per socket"))
    if per_socket is not None:
        return per_socket
    per_cluster, clusters = integer(facts.get("Core(s) per cluster")), integer(facts.get("Cluster(s)"))
    return per_cluster * clusters if per_cluster and clusters else None


def _threads(
    index: int,
    count: int,
    facts: Mapping[str, str],
    nodes: tuple[NumaNode, ...],
    online: tuple[int, ...] | None,
) -> int | None:
    """Online threads: by node where each socket is one node, else an even share where nothing is offline."""
    if len(nodes) == count:
        return len(nodes[index].cpus)
    total = len(online) if online else integer(facts.get("CPU(s)"))
    return total // count if total is not None and total % count == 0 else None


def _l3(facts: Mapping[str, str]) -> int | None:
    """`512 MiB (16 instances)` is the sum of all; older versions print one instance as `30720K`."""
    text = facts.get("L3 cache", "")
    match = re.match(r"([\d.]+)\s*([KMG])i?B?\s*(?:\((\d+) instances?\))?", text)
    if match is None:
        return None
    return round(float(match[1]) * power_of_1024(match[2]) / int(match[3] or 1))


def _clock(facts: Mapping[str, str]) -> float | None:
    megahertz = number(facts.get("CPU max MHz"))
    return megahertz * 1e6 if megahertz else None


READER = Reader(
    "lscpu",
    "lscpu",
    sentence("lscpu.text-cpus-packages-cores", "CPUs, packages, cores, caches, NUMA nodes, hypervisor"),
    ("CPU(s)", "Model name", "(s) p", "型号名称", "モデル名", "Сокетов", '"lscpu"'),
    recognises,
    parse,
)
