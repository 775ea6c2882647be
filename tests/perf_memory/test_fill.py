"""Layers split over GPUs: as many experts on them as any split allows, and never more than fits."""

from __future__ import annotations

from dataclasses import replace
from itertools import product

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from tests.perf_memory.parts import DEEPSEEK_R1, local, machine, request, spec

from wellfed.errors import Unsupported
from wellfed.hardware.machine import Gpu, Machine
from wellfed.models.attention import FullAttention
from wellfed.models.ffn import DenseFfn, MoeFfn
from wellfed.models.model import Layer, Model
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine, Offload
from wellfed.nouns.plan import Request
from wellfed.perf.memory import ledgers
from wellfed.perf.memory.fill import Fill, can_fill, fullest
from wellfed.perf.memory.split import layer_split
from wellfed.units import GIB

_ATTENTION = FullAttention(32, 8, 128)
SMALL = Model(
    "small-moe", "Small MoE", "test", 4096, 32000, 65536,
    (Layer(_ATTENTION, DenseFfn(16384)),) + (Layer(_ATTENTION, MoeFfn(32, 4, 2048)),) * 4
)  # fmt: skip
HELD = {model.id: weights(model, quantisation("q4_k_m")) for model in (SMALL, DEEPSEEK_R1)}

engines = st.sampled_from([Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP])
ubatches = st.sampled_from([512, 2048])


def cards(*gib: float) -> Machine:
    """Cards of so many GiB each, and more RAM than anything needs."""
    return replace(machine(0, ram_gib=2048), gpus=tuple(Gpu(i, spec(size)) for i, size in enumerate(gib)))


def ask(model: Model, where: Machine, engine: Engine, ubatch: int, context: int = 8192, users: int = 1) -> Request:
    layout = local(engine, gpus=len(where.gpus), ubatch_tokens=ubatch)
    found = request(model, "q4_k_m", where, layout, context, users)
    return replace(found, weights=HELD[model.id])


def filled(asked: Request, found: Fill) -> Request:
    offload = Offload(cpu_expert_layers=found.cpu_experts)
    return replace(asked, layout=replace(asked.layout, offload=offload, split=found.split))


def fits(asked: Request) -> bool:
    return ledgers(asked).fits is not False


@given(engines, ubatches, st.lists(st.floats(0.8, 4), min_size=2, max_size=3), st.integers(1, 16))
@settings(max_examples=30, deadline=None)
def test_no_split_holds_more_experts(engine: Engine, ubatch: int, sizes: list[float], users: int) -> None:
    """Against every split there is."""
    asked = ask(SMALL, cards(*sizes), engine, ubatch, 4096, users)
    units, experts = len(SMALL.layers) + 1, SMALL.expert_layers
    splits = [each for each in product(range(units + 1), repeat=len(sizes)) if sum(each) == units]
    least = next((n for n in range(experts + 1) if any(fits(filled(asked, Fill(n, each))) for each in splits)), None)
    found = fullest(asked)
    assert (None if found is None else found.cpu_experts) == least


@given(
    engines,
    ubatches,
    st.lists(st.sampled_from([8.0, 12.0, 16.0, 24.0, 32.0, 48.0]), min_size=2, max_size=8),
    st.sampled_from([2048, 8192, 65536]),
    st.integers(1, 8),
)
@settings(max_examples=40, deadline=None)
def test_what_is_filled_fits(engine: Engine, ubatch: int, sizes: list[float], context: int, users: int) -> None:
    asked = ask(DEEPSEEK_R1, cards(*sizes), engine, ubatch, context, users)
    found = fullest(asked)
    assume(found is not None)
    assert found is not None
    assert sum(found.split) == len(DEEPSEEK_R1.layers) + 1
    assert len(found.split) == len(sizes)
    assert fits(filled(asked, found))
    plain = replace(asked, layout=replace(asked.layout, offload=Offload(cpu_expert_layers=found.cpu_experts - 1)))
    assert not found.cpu_experts or not fits(plain)  # the engine's own division never holds more


@given(engines, ubatches, st.integers(2, 7), st.sampled_from([16.0, 24.0, 48.0, 80.0]), st.sampled_from([4096, 32768]))
@settings(max_examples=30, deadline=None)
def test_another_card_never_holds_fewer_experts(
    engine: Engine, ubatch: int, count: int, gib: float, context: int
) -> None:
    fewer = fullest(ask(DEEPSEEK_R1, cards(*[gib] * count), engine, ubatch, context))
    more = fullest(ask(DEEPSEEK_R1, cards(*[gib] * (count + 1)), engine, ubatch, context))
    assume(fewer is not None)
    assert fewer is not None and more is not None
    assert more.cpu_experts <= fewer.cpu_experts
    if gib > 20:  # one more expert layer of 6 GiB has room there
        assert more.cpu_experts < fewer.cpu_experts or not fewer.cpu_experts


