"""Machines grouped into builds, and within a build the usual one against those that differ, trait by trait."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from wellfed.fleet.traits import UNKNOWN, Trait
from wellfed.frozen import dataclass

USUAL = 0.6  # of a build's machines: a value that so many share is the usual one


_NOT_TOLD = frozenset({UNKNOWN, "-"})  # CPUs that are not named, no GPU


@dataclass(frozen=True, slots=True)
class Member:
    """One machine as it enters the comparison."""

    label: str
    family: tuple[str, str, str]
    traits: Mapping[Trait, str]


@dataclass(frozen=True, slots=True)
class Difference:
    """Where a machine is not as its build usually is; None: it has no such part, or the usual one has none."""

    trait: Trait
    here: str | None
    usual: str | None


@dataclass(frozen=True, slots=True)
class Odd:
    """A machine with its differences."""

    label: str
    differences: tuple[Difference, ...]


@dataclass(frozen=True, slots=True)
class Build:
    """Machines of one product with the same CPUs and GPUs. `equal` are alike in every trait that is told.

    `mixed`: traits of which no value is usual, with how many machines have each.
    """

    product: str
    cpus: str
    gpu: str
    labels: tuple[str, ...]
    equal: tuple[str, ...]
    odd: tuple[Odd, ...]
    mixed: tuple[tuple[Trait, tuple[tuple[str, int], ...]], ...]
    untold: tuple[Trait, ...]  # traits that most of its machines do not tell: nothing was compared there


def builds(members: Sequence[Member]) -> tuple[Build, ...]:
    """The builds of a fleet, largest first. A machine without a GPU, or whose CPUs are not told, joins the build that
    is otherwise the same, if it is only one: a lost card or a cut snapshot must not make it another kind.
    """
    groups: dict[tuple[str, str, str], list[Member]] = defaultdict(list)
    for member in members:
        groups[member.family].append(member)
    for key in [key for key in groups if _NOT_TOLD & {key[1], key[2]}]:
        alike = [candidate for candidate in groups if _may_be(key, candidate)]
        if len(alike) == 1:
            groups[alike[0]] += groups.pop(key)
    all_builds = [_build(key, group) for key, group in groups.items()]
    return tuple(sorted(all_builds, key=lambda build: (-len(build.labels), build.gpu, build.cpus)))


def _may_be(key: tuple[str, str, str], candidate: tuple[str, str, str]) -> bool:
    """Whether the other build is the same where both are told, and told where this one is not."""
    if _NOT_TOLD & {candidate[1], candidate[2]}:
        return False
    return key[0] == candidate[0] and all(a in _NOT_TOLD or a == b for a, b in zip(key[1:], candidate[1:], strict=True))


def _build(key: tuple[str, str, str], group: Sequence[Member]) -> Build:
    usual: dict[Trait, str | None] = {}
    mixed: list[tuple[Trait, tuple[tuple[str, int], ...]]] = []
    untold: list[Trait] = []
    for trait in sorted({trait for member in group for trait in member.traits}):
        counts = Counter(member.traits.get(trait) for member in group)
        told_values = Counter({value: count for value, count in counts.items() if value != UNKNOWN})
        if not told_values or counts[UNKNOWN] > len(group) / 2:
            untold.append(trait)
            continue
        value, most = told_values.most_common(1)[0]
        if most >= USUAL * told_values.total():
            usual[trait] = value
        else:
            mixed.append((trait, tuple((value or "-", count) for value, count in told_values.most_common())))
    odd = [Odd(member.label, differences) for member in group if (differences := _differences(member, usual))]
    names = {member.label for member in odd}
    labels = tuple(sorted(member.label for member in group))
    equal = tuple(label for label in labels if label not in names)
    return Build(*key, labels, equal, tuple(sorted(odd, key=lambda o: o.label)), tuple(mixed), tuple(untold))


def _differences(member: Member, usual: Mapping[Trait, str | None]) -> tuple[Difference, ...]:
    differences = []
    for trait, value in usual.items():
        here = member.traits.get(trait)
        if here != value and here != UNKNOWN:
            differences.append(Difference(trait, here, value))
    return _without_consequences(differences)


def _without_consequences(differences: Sequence[Difference]) -> tuple[Difference, ...]:
    """A part that is not there is told once, not again for each of its properties."""
    gone = {d.trait.subject for d in differences if d.here is None and d.trait.name in ("gpu", "cpu", "kind")}
    return tuple(d for d in differences if d.trait.subject not in gone or d.trait.name in ("gpu", "cpu", "kind"))
