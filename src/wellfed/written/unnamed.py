"""CPUs that no catalogue has: read for what their words tell, stood for by a part of usual figures.

Whether a model fits needs nothing of the CPU, so an unknown one is never a refusal; speeds get a wide interval
(`CpuSpec.stands_for_unknown`).
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from wellfed.catalog import names
from wellfed.catalog.hardware import cpu as cpu_named
from wellfed.catalog.tables import table
from wellfed.frozen import replace
from wellfed.hardware.parts import CpuSpec
from wellfed.message import sentence
from wellfed.patterns import regex
from wellfed.provenance import Assumption
from wellfed.written.parts_list import Modules, UnnamedCpu

_FAMILIES = regex(
    r"\b(?:cpus?|processors?|xeons?|epycs?|ryzens?|threadrippers?|core|i[3579]|celeron|pentium|athlon|phenom|opteron|"
    r"fx|a(?:4|6|8|10|12)|atom|hygon|c86|kunpeng|loongson|phytium|zhaoxin|snapdragon|dimensity|exynos|helio|kirin|graviton\d?|altra|ampereone|"
    r"cortex|sifive|risc|power\d+|n\d{2,3}|m3|e[357]|w[3579]?|ft|kx|ultra|silver|gold|platinum|bronze)\b"
)
_CARDS = regex(
    r"\b(?:rtx|gtx|gt|rx|radeon|geforce|tesla|quadro|instinct|arc|gpus?|titan|vega|ascend|atlas|cmp|mi\d+\w*|gaudi|"
    r"[ah]\d{2,3}[a-z]?|b\d{2,3}|v1\d\d[a-z]?|l\d{1,2}[a-z]?|p\d{1,3}|t4|t10|card|cards|gb\d+|dgx|hgx|jetson|mac|"
    r"macbook|tenstorrent|wormhole|blackhole|hailo|groq|cerebras|bw\d{3,4}|dcu|tpu|inferentia\d?|trainium\d?|graphcore|sambanova|coral)\b|"
    r"\bm\d (?:pro|max|ultra)\b"
)
_APUS = regex(r"\bamd a(?:4|6|8|10|12)\b")
_CORES = regex(r"(?<![\w.])(\d{1,3})\s*-?\s*(?:cores?\b|c\b)")
_CORES_AND_THREADS = regex(r"(?<![\w.])(\d{1,3})\s*c\s*/?\s*(\d{1,3})\s*t\b")
_THREADS = regex(r"(?<![\w.])(\d{1,3})\s*-?\s*(?:threads?\b|t\b|vcpus?\b)")
_CLOCK = regex(r"(\d(?:\.\d{1,2})?)\s*ghz\b")
_SERVERS = regex(r"\b(?:xeon|epyc|opteron|e5|e7|gold|silver|platinum|bronze|server|kunpeng|hygon|altra|graviton)")


def unnamed_cpu(text: str) -> UnnamedCpu | None:
    """What a piece tells of a CPU that was not found; None where its words are not a CPU's."""
    plain = names.split_count(names.normalise(text))[1]
    unpunctuated = re.sub(r"[-/(),]", " ", plain)
    both = _CORES_AND_THREADS.search(plain)
    cores = int(both[1]) if both else _number(_CORES.search(plain))
    threads = int(both[2]) if both else _number(_THREADS.search(plain))
    if speaks_of_card(plain) or not (_FAMILIES.search(unpunctuated) or cores or threads):
        return None
    cores = cores or (max(1, threads // 2) if threads else None)
    if cores is not None and not 1 <= cores <= 512:
        return None
    clock = _CLOCK.search(plain)
    return UnnamedCpu(
        text=" ".join(text.split()),
        cores=cores,
        threads=threads,
        boost_ghz=float(clock[1]) if clock else None,
        server=bool(_SERVERS.search(unpunctuated)),
        only_counts=not _FAMILIES.search(unpunctuated),
    )


def speaks_of_card(text: str) -> bool:
    """Whether words name a graphics card or an accelerator, known or not."""
    return bool(_CARDS.search(_APUS.sub(" ", re.sub(r"[-/(),]", " ", names.normalise(text)))))


def _number(match: re.Match[str] | None) -> int | None:
    return int(match[1]) if match else None


def _name(server: bool, cores: int) -> str:
    if server:
        return sentence("unnamed.server-cpu", "unknown server CPU ({cores} cores)", cores=cores)
    return sentence("unnamed.cpu", "unknown CPU ({cores} cores)", cores=cores)


def stand_in(unnamed: UnnamedCpu, sockets: int, memory: Modules | None, cards: int) -> tuple[CpuSpec, Assumption]:
    """A part with usual figures for the unknown one, of a class that takes the memory that is there."""
    usual = _class(unnamed, sockets, memory, cards)
    base = cpu_named(str(usual["like"]))
    cores = unnamed.cores or int(usual["cores"])
    threads = unnamed.threads or cores * max(1, base.threads // base.cores)
    channels = memory.channels if memory and memory.channels else base.memory_channels
    rating = base.single_thread_rating
    if rating is not None and unnamed.boost_ghz and base.boost_clock_hz:
        rating = rating * unnamed.boost_ghz * 1e9 / base.boost_clock_hz
    part = replace(
        base,
        id="unknown-cpu",
        name=_name(bool(usual["server"]), cores),
        cores=cores,
        threads=max(cores, threads),
        performance_cores=None,
        memory_channels=channels,
        sockets_max=max(8, sockets),
        boost_clock_hz=unnamed.boost_ghz * 1e9 if unnamed.boost_ghz else base.boost_clock_hz,
        base_clock_hz=None,
        single_thread_rating=rating,
        single_thread_derived=True,
        stands_for_unknown=True,
        aliases=(),
        sources=(),
    )
    counted = "" if unnamed.cores else sentence("unnamed.cores-assumed", "; {cores} cores assumed", cores=cores)
    why = sentence(
        "unnamed.catalogue-memory",
        "{unnamed!r} is in no catalogue: memory is counted as for a {base}, speeds are a guess{counted}",
        unnamed=unnamed.text,
        base=base.name,
        counted=counted,
    )
    return part, Assumption(
        sentence("unnamed.unknown-cpu-cores", "unknown CPU, {cores} cores", cores=cores), why, reading=True
    )


def _class(unnamed: UnnamedCpu, sockets: int, memory: Modules | None, cards: int) -> Mapping[str, Any]:
    """The first class of the catalogue's list that takes the memory stated and as many sockets and cards."""
    classes: Sequence[Mapping[str, Any]] = table("hosts.toml")["unknown"]
    server = unnamed.server or sockets > 1 or cards > 2 or (unnamed.cores or 0) > 16 or _server_memory(memory)
    kind = memory.kind if memory else None
    fitting = [entry for entry in classes if bool(entry["server"]) == server]
    return next((entry for entry in fitting if kind is None or entry["memory"] == kind), fitting[0])


def _server_memory(memory: Modules | None) -> bool:
    if memory is None:
        return False
    total = memory.total_gib or (memory.count or 0) * (memory.module_gib or 0)
    return total > 256 or (memory.count or 0) > 4 or (memory.channels or 0) > 2