@given(engines, ubatches, st.integers(2, 8), st.sampled_from([24.0, 32.0, 48.0]))
@settings(max_examples=30, deadline=None)
def test_equal_cards_are_filled_within_a_layer(engine: Engine, ubatch: int, count: int, gib: float) -> None:
    """All but the last, which has what is left."""
    asked = ask(DEEPSEEK_R1, cards(*[gib] * count), engine, ubatch)
    found = fullest(asked)
    assert found is not None and found.cpu_experts
    spares = [device.spare_bytes or 0.0 for device in ledgers(filled(asked, found)).devices[:-1]]
    layer = max(layer.total for layer in asked.weights.layers)
    assert min(spares) >= 0
    assert max(spares[:-1]) - min(spares) < 1.1 * layer  # the cache of a layer, the steps of the search


def test_a_card_of_unknown_size_is_not_filled() -> None:
    where = cards(24, 24)
    unknown = replace(where, gpus=(where.gpus[0], Gpu(1)))
    assert fullest(ask(DEEPSEEK_R1, unknown, Engine.LLAMA_CPP, 512)) is None
    assert fullest(ask(DEEPSEEK_R1, cards(2, 2), Engine.LLAMA_CPP, 512)) is None


def test_who_can_be_filled() -> None:
    asked = ask(DEEPSEEK_R1, cards(24, 24), Engine.LLAMA_CPP, 512)
    assert can_fill(asked)
    assert not can_fill(replace(asked, layout=replace(asked.layout, gpus=1)))
    assert not can_fill(replace(asked, layout=replace(asked.layout, tensor_parallel=2)))  # by rows
    assert not can_fill(replace(asked, layout=replace(asked.layout, engine=Engine.KTRANSFORMERS)))


@given(st.integers(1, 8), engines)
def test_the_default_division_written_out_changes_nothing(count: int, engine: Engine) -> None:
    asked = ask(DEEPSEEK_R1, cards(*[80.0] * count), engine, 512)
    spans = layer_split(61, 61, [1.0] * count)
    split = tuple(span.layers + span.output for span in spans)
    for experts in (0, 20, None):
        layout = replace(asked.layout, offload=Offload(cpu_expert_layers=experts))
        plain = ledgers(replace(asked, layout=layout))
        assert ledgers(replace(asked, layout=replace(layout, split=split))) == plain


def test_a_split_over_other_cards_is_refused() -> None:
    asked = ask(DEEPSEEK_R1, cards(24, 24), Engine.LLAMA_CPP, 512)
    with pytest.raises(Unsupported, match="2 GPUs"):
        ledgers(replace(asked, layout=replace(asked.layout, split=(20, 20, 22))))


def engine_spans(proportions: list[float], layers: int) -> list[int]:
    """llama.cpp's own words: upper_bound of i / n among the running sums of proportions, in single precision."""
    sums = np.cumsum(np.array(proportions, dtype=np.float32), dtype=np.float32)
    sums /= sums[-1]
    units = layers + 1
    at = [int(np.searchsorted(sums, np.float32(i) / np.float32(units), side="right")) for i in range(units)]
    return [at.count(gpu) for gpu in range(len(proportions))]


@given(st.lists(st.integers(0, 40), min_size=1, max_size=8))
def test_counts_are_cut_as_the_engine_cuts_them(counts: list[int]) -> None:
    assume(sum(counts) > 1)
    layers = sum(counts) - 1
    spans = layer_split(layers, layers, counts)
    assert [span.layers + span.output for span in spans] == counts
    assert engine_spans([float(count) for count in counts], layers) == counts


def test_the_head_may_be_alone_on_a_card() -> None:
    asked = ask(SMALL, cards(24, 24), Engine.LLAMA_CPP, 512)
    alone = ledgers(filled(asked, Fill(0, (5, 1)))).devices
    notes = [term.note for device in alone[:2] for term in device.terms if term.name == "weights"]
    assert notes == ["5 layers", "0 layers and the head"]
    assert sum(term.bytes for d in alone[:2] for term in d.terms if term.name == "weights") == pytest.approx(
        asked.weights.total - asked.weights.embedding
    )
    assert asked.weights.total < 24 * GIB
