"""The ledger keeps room for as many sequences as the engine is started with."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.engines.spec import Endpoint
from wellfed.launch.programs import Program
from wellfed.nouns.layout import MOST_SLOTS, Engine
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS
from wellfed.perf.memory import kv_bytes_per_sequence
from wellfed.verbs import as_started, planning, running

CARD = "rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"


def planned(users: int, slots: int = 1) -> Plan:
    workload = replace(PRESETS["chat"], concurrency=users, prompt_tokens=256, output_tokens=64, context_tokens=1024)
    options = planning.PlanOptions(on=CARD, workload=workload, engines=(Engine.LLAMA_CPP,), quantisations=("q4_k_m",))
    found = planning.plan("deepseek-r1:1.5b", options).ranking.plans[0]
    return found if slots == 1 else as_started.estimated(found, replace(found.layout, max_sequences=slots))


@pytest.mark.parametrize(("users", "slots"), [(1, 1), (7, 1), (64, 1), (65, 1), (5000, 1), (8, 4), (1, 16)])
def test_what_is_started_is_what_is_counted(users: int, slots: int) -> None:
    plan = planned(users, slots)
    words = running.launch_spec(plan, Program(("engine",), "test"), "/m.gguf", Endpoint()).argv
    parallel, context = (int(words[words.index(flag) + 1]) for flag in ("--parallel", "--ctx-size"))
    assert parallel == (slots if slots > 1 else min(users, MOST_SLOTS))
    cache = sum(term.bytes for d in plan.estimate.memory.devices for term in d.terms if term.name == "kv")
    assert cache == pytest.approx(parallel * kv_bytes_per_sequence(plan.model, plan.layout, context // parallel))
    assert plan.estimate.running <= parallel


def test_users_beyond_the_slots_wait_and_it_is_said() -> None:
    few, many = planned(64).estimate, planned(640).estimate
    assert many.memory == few.memory
    assert many.ttft_s.value > 5 * few.ttft_s.value
    assert any("64 of 640 users" in assumption.text for assumption in many.assumptions)
    assert not any("users are answered" in assumption.text for assumption in few.assumptions)
