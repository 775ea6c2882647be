"""Traces: what is written is read, and what is foreign is refused with its line."""

from __future__ import annotations

import io
import json
import math
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests.watch.scenes import H100, PROMISE, QUIET, Scene, pages

from wellfed.errors import BadInput
from wellfed.watching.codec import to_json
from wellfed.watching.sample import Sample
from wellfed.watching.trace import SCHEMA, Recorder, parse, read

RICH = Scene(gpus=(H100,), process_now={"pages": pages(1.0, 2.0)}, throttled=0.5)


def written(*samples: Sample) -> list[str]:
    """The lines of a trace."""
    file = io.StringIO()
    recorder = Recorder(file, "lab", PROMISE)
    for sample in samples:
        recorder.write(sample)
    return file.getvalue().splitlines()


@pytest.mark.parametrize("scene", [QUIET, RICH])
def test_what_is_written_is_read(scene: Scene) -> None:
    samples = scene.samples(4)
    trace = parse(written(*samples))
    assert trace.header.promise == PROMISE
    assert [to_json(each) for each in trace.samples] == [to_json(each) for each in samples]


def test_numbers_that_are_none_become_none() -> None:
    sample = replace(QUIET.samples(1)[0], watcher_cpu_s=math.nan)
    line = written(sample)[1]
    assert "NaN" not in line
    assert parse([written()[0], line]).samples[0].watcher_cpu_s is None


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"t":1,"wall":2,"temperament":3}', "temperament"),
        ('{"t":"soon","wall":2}', "Sample.t"),
        ('{"wall":2}', "lacks 't'"),
        ('{"t":NaN,"wall":2}', "no number"),
        ('{"t":1,"wall":2,"gpus":{"index":0}}', "a list is wanted"),
        ('{"t":1,"wall":2,"process":{"pid":true,"alive":true}}', "Process.pid"),
        ('{"t":1,"wall":', ""),
        ("[]", "an object is wanted"),
        ("[" * 100_000, ""),
    ],
)
def test_foreign_lines_are_refused_with_their_number(line: str, says: str) -> None:
    good = written(*QUIET.samples(1))
    with pytest.raises(BadInput) as caught:
        parse([*good, line], "bug.jsonl")
    assert "bug.jsonl, line 3" in caught.value.message
    assert says in caught.value.message


@pytest.mark.parametrize("head", ["", "hello", "{}", '{"schema":"wellfed.trace/99"}', '{"schema":1}'])
def test_files_that_are_no_traces_are_refused(head: str) -> None:
    with pytest.raises(BadInput) as caught:
        parse([head])
    assert "line 1" in caught.value.message


def test_binary_and_missing_files_are_refused(tmp_path: Path) -> None:
    binary = tmp_path / "model.gguf"
    binary.write_bytes(b"GGUF\xff\xfe\x00")
    for path in (binary, tmp_path / "none.jsonl", tmp_path):
        with pytest.raises(BadInput):
            read(path)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)
NAMES = st.sampled_from(
    ["t", "wall", "process", "host", "gpus", "engine", "cgroup", "sockets", "pid", "alive", "threads"]
)


@settings(max_examples=120, deadline=None)
@given(st.dictionaries(NAMES, JSON | st.dictionaries(NAMES, JSON, max_size=4), max_size=5))
def test_any_json_is_a_sample_or_is_refused(value: object) -> None:
    try:
        trace = parse([json.dumps({"schema": SCHEMA}), json.dumps(value)])
    except BadInput:
        return
    assert isinstance(trace.samples[0], Sample)
