"""All inputs by kind, in their long form and in the sample that runs with the other tests; and the run of some."""

from __future__ import annotations

import os
import pickle
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path

from attack import launch_inputs, liar_inputs, machine_inputs, model_inputs
from attack.judges import always
from attack.sandbox import Input, prepared, said

KINDS: Mapping[str, Callable[[], Iterator[Input]]] = {
    "gguf": lambda: model_inputs.gguf_files(1200),
    "config": lambda: chain(model_inputs.configs(800), model_inputs.config_texts()),
    "safetensors": lambda: model_inputs.checkpoints(400),
    "dump": lambda: machine_inputs.dumps(1400),
    "line": machine_inputs.lines,
    "table": lambda: chain(machine_inputs.tables(160), machine_inputs.rows(200)),
    "archive": lambda: machine_inputs.archives(True),
    "trace": lambda: machine_inputs.traces(300),
    "name": lambda: launch_inputs.names(500),
    "flag": launch_inputs.flags,
    "export": launch_inputs.exports,
    "record": lambda: chain(launch_inputs.records(304), launch_inputs.keys()),
    "endpoint": liar_inputs.endpoints,
    "watched": liar_inputs.watched,
    "hub": liar_inputs.hubs,
    "not a file": liar_inputs.not_files,
}
SAMPLE = {
    "gguf": 220,
    "config": 180,
    "watched": 88,
    "endpoint": 32,
    "archive": 40,
    "not a file": 70,
    "trace": 80,
    "hub": 14,
}
_USUAL = 150


@dataclass(frozen=True)
class Verdict:
    """What became of an input; `wrong` is empty for what may be said."""

    kind: str
    name: str
    wrong: str
    seconds: float
    peak_bytes: int


def judged(hostile: Input) -> Verdict:
    """One input, run and judged."""
    with tempfile.TemporaryDirectory(prefix="wellfed-attack-") as folder:
        place = Path(folder)
        own = {"XDG_STATE_HOME": str(place / "state"), "XDG_DATA_HOME": str(place / "data")}
        what = said(hostile.words, place, {**own, **hostile.environment}, hostile.make)
        try:
            wrong = always(what) or hostile.judge(what)
        except Exception as error:  # noqa: BLE001  an answer that the judge cannot read is a wrong one
            wrong = f"not to be judged ({type(error).__name__}: {error}): {what.out[:300]}"
    return Verdict(hostile.kind, hostile.name, wrong, what.seconds, what.peak_bytes)


def sample(kind: str) -> Iterator[Input]:
    """A part of a kind's inputs, spread over all of them."""
    return islice(KINDS[kind](), 0, None, SAMPLE.get(kind, _USUAL))


def run(inputs: Iterable[Input], workers: int = 1) -> Iterator[Verdict]:
    """Verdicts as they come, from so many processes; this one has everything loaded already."""
    prepared()
    every = tuple(inputs)
    if workers == 1:
        yield from map(judged, every)
        return
    pipes = [_worker(every[number::workers]) for number in range(workers)]
    for child, pipe in pipes:
        with os.fdopen(pipe, "rb") as stream:
            yield from _verdicts(stream)
        os.waitpid(child, 0)


def _worker(inputs: tuple[Input, ...]) -> tuple[int, int]:
    there, here = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(there)
        try:
            with os.fdopen(here, "wb") as stream:
                for each in inputs:
                    pickle.dump(judged(each), stream)
                    stream.flush()
        finally:
            os._exit(0)
    os.close(here)
    return child, there


def _verdicts(stream: object) -> Iterator[Verdict]:
    while True:
        try:
            yield pickle.load(stream)  # type: ignore[arg-type]
        except EOFError:
            return
