"""Traces: a header line, then one sample a line, as JSON. What bug reports and tests replay."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO

from wellfed import plain_file
from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.watching.codec import from_json, to_json
from wellfed.watching.sample import Sample

SCHEMA = "wellfed.trace/1"
_MOST_LINE_BYTES = 16 * 2**20  # a thousand CPUs and ten thousand threads take two
_MOST_BYTES = 64 * 2**30


@dataclass(frozen=True, slots=True)
class Mended:
    """What the plan would promise without a fault of the machine that `rule` sees at work."""

    rule: str
    decode_tok_s: float
    prefill_tok_s: float | None = None


@dataclass(frozen=True, slots=True)
class Promise:
    """What a plan promised of this engine: decode and prefill rates with their 80 % interval, and what limits them.

    `decode_tok_s` is one user's rate, `total_tok_s` everybody's. `bytes_per_token` is what a decode step of `running`
    sequences reads from the memory that has `memory_bytes_per_s`; `memory` says how that is known. Also kept in traces,
    so that a replay can price.
    """

    decode_tok_s: float
    decode_low_tok_s: float
    decode_high_tok_s: float
    limited_by: str
    prefill_tok_s: float | None = None
    total_tok_s: float | None = None
    bytes_per_token: float | None = None
    memory_bytes_per_s: float | None = None
    memory: str = ""
    running: float | None = None
    mended: tuple[Mended, ...] = ()
    source: str = ""


@dataclass(frozen=True, slots=True)
class Header:
    """The first line: the schema, what was watched, and what was promised."""

    schema: str
    target: str = ""
    promise: Promise | None = None


class Recorder:
    """Writes a trace; each line is flushed, so that a crash leaves all but the last."""

    def __init__(self, file: IO[str], target: str = "", promise: Promise | None = None) -> None:
        self._file = file
        self._line(to_json(Header(SCHEMA, target, promise)))

    def write(self, sample: Sample) -> None:
        """Append one sample to the recording."""
        self._line(to_json(sample))

    def _line(self, value: object) -> None:
        self._file.write(json.dumps(value, separators=(",", ":"), allow_nan=False) + "\n")
        self._file.flush()


@dataclass(frozen=True, slots=True)
class Trace:
    """A whole recording."""

    header: Header
    samples: tuple[Sample, ...]


def read(path: Path) -> Trace:
    """The trace in `path`. Raises BadInput with the number of a line that is foreign or damaged."""
    header, samples = stream(path)
    return Trace(header, tuple(samples))


def stream(path: Path) -> tuple[Header, Iterator[Sample]]:
    """The header, and the samples one at a time: a day is not held in memory. Raises BadInput as `read` does."""
    numbered = enumerate(_texts(path), 1)
    header = _header(str(path), next(numbered, (1, ""))[1])
    return header, _samples(str(path), numbered)


def _texts(path: Path) -> Iterator[str]:
    for line in plain_file.lines(path, _MOST_BYTES, _MOST_LINE_BYTES):
        try:
            yield line.decode("utf-8")
        except UnicodeDecodeError as error:
            raise BadInput(
                sentence("trace.text", "{path} is not text", path=path),
                sentence("trace.trace-what-wellfed", "a trace is what `wellfed watch --record` writes"),
            ) from error


def parse(lines: Iterable[str], name: str = "trace") -> Trace:
    """The trace in `lines`. Raises BadInput as `read` does."""
    numbered = enumerate(lines, 1)
    header = _header(name, next(numbered, (1, ""))[1])
    return Trace(header, tuple(_samples(name, numbered)))


def _header(name: str, line: str) -> Header:
    hint = sentence("trace.trace-what-wellfed", "a trace is what `wellfed watch --record` writes")
    try:
        header = from_json(Header, json.loads(line))
    except (ValueError, RecursionError) as error:
        raise BadInput(
            sentence("trace.line-1-trace", "{name}, line 1: not a trace ({error})", name=name, error=error), hint
        ) from error
    if header.schema != SCHEMA:
        raise BadInput(
            sentence(
                "trace.line-1-schema",
                "{name}, line 1: schema {schema!r}, and {schema2} is known here",
                name=name,
                schema=header.schema,
                schema2=SCHEMA,
            ),
            sentence("trace.update-wellfed", "update wellfed"),
        )
    return header


def _samples(name: str, numbered: Iterator[tuple[int, str]]) -> Iterator[Sample]:
    for number, line in numbered:
        if not line.strip():
            continue
        try:
            yield from_json(Sample, json.loads(line))
        except (ValueError, RecursionError) as error:
            hint = sentence("trace.line-cut-from", "the line is cut or from elsewhere; remove it to replay the rest")
            raise BadInput(
                sentence("trace.line", "{name}, line {number}: {error}", name=name, number=number, error=error), hint
            ) from error
