"""A CPU told by its generation only: "Xeon with AMX (SPR or later)", "Coffee Lake-S", "an Axion instance"."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache

from wellfed.catalog.hardware import cpus
from wellfed.hardware.parts import CpuSpec

# Words that name a generation, and the catalogue's name of its cores. Marketing names of one core generation go to it:
# Coffee, Kaby and Comet Lake are Skylake cores; Raptor Lake's are Raptor Cove. First match counts.
_WORDS: tuple[tuple[str, str], ...] = (
    (r"granite rapids|\bgnr\b", "granite-rapids"),
    (r"emerald rapids|\bemr\b", "emerald-rapids"),
    (r"sapphire rapids|\bspr\b|\bamx\b", "sapphire-rapids"),
    (r"sierra forest", "sierra-forest"),
    (r"ice lake[- ](?:sp|server)|\bicx\b", "ice-lake"),
    (r"cascade lake|\bclx\b", "cascade-lake"),
    (r"skylake[- ](?:sp|x|server)", "skylake-sp"),
    (r"(?:coffee|kaby|comet) lake|skylake", "skylake"),
    (r"rocket lake", "rocket-lake"),
    (r"tiger lake", "tiger-lake"),
    (r"alder lake", "golden-cove"),
    (r"raptor lake", "raptor-cove"),
    (r"meteor lake", "redwood-cove"),
    (r"(?:lunar|arrow) lake", "lion-cove"),
    (r"haswell", "haswell"),
    (r"broadwell", "broadwell"),
    (r"\baxion\b|neoverse[- ]v2|graviton ?4", "neoverse-v2"),
    (r"neoverse[- ]n1|graviton ?2|ampere altra", "neoverse-n1"),
    (r"zen ?5|\bturin\b", "zen5"),
    (r"zen ?4|\bgenoa\b", "zen4"),
    (r"zen ?3|\bmilan\b|vermeer|cezanne", "zen3"),
    (r"zen ?2|\brome\b|matisse", "zen2"),
    (r"\bnaples\b", "zen1"),
)
_SERVER = re.compile(
    r"\bxeon\b|\bepyc\b|\bserver\b|cloud|instance|\bvcpu|\bdual\b|-sp\b|"
    r"rapids|\bturin\b|\bgenoa\b|\bmilan\b|\brome\b|\bnaples\b|\bamx\b",
    re.IGNORECASE,
)
_PORTABLE = re.compile(r"laptop|notebook|mobile|mini ?pc|-[uhpy]\b", re.IGNORECASE)
_PORTABLE_PART = re.compile(r"\d(?:U|H|HQ|HX|HS|HK|Y|P|V|G\d)$")
_LATER = re.compile(r"\bor (?:later|newer)\b|\band later\b", re.IGNORECASE)
_SUCCESSORS = ("sapphire-rapids", "emerald-rapids", "granite-rapids")  # in their order: cores that have AMX
_COUNT = re.compile(r"\b(\d{1,3})\s*-?\s*(v?)(?:cpus?|cores?|c)\b", re.IGNORECASE)


@lru_cache(maxsize=256)
def cpu_of_generation(text: str, least_cores: int = 0) -> CpuSpec | None:
    """The middle part, by cores, of the generation that `text` names; None where it names none.

    With as many cores as the text tells (two virtual CPUs are one core where cores have two threads). Of parts with at
    least `least_cores`, of a later generation where `text` allows that and its own has none: what ran on a socket is
    known to fit it. It stands for an unknown part, so what is said with it is said with a wide interval.
    """
    low = text.lower()
    architecture = next((name for words, name in _WORDS if re.search(words, low)), None)
    if architecture is None:
        return None
    server, portable = bool(_SERVER.search(text)), bool(_PORTABLE.search(text))
    fitting = _large_enough(architecture, server, least_cores, bool(_LATER.search(text)))
    if not fitting:
        return None
    fitting = [part for part in fitting if bool(_PORTABLE_PART.search(part.name)) == portable] or fitting
    by_name = [part for part in fitting if any(word in low for word in part.name.lower().split())]
    return _with_cores(_middle(by_name or fitting), text)


def middle_part(architecture: str, brand: str) -> CpuSpec | None:
    """The middle part, by cores, of a server brand's parts with such cores; None where the catalogue has none."""
    parts = [part for part in _parts_of(architecture, server=True) if part.name.startswith(brand)]
    return _middle(parts) if parts else None


def _large_enough(architecture: str, server: bool, cores: int, or_later: bool) -> list[CpuSpec]:
    """A generation's parts of at least so many cores, else later ones' where told; all of its own where none are."""
    successors = _SUCCESSORS[_SUCCESSORS.index(architecture) + 1 :] if architecture in _SUCCESSORS and or_later else ()
    own = _parts_of(architecture, server)
    later = [part for name in successors for part in _parts_of(name, server)]
    large = ([part for part in parts if part.cores >= cores] for parts in (own, later))
    return next((parts for parts in large if parts), own)


def _parts_of(architecture: str, server: bool) -> list[CpuSpec]:
    """Servers' parts or the others; all where there are none of that kind."""
    parts = [part for part in cpus() if part.architecture == architecture]
    return [part for part in parts if (part.sockets_max > 1 or part.memory_channels > 2) == server] or parts


def _middle(parts: Sequence[CpuSpec]) -> CpuSpec:
    ordered = sorted(parts, key=lambda part: (part.cores, part.id))
    return ordered[len(ordered) // 2]


def _with_cores(part: CpuSpec, text: str) -> CpuSpec:
    match = _COUNT.search(text)
    threads = max(1, part.threads // part.cores)
    cores = part.cores if match is None else max(1, int(match[1]) // (threads if match[2] else 1))
    least = None if part.performance_cores is None else min(part.performance_cores, cores)
    return replace(
        part, cores=cores, threads=cores * threads, performance_cores=least, stands_for_unknown=True, aliases=()
    )
