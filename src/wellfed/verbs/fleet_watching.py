"""The verbs that keep a fleet in sight: scrape its exporters into a history, and compare that history over time."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput
from wellfed.fleet.comparison import compare
from wellfed.fleet.exporters import Exporter
from wellfed.fleet.exposition import Page
from wellfed.fleet.history import History
from wellfed.fleet.scrape import Answer, Scraper
from wellfed.fleet.store import DAYS, MOST_BYTES, NAME, Writer, opened
from wellfed.frozen import dataclass
from wellfed.launch.folder import folder, made_folder
from wellfed.message import message

ROUND_SCHEMA, HISTORY_SCHEMA = "wellfed.fleet-watch/1", "wellfed.fleet-history/1"


@dataclass(frozen=True, slots=True)
class KeepOptions:
    """How a fleet is kept in sight. `db`: the history's file; None: fleet.sqlite in the state folder."""

    db: Path | None = None
    every_s: float = 15.0
    at_a_time: int = 64
    within_s: float = 5.0
    days: float = DAYS
    most_bytes: int = MOST_BYTES
    seconds: float | None = None  # None: for ever
    rounds: int | None = None


@dataclass(frozen=True, slots=True)
class Round:
    """One look at the fleet. `late`: asking all of them took longer than the time between two rounds."""

    at: float
    answers: tuple[Answer, ...]
    took_s: float
    late: bool = False

    @property
    def complaints(self) -> bool:
        """Whether a node is silent, or its watch names a fault."""
        return any(answer.trouble or any(page.ill for page in answer.pages) for answer in self.answers)


def where(db: Path | None) -> Path:
    """The file that keeps the history: `db`, or the usual one."""
    return db if db is not None else folder() / NAME


def keep(
    exporters: Sequence[Exporter],
    options: KeepOptions,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> Iterator[Round]:
    """Ask every exporter, write down what it tells, wait; each round as it is done. Raises BadInput for a history that
    cannot be written.
    """
    path = options.db if options.db is not None else made_folder() / NAME
    with opened(path, make=True, most_bytes=options.most_bytes) as store:
        writer = Writer(store, options.days, options.most_bytes)
        began = clock()
        for number, answers in enumerate(_timed(Scraper(exporters, options.at_a_time, options.within_s), clock), 1):
            at, samples, took = answers
            writer.add(samples, at)
            yield Round(at, samples, took, took > options.every_s)
            left = options.every_s - (clock() - at)
            if number == options.rounds or (options.seconds is not None and clock() + left > began + options.seconds):
                return
            if left > 0:
                sleep(left)


def _timed(scraper: Scraper, clock: Callable[[], float]) -> Iterator[tuple[float, tuple[Answer, ...], float]]:
    rounds = scraper.rounds()
    try:
        while True:
            at = clock()
            answers = next(rounds)
            yield at, answers, clock() - at
    finally:
        rounds.close()  # type: ignore[attr-defined]


def history(
    db: Path | None = None, since_s: float = 7 * 86400, nodes: Sequence[str] = (), now: float | None = None
) -> History:
    """What is known of the last `since_s` seconds. Raises BadInput where no history is, or none of that node."""
    path = where(db)
    with opened(path) as store:
        known_nodes = {name for (name,) in store.execute("SELECT node FROM replica UNION SELECT node FROM silence")}
        unknown = [node for node in nodes if node not in known_nodes]
        if unknown:
            raise BadInput(message("history.no-node", "{path} knows no node {node}", path=str(path), node=unknown[0]))
        newest = store.execute("SELECT max(at + span) FROM sample").fetchone()[0]
        until = max(now if now is not None else time.time(), newest or 0.0)
        return compare(store, until - since_s, until, nodes)


def round_document(sampled: Round) -> dict[str, Any]:
    """One line of `wellfed fleet watch --json`."""
    return {
        "schema": ROUND_SCHEMA,
        "time": sampled.at,
        "seconds": sampled.took_s,
        "late": sampled.late,
        "nodes": [
            {
                "node": answer.node,
                "asked": not answer.skipped,
                "trouble": answer.trouble.value if answer.trouble else None,
                "why": answer.why or None,
                "replicas": [_page(page) for page in answer.pages],
            }
            for answer in sampled.answers
        ],
    }


def _page(page: Page) -> dict[str, Any]:
    return {
        "target": page.target,
        "ill": page.ill,
        "causes": sorted(page.causes),
        "figures": page.figures,
        "facts": [{"subject": f.subject, "name": f.name, "value": f.value} for f in page.fact_list],
    }


def history_document(past: History) -> dict[str, Any]:
    """The JSON document of `wellfed fleet history --json`."""
    return {
        "schema": HISTORY_SCHEMA,
        "since": past.since,
        "until": past.until,
        "replicas": [
            {**asdict(replica), "slow": replica.slow, "of_promise": replica.of_promise} for replica in past.replicas
        ],
        "drifts": [{**asdict(drift), "counts": drift.counts} for drift in past.drifts],
        "silences": [asdict(silence) for silence in past.silences],
        "complaints": past.complaints,
    }
