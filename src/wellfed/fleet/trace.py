"""Traces of requests: when each arrives and how long it is; read from CSV, or drawn from published moments."""

from __future__ import annotations

import csv
import math
import random
from collections.abc import Iterator
from pathlib import Path

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import message
from wellfed.nouns.estimate import Z80
from wellfed.plain_file import read_text

COLUMNS = ("arrival_s", "prompt_tokens", "output_tokens")
CONVERSATION = "conversation"  # a column that may be missing
MOST = 2_000_000


@dataclass(frozen=True, slots=True)
class Arrival:
    """One request: seconds since the start, tokens of its prompt and answer; the conversation that it goes on with,
    whose earlier turns its prompt begins with.
    """

    at_s: float
    prompt_tokens: int
    output_tokens: int
    conversation: str = ""


def read_trace(path: Path) -> tuple[Arrival, ...]:
    """The requests of a CSV file with the columns arrival_s, prompt_tokens and output_tokens, and conversation where it
    has one, in order of arrival.

    Raises BadInput with the row where one cannot be.
    """
    rows = csv.DictReader(read_text(path, 256 << 20).splitlines())
    missing = [name for name in COLUMNS if name not in (rows.fieldnames or ())]
    if missing:
        raise BadInput(
            message("trace.columns", "{file} has no column {column}", file=path.name, column=missing[0]),
            message("trace.columns.hint", "a CSV with the columns arrival_s, prompt_tokens, output_tokens"),
        )
    arrivals = []
    for number, row in enumerate(rows, 2):
        try:
            turn = (row.get(CONVERSATION) or "").strip()[:256]
            arrival = Arrival(float(row["arrival_s"]), int(row["prompt_tokens"]), int(row["output_tokens"]), turn)
        except (TypeError, ValueError) as error:
            raise BadInput(
                message("trace.row", "{file}, line {line}: not a request", file=path.name, line=number)
            ) from error
        sizes = (arrival.prompt_tokens, arrival.output_tokens)
        if not (math.isfinite(arrival.at_s) and arrival.at_s >= 0 and all(1 <= size <= 10_000_000 for size in sizes)):
            raise BadInput(message("trace.value", "{file}, line {line}: a time or length that cannot be",
                                   file=path.name, line=number))  # fmt: skip
        arrivals.append(arrival)
        if len(arrivals) > MOST:
            raise BadInput(message("trace.long", "{file} has more than {most} requests", file=path.name, most=MOST))
    if not arrivals:
        raise BadInput(message("trace.empty", "{file} holds no request", file=path.name))
    return tuple(sorted(arrivals, key=lambda arrival: arrival.at_s))


@dataclass(frozen=True, slots=True)
class Moments:
    """What is published of a load: requests/s, burstiness (1: Poisson), lengths by median and 90th percentile."""

    rate: float
    burstiness: float
    prompt_median: float
    prompt_p90: float
    output_median: float
    output_p90: float


def drawn(moments: Moments, count: int, seed: int = 0) -> Iterator[Arrival]:
    """`count` requests: gaps by a gamma distribution with the coefficient of variation, lengths lognormal."""
    random_of = random.Random(seed)
    shape = 1 / moments.burstiness**2
    now = 0.0
    for _ in range(count):
        now += random_of.gammavariate(shape, 1 / (moments.rate * shape))
        yield Arrival(
            now,
            _length(random_of, moments.prompt_median, moments.prompt_p90),
            _length(random_of, moments.output_median, moments.output_p90),
        )


def _length(random_of: random.Random, median: float, p90: float) -> int:
    sigma = math.log(p90 / median) / Z80
    return max(1, min(1_000_000, round(median * math.exp(sigma * random_of.gauss(0, 1)))))


def written(arrivals: Iterator[Arrival]) -> str:
    """The CSV text of a trace."""
    lines = [",".join(COLUMNS)]
    lines += [f"{a.at_s:.3f},{a.prompt_tokens},{a.output_tokens}" for a in arrivals]
    return "\n".join(lines) + "\n"
