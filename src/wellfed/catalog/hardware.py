"""GPUs and CPUs by name: `gpu("3090 24GB")`, `cpu("2x Xeon Gold 6454S (32c each)")`.

Names are taken as people write them; see `match` for the rules. What a name leaves open is settled by the catalogue's
order (the first of several is what the bare name means) and comes back as assumptions from `resolve_gpu`.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Generic, TypeVar

from wellfed.catalog import match, names
from wellfed.catalog.parts_index import parts, parts_with
from wellfed.catalog.specs import cpu_spec, gpu_spec
from wellfed.errors import UnknownName
from wellfed.frozen import dataclass
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.patterns import regex
from wellfed.provenance import Assumption

T = TypeVar("T")
_SEPARATORS = regex(r"\s*[;&]\s*|\s*[+,]\s*(?=[a-z0-9])", re.IGNORECASE)
_NO_GPU = regex(r"^\s*(?:none|no gpu|cpu)\b", re.IGNORECASE)
_DEVICES = regex(r"^\s*(\d+)\s*(?:dev|devices?)\s*:\s*", re.IGNORECASE)
_BRACKETED = regex(r"\[(.+)\]\s*$")


@dataclass(frozen=True, slots=True)
class Resolved(Generic[T]):
    """What a name means, and what had to be assumed to say so."""

    spec: T
    assumptions: tuple[Assumption, ...] = ()


def gpu(name: str) -> GpuSpec:
    """The GPU meant by `name`; a leading count is ignored. Raises UnknownName with near matches."""
    return resolve_gpu(name).spec


@lru_cache(maxsize=1024)
def measured_gpu(name: str) -> GpuSpec:
    """As `gpu`, for a table of measurements: of twins the one with most memory, since what was run had room."""
    return gpu_spec(_find("GPU", "gpus", name, least=False)[0].row)


def cpu(name: str) -> CpuSpec:
    """The CPU meant by `name`; a leading count is ignored. Raises UnknownName with near matches."""
    return resolve_cpu(name).spec


@lru_cache(maxsize=1024)
def resolve_gpu(name: str) -> Resolved[GpuSpec]:
    """As `gpu`, with the assumptions made."""
    part, assumptions = _find("GPU", "gpus", name)
    return Resolved(gpu_spec(part.row), assumptions)


@lru_cache(maxsize=1024)
def resolve_cpu(name: str) -> Resolved[CpuSpec]:
    """As `cpu`, with the assumptions made. What follows a comma only helps ("EPYC 7773X, 24 threads")."""
    bare = _without_counts(name)
    head, _, tail = bare.partition(",")
    part, assumptions = _find("CPU", "cpus", f"{head} ({re.sub('[()]', ' ', tail)})" if tail else bare)
    return Resolved(cpu_spec(part.row), assumptions)


def find_gpu(name: str) -> Resolved[GpuSpec] | None:
    """As `resolve_gpu`, None where the name fits nothing."""
    resolved = _look("gpus", names.parse(name))
    return Resolved(gpu_spec(resolved[0].row), resolved[1]) if resolved else None


def find_cpu(name: str) -> Resolved[CpuSpec] | None:
    """As `resolve_cpu`, None where the name fits nothing."""
    resolved = _look("cpus", names.parse(name))
    return Resolved(cpu_spec(resolved[0].row), resolved[1]) if resolved else None


def gpu_or_none(name: str, memory_bytes: int | None = None) -> GpuSpec | None:
    """The GPU a driver names, of the variant whose memory is nearest to what the driver reports."""
    from wellfed.catalog import cut_names, gfx_names

    if gfx_names.architecture(name) is not None:
        return gfx_names.of_architecture(name, memory_bytes, gpus())
    if memory_bytes is None:
        resolved = find_gpu(name)
        return resolved.spec if resolved else None
    if cut_names.is_cut(name):
        return _of_cut_name(name, memory_bytes)
    return _nearest(name, memory_bytes)


def _nearest(name: str, memory_bytes: int) -> GpuSpec | None:
    variants = match.variants(names.parse(name), parts("gpus"))
    specs = [gpu_spec(part.row) for part in variants]
    return min(specs, key=lambda spec: abs(spec.memory_bytes - memory_bytes), default=None)


def _of_cut_name(name: str, memory_bytes: int) -> GpuSpec | None:
    """The card whose name a tool's column cut short: by its memory, or not at all."""
    from wellfed.catalog import cut_names

    full_name = cut_names.matching(name, memory_bytes, gpus())
    tries = (full_name, _nearest(name, memory_bytes), _nearest(cut_names.without_cut_word(name), memory_bytes))
    return next((spec for spec in tries if cut_names.near(spec, memory_bytes)), None)


