"""Laws over machines and engines: more hardware never hurts, one pool of memory is one pool, coarser is never larger."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import pairwise

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellfed.catalog.hardware import gpus
from wellfed.engines.capabilities import CAPABILITIES, usable_quantisations, why_not
from wellfed.hardware.machine import Gpu, Machine
from wellfed.models.model import Model
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import ALL_GPU, EXPERTS_ON_CPU, Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.perf.memory import cache_tokens, ledgers, memory
from wellfed.planner.answer import Answer
from wellfed.planner.goal import Objective
from wellfed.verbs import inputs, planning

CARDS = ("rtx 4090", "rtx 3090", "rtx 3060 12gb", "h100 sxm", "a100 80gb", "rx 7900 xtx", "mi300x", "v100 32gb",
         "rtx 5090", "l40s", "rtx 4060 ti 16gb")  # fmt: skip
HOSTS = ("ryzen 9 7950x, 64gb", "epyc 9354, 12x32gb ddr5-4800")
SLACK = 0.005  # one more GPU in the machine may cost the host a little


@cache
def model(name: str) -> Model:
    return inputs.model(name).model


@cache
def machine(text: str) -> Machine:
    return inputs.machine(text)


def with_card(where: Machine, card: str) -> Machine:
    """One more card in a slot as wide as the first one's."""
    more = replace(machine(f"{card}, ryzen 9 7950x, 64gb").gpus[0], index=len(where.gpus), link=where.gpus[0].link)
    return replace(where, gpus=(*where.gpus, more))


@cache
def planned(where: str, more: str | None, name: str, objective: Objective, users: int) -> Answer:
    built = machine(where) if more is None else with_card(machine(where), more)
    options = planning.PlanOptions(objective=objective, workload=replace(PRESETS["chat"], concurrency=users))
    return planning.plan_on(built, name, options)


@settings(max_examples=6, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.sampled_from(CARDS), st.integers(1, 3), st.sampled_from(HOSTS), st.one_of(st.none(), st.sampled_from(CARDS)),
    st.sampled_from(("qwen3-8b", "qwen3-32b", "qwen3-30b-a3b", "gemma-3-27b")),
    st.sampled_from((Objective.LATENCY, Objective.THROUGHPUT)), st.sampled_from((1, 16)),
)  # fmt: skip
def test_a_gpu_more_never_makes_the_best_plan_worse(
    card: str, count: int, host: str, other: str | None, name: str, objective: Objective, users: int
) -> None:
    where = f"{count}x {card}, {host}"
    fewer, more = (planned(where, added, name, objective, users) for added in (None, other or card))
    before, after = fewer.ranking.best, more.ranking.best
    if before is None:
        return
    assert after is not None
    old, new = fewer.search.rank_key(before), more.search.rank_key(after)
    *classes, worth = old[:5]
    assert list(new[:4]) <= classes
    assert list(new[:4]) < classes or new[4] <= worth + SLACK * abs(worth)


UNIFIED = {spec.id: spec for spec in gpus() if spec.unified_memory}


@st.composite
def on_one_pool(draw: st.DrawFn) -> Request:
    """Any engine on any machine of the catalogue whose GPU shares the CPU's memory."""
    spec = UNIFIED[draw(st.sampled_from(sorted(UNIFIED)))]
    size = draw(st.sampled_from((16, 64, 120, 512))) * 2**30
    where = replace(machine("ryzen 9 7950x, 64gb"), gpus=(Gpu(0, spec),), memory_bytes=size)
    return draw(requests_on(where))


