"""Loads on a stranger's endpoint: a small server with known delays and faults."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.stranger import Stranger
from wellfed.asking.stream import Reply
from wellfed.bench.load import Scenario, spread, summary
from wellfed.errors import WellfedError
from wellfed.verbs import measuring


def options(**changes: object) -> measuring.EngineOptions:
    """Few and short requests."""
    fields: dict[str, object] = {"prompt": 20, "output": 8, "requests": 4}
    return measuring.EngineOptions(**(fields | changes))  # type: ignore[arg-type]


def test_every_concurrency_is_measured(url: str) -> None:
    steps: list[tuple[int, int]] = []
    found = measuring.engine(f"{url}/v1", options(concurrency=(1, 3)), step=lambda *step: steps.append(step))
    assert [one.scenario.concurrency for one in found] == [1, 3]
    for one in found:
        assert one.failed == 0 and one.output_tokens == 8
        assert one.ttft_s is not None and one.tpot_s is not None
        assert one.ttft_s.p05 <= one.ttft_s.median <= one.ttft_s.p95 <= one.ttft_s.p99
        assert one.tpot_s.median > 0
    assert steps.count((4, 4)) == 2


def test_prompts_have_the_tokens_asked_for_by_the_servers_own_count(url: str) -> None:
    (found,) = measuring.engine(url, options())
    assert found.prompt_tokens == 20  # this server counts two tokens a word


def test_model_and_key_are_sent(url: str) -> None:
    measuring.engine(url, options(api_key="k"))
    assert {one["model"] for one in Stranger.seen} == {"first"}
    assert {one["key"] for one in Stranger.seen} == {"Bearer k"}


def test_the_same_seed_sends_the_same_prompts(url: str) -> None:
    measuring.engine(url, options(seed=7))
    first = [one["prompt"] for one in Stranger.seen]
    Stranger.seen.clear()
    measuring.engine(url, options(seed=7))
    assert [one["prompt"] for one in Stranger.seen] == first
    assert len(set(map(str, first))) == len(first)


def test_failures_are_counted_and_told(url: str) -> None:
    Stranger.faults = {"sometimes"}
    (found,) = measuring.engine(url, options(requests=6))
    assert 0 < found.failed < 6
    assert found.errors == ("HTTP 503: overloaded",)


@pytest.mark.parametrize(
    ("fault", "part"), [("refuses", "HTTP 503"), ("dies", "does not answer|failed"), ("fails", "out of cache")]
)
def test_an_endpoint_that_never_answers_is_an_error(url: str, fault: str, part: str) -> None:
    Stranger.faults = {fault}
    with pytest.raises(WellfedError, match=part):
        measuring.engine(url, options())


def test_nobody_there() -> None:
    with pytest.raises(WellfedError, match="lists no models"):
        measuring.engine("http://127.0.0.1:9", options())
    with pytest.raises(WellfedError, match="no http address"):
        measuring.engine("nonsense", options())


@given(st.lists(st.floats(1e-4, 1e3), min_size=1))
def test_percentiles_are_ordered_and_of_the_values(values: list[float]) -> None:
    found = spread(values)
    assert found is not None
    assert min(values) <= found.p05 <= found.median <= found.p95 <= found.p99 <= max(values)


def test_rates_of_a_reply() -> None:
    reply = Reply(0.0, (0.5, 0.6, 0.7), prompt_tokens=100, output_tokens=3)
    found = summary(Scenario(requests=1), [reply], 2.0)
    assert found.decode_tok_s == pytest.approx(10)
    assert found.prefill_tok_s == pytest.approx(200)
    assert found.total_tok_s == pytest.approx(1.5)
