"""Requests of our own, to an endpoint of ours: what they measure, what they cost, and that the key stays hidden."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.watch.fake_openai import Behaviour, serving

from wellfed.asking.address import Address
from wellfed.errors import BadInput
from wellfed.watching.codec import to_json
from wellfed.watching.sample import Probe
from wellfed.watching.samplers.endpoint import EndpointSampler
from wellfed.watching.samplers.probe import TOKENS, ProbeSampler

KEY = "sk-very-secret"


def asked(
    behaviour: Behaviour,
    until: Callable[[Probe], bool] = lambda probe: probe.number >= 1,
    key: str | None = None,
    model: str | None = None,
    path: str = "",
    every_s: float = 0.05,
) -> Probe:
    """What a prober says once `until` holds."""
    with serving(behaviour) as url:
        sampler = ProbeSampler(Address(url + path, key), every_s, model)
        try:
            for _ in range(2000):
                found = sampler.sample()
                if found is not None and until(found):
                    return found
                time.sleep(0.01)
        finally:
            sampler.close()
    raise AssertionError("nothing came")


def test_a_stream_is_timed() -> None:
    behaviour = Behaviour(pause_s=0.2, step_s=0.02)
    found = asked(behaviour)
    assert found.error is None
    assert (found.tokens, found.prompt_tokens) == (16, 31)
    assert found.ttft_s is not None
    assert found.ttft_s >= 0.2
    assert found.tpot_s is not None
    assert found.tpot_s >= 0.02
    assert found.connect_s is not None
    question = behaviour.asked[0]
    assert question["max_tokens"] == TOKENS
    assert question["stream"] is True
    assert len(json.dumps(question["messages"])) < 200


def test_only_one_is_ever_open_and_pauses_are_kept() -> None:
    behaviour = Behaviour(pause_s=0.1)
    begin = time.monotonic()
    asked(behaviour, lambda probe: probe.number >= 4, every_s=0.06)
    assert behaviour.most_at_once == 1
    assert time.monotonic() - begin >= 4 * 0.1 + 3 * 0.03


def test_an_open_question_tells_how_long_it_waits_and_is_let_go() -> None:
    found = asked(Behaviour(pause_s=30.0), lambda probe: (probe.waited_s or 0.0) > 0.3)
    assert (found.number, found.ttft_s) == (0, None)
    for _ in range(200):
        if not any(thread.name == "wellfed-probe" for thread in threading.enumerate()):
            return
        time.sleep(0.02)
    raise AssertionError("the thread stays")


def test_each_question_differs_so_that_no_kept_answer_comes() -> None:
    behaviour = Behaviour()
    asked(behaviour, lambda probe: probe.number >= 3)
    prompts = [json.dumps(each["messages"]) for each in behaviour.asked]
    assert len(set(prompts)) == len(prompts)


@pytest.mark.parametrize(
    "behaviour",
    [
        Behaviour(refuse={"/v1/chat/completions": 404}),
        Behaviour(refuse_field="stream_options", usage=False),
        Behaviour(refuse={"/v1/chat/completions": 400}, usage=False),
    ],
)
def test_servers_that_know_less_are_asked_in_a_plainer_way(behaviour: Behaviour) -> None:
    found = asked(behaviour, lambda probe: probe.number >= 2)
    assert found.error is None
    assert found.failures == 0
    assert found.tokens == 16
    assert len(behaviour.asked) <= 3 + found.number  # what was refused is not asked again


def test_the_named_model_is_asked_where_it_is_listed() -> None:
    for name, wanted in (("second", "second"), ("elsewhere", "first"), (None, "first")):
        behaviour = Behaviour()
        asked(behaviour, model=name)
        assert behaviour.asked[0]["model"] == wanted


def test_an_address_with_v1_at_its_end_is_the_same() -> None:
    behaviour = Behaviour()
    assert asked(behaviour, path="/v1").error is None
    assert behaviour.paths[0] == "/v1/chat/completions"


def test_a_server_that_never_stops_is_left() -> None:
    found = asked(Behaviour(tokens=10_000, step_s=0.0))
    assert found.tokens is not None
    assert found.tokens <= 4 * TOKENS + 1


@pytest.mark.parametrize(
    ("behaviour", "words"),
    [
        (Behaviour(status=500), "HTTP 500"),
        (Behaviour(models=b"{}"), "nothing that can be read"),
        (Behaviour(models=b'{"data":[]}'), "lists no models"),
        (Behaviour(models=b"<html>"), "JSON"),
        (Behaviour(raw=b""), "no token"),
        (Behaviour(raw=b"data: {broken\n"), "JSON"),
        (Behaviour(raw=b'data: {"error":{"message":"out of memory"}}\n\n'), "out of memory"),
        (Behaviour(raw=b"data: " + b"[" * 60_000 + b"\n"), "JSON"),
        (Behaviour(raw=b'data: [1]\ndata: 7\ndata: {"choices":3}\ndata:\n: ping\n'), "no token"),
    ],
)
def test_failures_are_told_and_do_not_end_it(behaviour: Behaviour, words: str) -> None:
    found = asked(behaviour, lambda probe: probe.number >= 2)
    assert found.error is not None
    assert words in found.error
    assert found.failures == found.number
    assert found.tpot_s is None


@settings(max_examples=15, deadline=None)
@given(st.binary(max_size=400))
def test_hostile_streams_do_not_end_it(content: bytes) -> None:
    found = asked(Behaviour(raw=content), every_s=0.01)
    assert found.number >= 1


def test_the_key_is_sent_and_never_told() -> None:
    assert asked(Behaviour(key=KEY), key=KEY).error is None
    wrong = asked(Behaviour(key="another"), key=KEY)
    assert wrong.error is not None
    assert "HTTP 401" in wrong.error
    assert KEY not in json.dumps(to_json(wrong))
    assert "\x1b" not in wrong.error
    assert KEY not in repr(Address("http://x", KEY))


@pytest.mark.parametrize("key", ["a\nb", "a b", "ä", ""])
def test_a_key_that_no_header_can_carry_is_refused_without_telling_it(key: str) -> None:
    if not key:
        assert "Authorization" not in Address("http://x", key).headers
        return
    with pytest.raises(BadInput) as caught:
        Address("http://x", key)
    assert key not in caught.value.message


def test_a_gateway_that_answers_every_path_with_a_page_is_not_dead() -> None:
    with serving(Behaviour()) as url:
        sampler = EndpointSampler(Address(url), 0.05)
        try:
            found = None
            while found is None:
                found = sampler.sample()
        finally:
            sampler.close()
    assert found.answers
    assert found.kind is None


def wellfed(tmp_path: Path, *words: str) -> subprocess.CompletedProcess[str]:
    """Run the command line; what it knows of this machine is kept out."""
    env = {**os.environ, "NO_COLOR": "1", "COLUMNS": "140", "XDG_STATE_HOME": str(tmp_path)}
    argv = [sys.executable, "-m", "wellfed", "watch", *words]
    return subprocess.run(argv, capture_output=True, text=True, check=False, env=env, timeout=120)


def test_the_command_line_probes_only_when_allowed_and_replays_it(tmp_path: Path) -> None:
    key, trace = tmp_path / "key", tmp_path / "trace.jsonl"
    key.write_text(f"{KEY}\nnot this\n")
    behaviour = Behaviour(step_s=0.01, key=KEY)
    with serving(behaviour) as url:
        url = url.replace("127.0.0.1", "localhost")
        common = ("--url", url, "--for", "4s", "--interval", "0.3", "--api-key-file", str(key))
        quiet = wellfed(tmp_path, *common)
        assert not behaviour.asked, quiet.stderr
        done = wellfed(tmp_path, *common, "--probe", "--probe-every", "1", "--expect", "5", "--record", str(trace))
    assert behaviour.asked
    assert "probes" in done.stdout
    assert KEY not in done.stdout + done.stderr + trace.read_text()
    again = wellfed(tmp_path, "--replay", str(trace), "--json")
    answer = json.loads(again.stdout.splitlines()[-1])
    assert answer["probe"]["asked"] >= 2
    assert answer["promise"]["decode_tok_s"] == 5.0


def test_an_unreadable_key_file_is_said(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    for name in ("missing", "empty"):
        done = wellfed(tmp_path, "--url", "http://localhost:1", "--once", "--api-key-file", str(tmp_path / name))
        assert done.returncode == 2 or "Error" in done.stderr
        assert "Traceback" not in done.stderr