@st.composite
def requests_on(draw: st.DrawFn, where: Machine) -> Request:
    """Any engine that runs a model there, with what it holds on the GPU or with experts in RAM."""
    chosen = model(draw(st.sampled_from(("qwen3-8b", "qwen3-30b-a3b", "gpt-oss-120b", "glm-4.5-air", "gemma-3-27b"))))
    spec = where.gpus[0].spec
    able = [one for one in CAPABILITIES.values() if not one.engine.has_own_files and why_not(one, chosen, spec) is None]
    able = [one for one in able if usable_quantisations(one, chosen, spec)]
    engine = draw(st.sampled_from([one.engine for one in able] or [Engine.LLAMA_CPP]))
    formats = usable_quantisations(CAPABILITIES[engine], chosen, spec) or ("q4_k_m",)
    held = weights(chosen, quantisation(draw(st.sampled_from(formats))))
    hybrid = chosen.is_moe and CAPABILITIES[engine].cpu_experts and draw(st.booleans())
    forced = engine is Engine.KTRANSFORMERS
    layout = Layout(
        engine, held.quantisation, gpus=len(where.gpus), offload=EXPERTS_ON_CPU if hybrid or forced else ALL_GPU,
        tensor_parallel=1 if engine.is_local else len(where.gpus), max_sequences=draw(st.sampled_from((1, 4, 32))),
    )  # fmt: skip
    load = Workload(
        concurrency=draw(st.sampled_from((1, 8))),
        context_tokens=draw(st.sampled_from((2048, 8192, 32_768))),
        prompt_tokens=512,
        output_tokens=256,
    )
    return Request(where, chosen, held, layout, load)


@settings(max_examples=60, deadline=None)
@given(on_one_pool())
def test_one_pool_is_one_pool_for_every_engine(request: Request) -> None:
    """What fits, fits together: the GPU's terms and RAM's own are no more than there is, and RAM's ledger says so."""
    devices = ledgers(request).devices
    ram = next(device for device in devices if device.device == "ram")
    shared = sum(device.needed_bytes for device in devices if device.device != "ram")
    own = sum(term.bytes for term in ram.terms if not term.name.startswith("gpu"))
    assert abs(ram.needed_bytes - own - shared) < 1
    if ledgers(request).fits:
        assert own + shared <= (request.machine.memory_bytes or 0)


APART = tuple(f"{count}x {card}, epyc 9354, 12x32gb ddr5-4800" for card in CARDS for count in (1, 2))


@st.composite
def anywhere(draw: st.DrawFn) -> Request:
    if draw(st.booleans()):
        return draw(on_one_pool())
    return draw(requests_on(machine(draw(st.sampled_from(APART)))))


def held_tokens(request: Request) -> float:
    """Tokens of cache that fit: of engines that fill a pool, the pool's; of others what the longest context says."""
    if not request.layout.engine.is_local:
        return cache_tokens(request) or 0.0
    return float(memory(request).max_context or 0)


def needed(request: Request) -> list[float]:
    return [device.needed_bytes for device in ledgers(request).devices]


@settings(max_examples=60, deadline=None)
@given(anywhere())
def test_a_coarser_cache_never_needs_more_and_never_holds_less(request: Request) -> None:
    types = CAPABILITIES[request.layout.engine].kv_types
    found = [replace(request, layout=replace(request.layout, kv_type=kind)) for kind in types]
    for finer, coarser in pairwise(found):
        if request.layout.engine.is_local:
            assert all(b <= a for a, b in zip(needed(finer), needed(coarser), strict=True))
        assert held_tokens(coarser) >= held_tokens(finer)


@settings(max_examples=60, deadline=None)
@given(anywhere(), st.sampled_from((2, 4)))
def test_a_longer_context_never_needs_less_and_never_holds_more_users(request: Request, times: int) -> None:
    load = request.workload
    longer = replace(request, workload=replace(load, context_tokens=load.context * times))
    if request.layout.engine.is_local and request.layout.engine is not Engine.KTRANSFORMERS:
        assert all(b >= a for a, b in zip(needed(request), needed(longer), strict=True))
    before, after = memory(request).max_sequences, memory(longer).max_sequences
    assert before is None or (after is not None and after <= before)
