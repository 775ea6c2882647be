"""Mixtures of experts from which experts were cut (REAP and its kin): 'GLM-4.5-Air-REAP-82B-A12B'.

Such a model is the original with fewer experts in every layer, and its name tells how many parameters are left; so the
name alone gives its shape.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

from wellfed.catalog.models import Entry, by_id, entry
from wellfed.catalog.name_match import called, explains_sizes, matched, without_sizes
from wellfed.catalog.name_words import Name, billions, is_active
from wellfed.message import as_text, message, sentence
from wellfed.models.counts import counts
from wellfed.models.ffn import MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.tensor import Part
from wellfed.patterns import regex
from wellfed.provenance import Assumption

_CUT = frozenset({"reap", "ream", "pruned"})
_LEAST_SHARE = 0.25  # no published cut goes further than half
_HALF_A_UNIT = 0.55e9  # 172B is anything from 171.5 to 172.5, a little more where the count was cut off
_ROUNDING = 0.03  # names round: 82B is 81.9
_EXACT = 0.005


def pruned(name: Name) -> tuple[Entry, Model, Assumption] | None:
    """The original's entry, the cut model, and what was assumed; None where the name is of no such model."""
    words = name.distinguishing
    by_share = _pruned_by_share(name)
    if by_share is not None:
        return by_share
    left = [billions(word) for word in words if billions(word) and not is_active(word)]
    if not words & _CUT or len(left) != 1 or left[0] is None or matched(words - _CUT) is not None:
        return None  # the size is the original's own: how much was cut is not told
    bare = without_sizes(words - _CUT)
    active = frozenset(filter(is_active, words))
    for identity in sorted(called(bare)):
        cut = _cut_to(identity, left[0] * 1e9, name) if explains_sizes(identity, active) else None
        if cut is not None:
            return cut
    return None


def _pruned_by_share(name: Name) -> tuple[Entry, Model, Assumption] | None:
    """'REAP-50': so many per cent of every layer's experts are gone."""
    match = next((match for match in map(_SHARE.fullmatch, _pairs(name.words)) if match), None)
    original = matched(name.distinguishing - {match[1], match[2]}) if match else None
    if match is None or original is None or not original.has_config:
        return None
    uncut = by_id(original.id)
    experts = _experts(uncut)
    remaining = experts - experts * int(match[2]) // 100
    return (
        (original, with_experts(uncut, remaining, name.core), _assumption(name, original, remaining, experts))
        if experts
        else None
    )


def _pairs(words: tuple[str, ...]) -> list[str]:
    return [f"{first} {second}" for first, second in itertools.pairwise(words)]


_SHARE = regex(r"(reap|ream|pruned) ([1-7][05])")


def _experts(model: Model) -> int:
    return max((layer.ffn.experts for layer in model.layers if isinstance(layer.ffn, MoeFfn)), default=0)


def _cut_to(identity: str, parameters: float, name: Name) -> tuple[Entry, Model, Assumption] | None:
    facts = entry(identity)
    if not facts.has_config:
        return None
    uncut = by_id(identity)
    experts = _experts(uncut)
    share = _parameters_of_one_expert(uncut)
    if not share:
        return None
    remaining = _usual(experts, experts - (counts(uncut).parameters - parameters) / share, _HALF_A_UNIT / share)
    cut = with_experts(uncut, remaining, name.core)
    if not experts * _LEAST_SHARE <= remaining < experts or abs(counts(cut).parameters / parameters - 1) > _ROUNDING:
        return None
    return facts, cut, _assumption(name, facts, remaining, experts)


def _assumption(name: Name, original: Entry, remaining: int, experts: int) -> Assumption:
    text = message(
        "resolve.pruned",
        "{name} is {original} with {remaining} of its {experts} experts in each layer: so many make up its size",
        name=name.core,
        original=original.name,
        remaining=remaining,
        experts=experts,
    )
    return Assumption(as_text(text), sentence("pruned.name-tells-how", "the name tells how many parameters are left"))


def _usual(experts: int, remaining: float, rounded: float) -> int:
    """The cut of whole five per cents where one is within what a name rounds away, else the nearest number."""
    near = (n for n in _usual_cuts(experts) if abs(n - remaining) <= rounded)
    return min(near, key=lambda n: abs(n - remaining), default=round(remaining))


def is_cut(original: Entry, model: Model) -> bool:
    """Whether `model` is the entry's with fewer experts."""
    return original.has_config and model.id != original.id and _experts(model) < _experts(by_id(original.id))


def slack(original: Entry, model: Model) -> float:
    """How far the size of a cut model may be from ours, as a share: names round, but a usual cut is known exactly."""
    experts, remaining = _experts(by_id(original.id)), _experts(model)
    usual = remaining in _usual_cuts(experts)
    return _EXACT if usual else max(_EXACT, min(_ROUNDING, _HALF_A_UNIT / counts(model).parameters))


def _usual_cuts(experts: int) -> list[int]:
    return [experts - experts * percent // 100 for percent in range(5, 76, 5)]


def _parameters_of_one_expert(model: Model) -> float:
    """Parameters that one expert takes in all layers together."""
    return sum(
        tensor.elements / layer.ffn.experts
        for layer in model.layers
        if isinstance(layer.ffn, MoeFfn)
        for tensor in layer.tensors(model.hidden)
        if tensor.part in (Part.ROUTED_EXPERTS, Part.ROUTER) or tensor.role in ("exps_bias", "exp_probs_b")
    )


def with_experts(model: Model, experts: int, name: str) -> Model:
    """The model with so many routed experts in every layer that has any."""
    return replace(
        model,
        id=name.lower(),
        name=name,
        layers=tuple(_cut(layer, experts) for layer in model.layers),
        mtp_layers=tuple(_cut(layer, experts) for layer in model.mtp_layers),
        aliases=(),
        published_parameters=None,
    )


def _cut(layer: Layer, experts: int) -> Layer:
    return replace(layer, ffn=replace(layer.ffn, experts=experts)) if isinstance(layer.ffn, MoeFfn) else layer
