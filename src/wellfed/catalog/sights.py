"""Which rule a model turns pictures into tokens by, found by its config's kind, its tower's size or its name."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from wellfed.catalog.model_tables import key
from wellfed.catalog.tables import table
from wellfed.frozen import dataclass
from wellfed.models.model import Model
from wellfed.models.pictures import Rule, Sight, Tower
from wellfed.models.tensor import Part

_BLIND = ("gemma31b", "gemma3270m", "medgemma27btext")  # sizes of families that see, which do not


@dataclass(frozen=True, slots=True)
class _Family:
    sight: Sight
    kinds: tuple[str, ...]
    names: tuple[str, ...]
    parameters: tuple[int, ...]


@cache
def _families() -> tuple[_Family, ...]:
    families: Mapping[str, Mapping[str, Any]] = table("sights.toml")
    return tuple(_family(name, dict(facts)) for name, facts in families.items())


def _family(name: str, facts: dict[str, Any]) -> _Family:
    kinds, names, parameters = (tuple(facts.pop(part)) for part in ("kinds", "names", "parameters"))
    facts["rule"] = Rule(facts["rule"])
    facts["towers"] = tuple(Tower(**tower) for tower in facts.get("towers", ()))
    facts["grids"] = tuple((rows, columns) for rows, columns in facts.get("grids", ()))
    return _Family(Sight(name, **facts), kinds, names, parameters)


def sights() -> tuple[Sight, ...]:
    """How each family turns pictures into tokens."""
    return tuple(family.sight for family in _families())


def tower_parameters(model: Model) -> float:
    """What the model's parts for pictures count; 0 where its files do not hold them."""
    return float(sum(tensor.elements for tensor in model.extra_tensors if tensor.part is Part.VISION))


def sight_of(model: Model) -> Sight | None:
    """The rule of a model's family; None where it sees no pictures, or nobody here knows how."""
    spelled, size = [key(name) for name in (model.id, model.name)], tower_parameters(model)
    if any(blind in name for blind in _BLIND for name in spelled):
        return None
    for family in _families():
        if model.wrapper in family.kinds or (size and size in family.parameters):
            return family.sight
    sights = [
        (len(part), family.sight)
        for family in _families()
        for part in family.names
        if any(part in name for name in spelled)
    ]
    return max(sights, key=lambda pair: pair[0])[1] if sights else None
