"""What probes and the kernel tell: each diagnosis, what it is not, and what explains it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from tests.watch.scenes import H100, PROMISE, QUIET, Scene, T, said

from wellfed.watching.codec import from_json, to_json
from wellfed.watching.diagnose import findings
from wellfed.watching.sample import Kernel, KernelXid, PcieErrors, Sample

MUTE: dict[str, Any] = {"kind": None, "error": "it has no /metrics", "running": None, "tokens_total": None}
STRANGER = Scene(stranger=True, engine_now=MUTE, probe={})
GPU = Scene(gpus=(replace(H100, address="0000:65:00.0"),), threads=(T(0.3), T(0.97)), engine_now={"kind": "vllm"})


def rated(tok_s: float, **more: Any) -> Scene:
    """A stranger that gives a user so many tokens per second."""
    return replace(STRANGER, probe={"tpot_s": 1 / tok_s, **more})


def test_a_stranger_that_answers_as_promised_is_healthy() -> None:
    found = said(rated(40.0), PROMISE)
    assert (found.id, found.ill) == ("as-promised", False)
    assert "40 tokens/s" in findings(found)[0].measured  # type: ignore[operator]


def test_a_stranger_without_a_promise_is_unknown_but_measured() -> None:
    found = said(STRANGER)
    assert found.id == "unknown"
    assert found.view.probe is not None
    assert found.view.probe.tok_s == pytest.approx(40.0)
    assert any("--expect" in each for each in found.next)


def test_slower_than_promised() -> None:
    assert said(rated(0.69 * PROMISE.decode_low_tok_s), PROMISE).id == "decode-slow"
    assert not said(rated(0.71 * PROMISE.decode_low_tok_s), PROMISE).ill
    assert said(rated(1.0)).id == "unknown"


def test_beside_others_a_probe_is_slow_by_rights() -> None:
    busy = replace(QUIET, probe={"tpot_s": 1.0}, running=3.0)
    assert not said(busy, replace(PROMISE, decode_low_tok_s=1.0)).ill


def test_one_answer_is_no_evidence() -> None:
    assert said(rated(1.0, number=1), PROMISE).id == "unknown"


def test_a_late_first_token_of_a_tiny_prompt_is_a_wait() -> None:
    late = said(rated(40.0, ttft_s=9.0))
    assert late.id == "start-slow"
    assert "waiting" in findings(late)[0].measured  # type: ignore[operator]
    # a slow machine: 30 tokens of prompt may well take 9 s where one takes 0.4 s
    assert said(rated(2.5, ttft_s=9.0)).id == "unknown"


def test_a_queue_that_is_seen_explains_the_late_token() -> None:
    queued = replace(QUIET, waiting=6.0, running=4.0, probe={"ttft_s": 9.0})
    found = said(queued)
    assert found.id == "queueing"
    assert {cause.rule.id: cause.of for cause in found.causes}["start-slow"] == "queueing"
    throttled = replace(QUIET, threads=(T(0.5, 0.4), T(0.5, 0.4)), throttled=0.9, probe={"ttft_s": 9.0})
    assert {cause.rule.id: cause.of for cause in said(throttled).causes}["start-slow"] == "cpu-quota"


def test_a_probe_that_waits_for_the_only_slot_is_no_queue_of_others() -> None:
    one = replace(QUIET, running=1.0, waiting=1.0, engine_now={"slots": 1})
    late = {"ttft_s": 9.0, "waited_s": 1.0, "streams": False}
    assert said(one).id == "queueing"
    assert not said(replace(one, probe=late)).ill
    torn = replace(one, running=0.75, waiting=0.125, probe={"ttft_s": 9.0})  # seen a moment apart
    assert "start-slow" not in {cause.rule.id for cause in said(torn).causes}
    assert said(replace(one, waiting=2.0, probe=late)).id == "queueing"
    assert said(replace(one, waiting=0.0, engine_now={"slots": 4}, probe={"ttft_s": 9.0})).id == "start-slow"


def test_a_users_rate_is_not_made_better_by_leaving_probes_out() -> None:
    shared = replace(QUIET, running=2.0, tok_s=40.0, probe={"streams": True})
    engine = said(shared).view.engine
    assert engine is not None
    assert (engine.running, engine.user_tok_s) == (1.0, pytest.approx(20.0))


def test_a_probe_is_no_demand() -> None:
    idle = replace(QUIET, running=1.0, tok_s=3.0, steps_s=3.0, threads=(T(0.05),), probe={"streams": True})
    assert said(idle).id == "no-demand"


@pytest.mark.parametrize(
    ("probe", "name"),
    [
        ({"error": "HTTP 502: bad gateway", "ttft_s": None, "tpot_s": None}, "unresponsive"),
        ({"error": "TimeoutError: timed out", "ttft_s": None, "tpot_s": None}, "unresponsive"),
        ({"number": 0, "waited_s": 25.0, "ttft_s": None, "tpot_s": None}, "unresponsive"),
        ({"number": 0, "waited_s": 5.0, "ttft_s": None, "tpot_s": None}, "unknown"),
        ({"error": "HTTP 401: no key", "ttft_s": None, "tpot_s": None}, "unknown"),
        ({"error": "HTTP 429: slow down", "ttft_s": None, "tpot_s": None}, "unknown"),
    ],
)
def test_requests_that_fail(probe: dict[str, Any], name: str) -> None:
    found = said(replace(STRANGER, probe=probe))
    assert found.id == name
    if "HTTP 4" in probe.get("error", ""):
        assert "HTTP 4" in found.why_unknown


def test_a_working_engine_whose_probe_fails_is_not_called_dead() -> None:
    assert not said(replace(QUIET, probe={"error": "HTTP 500: x", "ttft_s": None, "tpot_s": None})).ill


def test_a_dead_address_of_a_stranger() -> None:
    refused = Scene(stranger=True, engine_now={"answers": False, "error": "ConnectionRefusedError: refused"})
    assert said(refused).id == "unresponsive"


XID = Kernel(log_readable=True, xids=(KernelXid("0000:65:00.0", 79),))


def test_an_xid_in_the_log_is_told_of_its_card() -> None:
    found = said(replace(GPU, kernel=lambda _: XID))
    assert (found.id, found.causes[0].sign.subject) == ("gpu-errors", "gpu0")
    assert "XID 79" in found.causes[0].sign.evidence


def test_a_card_that_fell_off_the_bus_is_told_by_its_address() -> None:
    found = said(replace(QUIET, kernel=lambda _: XID))
    assert (found.id, found.causes[0].sign.subject) == ("gpu-errors", "PCIe device 0000:65:00.0")


def pcie(**per_s: float) -> Any:
    """Counters of the bridge above the card that grow."""
    return lambda s: Kernel(
        False, pcie=(PcieErrors("0000:64:01.0", **{"correctable": 7, **{n: round(v * s) for n, v in per_s.items()}}),)
    )


@pytest.mark.parametrize(
    ("kernel", "ill"),
    [
        (pcie(correctable=5.0, replays=4.0), True),
        (pcie(nonfatal=0.2), True),
        (pcie(fatal=0.2), True),
        (pcie(correctable=0.5), False),
        (pcie(logged=1.0), False),  # its counter stands: lines are of before, or of others
        (lambda s: Kernel(True, pcie=(PcieErrors("0000:64:01.0", logged=round(s)),)), True),
        (lambda _: Kernel(True, xids=(), log_gpu_resets=("0000:03:00.0",)), True),
        (lambda _: Kernel(False), False),
    ],
)
def test_link_errors_on_the_way_to_a_card(kernel: Any, ill: bool) -> None:
    found = said(replace(GPU, kernel=kernel))
    assert found.ill == ill
    assert (found.id == "gpu-errors") == ill


@pytest.mark.parametrize(
    ("kernel", "ill"),
    [
        (lambda s: Kernel(False, memory_uncorrected=1 if s > 5 else 0), True),
        (lambda s: Kernel(False, memory_corrected=round(3 * s)), True),
        (lambda s: Kernel(True, log_memory=1 if s > 5 else 0), True),
        (lambda _: Kernel(True, log_memory=4, memory_corrected=900, memory_uncorrected=2), False),  # long ago
        (lambda s: Kernel(False, memory_corrected=round(s / 4)), False),
    ],
)
def test_memory_errors(kernel: Any, ill: bool) -> None:
    found = said(replace(QUIET, kernel=kernel))
    assert (found.id == "memory-errors") == ill == found.ill


NUMBER = st.floats(allow_nan=True, allow_infinity=True)


@given(NUMBER, NUMBER, NUMBER, st.integers(-5, 10**9), st.one_of(st.none(), st.text(max_size=20)))
def test_nonsense_of_probes_does_not_crash(ttft: float, tpot: float, waited: float, tokens: int, error: str) -> None:
    probe = {"ttft_s": ttft, "tpot_s": tpot, "waited_s": waited, "prompt_tokens": tokens, "error": error}
    for scene in (replace(STRANGER, probe=probe), replace(QUIET, probe=probe)):
        found = said(scene, PROMISE)
        assert not found.crashed
        assert findings(found)


@given(st.integers(0, 10**6), st.lists(st.integers(0, 10**6), min_size=3, max_size=12))
def test_counters_of_errors_that_do_not_grow_are_no_fault(start: int, falls: list[int]) -> None:
    values = sorted((start, *falls), reverse=True)

    def kernel(s: float) -> Kernel:
        value = values[min(int(s), len(values) - 1)]
        return Kernel(False, pcie=(PcieErrors("0000:64:01.0", value, value, value, value),), memory_corrected=value)

    assert not said(replace(GPU, kernel=kernel)).ill


def test_a_trace_carries_probes_and_errors() -> None:
    scene = replace(STRANGER, kernel=pcie(correctable=5.0))
    for sample in scene.samples(3):
        assert from_json(Sample, to_json(sample)) == sample