def cpu_or_none(name: str, cores: int | None = None) -> CpuSpec | None:
    """The CPU a kernel names, none for a hypervisor's generic one.

    `cores` may be fewer than the part has (cpusets, virtual machines), not more.
    """
    resolved = find_cpu(_without_counts(name))
    if resolved is None or resolved.assumptions or (cores is not None and cores > resolved.spec.cores):
        return None
    return resolved.spec


def near_parts(name: str) -> tuple[str, ...]:
    """Parts that resemble a name: of its kind and family where it tells one ("rtx 4095": RTX cards), else of both."""
    query = names.parse(name)
    kinds = parts("gpus"), parts("cpus")
    likest = max(kinds, key=lambda kind: match.kinship(query, kind))
    if match.kinship(query, likest):
        return match.near(query, likest)
    return (*match.near(query, kinds[0])[:2], *match.near(query, kinds[1])[:2])


@lru_cache(maxsize=1)
def gpus() -> tuple[GpuSpec, ...]:
    """Every GPU of the catalogue."""
    return tuple(gpu_spec(part.row) for part in parts("gpus"))


@lru_cache(maxsize=1)
def cpus() -> tuple[CpuSpec, ...]:
    """Every CPU of the catalogue."""
    return tuple(cpu_spec(part.row) for part in parts("cpus"))


def gpu_list(text: str) -> tuple[tuple[int, GpuSpec], ...]:
    """The GPUs of a measurement, with counts or several names: "5090; 2x3090" is ((1, 5090), (2, 3090)).

    "4 dev: A; B" names kinds and a total: what the kinds leave over is given to the first. "none" and "CPU only" are
    the empty tuple. Raises UnknownName.
    """
    if _NO_GPU.match(text) and "[" not in text:
        return ()
    bracketed = _BRACKETED.search(text)
    inner = bracketed[1] if bracketed and ("dev:" in bracketed[1] or "x " in bracketed[1]) else text
    devices = _DEVICES.match(inner)
    pieces = [piece for piece in _SEPARATORS.split(_DEVICES.sub("", inner)) if piece.strip()]
    if not pieces:
        raise UnknownName("GPU", text.strip())
    counted = [(names.split_count(names.normalise(piece))[0], measured_gpu(piece)) for piece in pieces]
    missing = int(devices[1]) - sum(count for count, _ in counted) if devices else 0
    if missing > 0:
        counted[0] = (counted[0][0] + missing, counted[0][1])
    return tuple(counted)


def cpu_list(text: str) -> tuple[int, CpuSpec]:
    """How many sockets a text names, and their CPU: "2x Xeon Gold 6454S (32c each)" is (2, 6454S)."""
    count, _ = names.split_count(names.normalise(text))
    return count, cpu(text)


def _without_counts(name: str) -> str:
    """ "2x 2xAMD EPYC 9374F" without its counts."""
    rest = names.split_count(name)[1]
    return _without_counts(rest) if rest != name.strip() else rest


def _find(kind: str, folder: str, name: str, least: bool = True) -> tuple[match.Part, tuple[Assumption, ...]]:
    """The part a name means. Raises UnknownName with near matches."""
    query = names.parse(name)
    resolved = _look(folder, query, least) or match.find(query, parts(folder), least)
    if resolved is None:
        raise UnknownName(kind, name.strip(), match.near(query, parts(folder)))
    return resolved


def _look(folder: str, query: names.Query, least: bool = True) -> tuple[match.Part, tuple[Assumption, ...]] | None:
    """Only in the families that hold the query's numbers, all or else one; single digits ("Ryzen 9") tell nothing.

    A part explains every word of its name, so its family holds them; a name that spells a number otherwise is rare.
    """
    numbers = [word for word in query.words if len(word) > 1 and any(character.isdecimal() for character in word)]
    for enough in (all, any) if len(numbers) > 1 else (all,):
        resolved = match.find(query, parts_with(folder, numbers, enough), least)
        if resolved is not None:
            return resolved
    return None
