"""What a fleet did, in one SQLite file: figures, causes, facts and silences by replica, thinned as they age.

A replica is a node's exporter and the target it watches. Figures are kept as they came for six hours, then as medians
of ten minutes until they are `days` old. Causes, facts and silences are spans of time: a row begins when something is
first seen and ends when it is seen no more. The file has a limit: what is oldest goes first.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from statistics import median

from wellfed.errors import BadInput
from wellfed.fleet.exposition import COLUMNS, Page, kind_of
from wellfed.fleet.scrape import Answer
from wellfed.message import message

NAME = "fleet.sqlite"
RAW_S = 6 * 3600  # samples younger than this are kept as they came
BUCKET_S = 600  # older ones as medians of so many seconds
DAYS = 30.0  # kept by default
MOST_BYTES = 2 << 30  # of the file by default
_APPLICATION, _VERSION = 0x77656C66, 1  # SQLite's application_id ("welf") and user_version
_MOST_REPLICAS = 64  # of one node, ever
_MOST_SPANS = 2_000  # facts and causes that one replica may begin in a day
_DAY_S = 86400
_FIGURES = ", ".join(COLUMNS)
_SCHEMA = f"""
CREATE TABLE replica (id INTEGER PRIMARY KEY, node TEXT NOT NULL, target TEXT NOT NULL, UNIQUE (node, target));
CREATE TABLE sample (replica INTEGER NOT NULL, at REAL NOT NULL, span REAL NOT NULL, seen INTEGER NOT NULL,
  {", ".join(f"{column} REAL" for column in COLUMNS)}, PRIMARY KEY (replica, at)) WITHOUT ROWID;
CREATE INDEX sample_at ON sample (at, span);
CREATE TABLE fact (replica INTEGER NOT NULL, subject TEXT NOT NULL, name TEXT NOT NULL, value TEXT NOT NULL,
  since REAL NOT NULL, until REAL);
CREATE INDEX fact_since ON fact (replica, since);
CREATE TABLE cause (replica INTEGER NOT NULL, id TEXT NOT NULL, kind TEXT NOT NULL, since REAL NOT NULL, until REAL);
CREATE INDEX cause_since ON cause (replica, since);
CREATE TABLE silence (node TEXT NOT NULL, trouble TEXT NOT NULL, why TEXT NOT NULL, since REAL NOT NULL, until REAL);
CREATE INDEX silence_since ON silence (node, since);
"""


@contextmanager
def opened(path: Path, make: bool = False, most_bytes: int = MOST_BYTES) -> Iterator[sqlite3.Connection]:
    """The history in a file, to be written (`make`) or only read. Raises BadInput where it is none."""
    if not make and not path.exists():
        raise BadInput(
            message("history.none", "no history of a fleet in {path}", path=str(path)),
            message("history.none.hint", "wellfed fleet watch --nodes FILE writes one"),
        )
    try:
        if make:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
        uri = path.absolute().as_uri() + ("" if make else "?mode=ro")
        with closing(sqlite3.connect(uri, uri=True, timeout=15, isolation_level=None)) as store:
            _ensure_ours(store, path, make)
            if make:
                store.execute(f"PRAGMA max_page_count = {max(64, most_bytes * 11 // 10 // _page_bytes(store))}")
            yield store
    except (sqlite3.Error, OSError) as error:
        if getattr(error, "sqlite_errorname", "") == "SQLITE_NOTADB":
            raise _foreign(path) from error
        why = (error.strerror if isinstance(error, OSError) else None) or str(error)
        raise BadInput(message("history.unusable", "{path}: {why}", path=str(path), why=why)) from error


def _ensure_ours(store: sqlite3.Connection, path: Path, make: bool) -> None:
    tables = store.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]
    if make and not tables:
        store.executescript(
            f"PRAGMA auto_vacuum = INCREMENTAL; PRAGMA application_id = {_APPLICATION}; "
            f"PRAGMA user_version = {_VERSION}; PRAGMA journal_mode = WAL; BEGIN; {_SCHEMA} COMMIT;"
        )
    marks = (store.execute("PRAGMA application_id").fetchone()[0], store.execute("PRAGMA user_version").fetchone()[0])
    if marks != (_APPLICATION, _VERSION):
        raise _foreign(path)
    if make:
        store.execute("PRAGMA synchronous = NORMAL")
        store.execute(f"PRAGMA journal_size_limit = {64 << 20}")


def _foreign(path: Path) -> BadInput:
    return BadInput(
        message("history.foreign", "{path} is no history of a fleet that this version writes", path=str(path)),
        message("history.foreign.hint", "name another file with --db"),
    )


def _page_bytes(store: sqlite3.Connection) -> int:
    return int(store.execute("PRAGMA page_size").fetchone()[0])


def size_bytes(store: sqlite3.Connection) -> int:
    """Of what is in use; pages that are free are written again before the file grows."""
    used = store.execute("PRAGMA page_count").fetchone()[0] - store.execute("PRAGMA freelist_count").fetchone()[0]
    return int(used) * _page_bytes(store)


@dataclass(slots=True)
class Writer:
    """Writes rounds of answers. What an exporter may begin is limited, so that a hostile one fills nobody's disk."""

    store: sqlite3.Connection
    days: float = DAYS
    most_bytes: int = MOST_BYTES
    _ids: dict[tuple[str, str], int] = field(default_factory=dict)
    _facts: dict[int, dict[tuple[str, str], str]] = field(default_factory=dict)
    _causes: dict[int, set[str]] = field(default_factory=dict)
    _silent: set[str] = field(default_factory=set)
    _begun: dict[tuple[int, int], int] = field(default_factory=dict)  # (replica, day) -> spans
    _kept_up: float = 0.0

    def __post_init__(self) -> None:
        """What an earlier watch left open: facts hold until another is told, the rest ended when it was last seen."""
        for row in self.store.execute("SELECT id, node, target FROM replica"):
            self._ids[row[1], row[2]] = row[0]
        for row in self.store.execute("SELECT replica, subject, name, value FROM fact WHERE until IS NULL"):
            self._facts.setdefault(row[0], {})[row[1], row[2]] = row[3]
        self.store.execute(
            "UPDATE cause SET until = max(since, coalesce("
            "(SELECT max(at + span) FROM sample WHERE sample.replica = cause.replica), since)) WHERE until IS NULL"
        )
        self.store.execute(
            "UPDATE silence SET until = max(since, coalesce((SELECT max(at) FROM sample), since)) WHERE until IS NULL"
        )

    def add(self, answers: Iterable[Answer], at: float) -> None:
        """A round, whole or not at all."""
        with self.store:
            self.store.execute("BEGIN")
            for answer in answers:
                if not answer.skipped:
                    self._answer(answer, at)
        if at - self._kept_up >= BUCKET_S or at < self._kept_up:
            keep_up(self.store, at, self.days, self.most_bytes)
            self._begun = {key: count for key, count in self._begun.items() if key[1] == int(at // _DAY_S)}
            self._kept_up = at

    def _answer(self, answer: Answer, at: float) -> None:
        if answer.trouble is not None:
            if answer.node not in self._silent:
                self._silent.add(answer.node)
                row = (answer.node, answer.trouble.value, answer.why[:200], at)
                self.store.execute("INSERT INTO silence VALUES (?, ?, ?, ?, NULL)", row)
                for (node, _), id in self._ids.items():
                    if node == answer.node:
                        self._end_causes(id, self._causes.get(id, set()), at)
            return
        if answer.node in self._silent:
            self._silent.discard(answer.node)
            self.store.execute("UPDATE silence SET until = ? WHERE node = ? AND until IS NULL", (at, answer.node))
        for page in answer.pages:
            replica = self._replica(answer.node, page.target)
            if replica is not None:
                self._page(replica, page, at)

    def _replica(self, node: str, target: str) -> int | None:
        row_id: int | None = self._ids.get((node, target))
        if row_id is not None or sum(name == node for name, _ in self._ids) >= _MOST_REPLICAS:
            return row_id
        replica_id = self.store.execute("INSERT INTO replica (node, target) VALUES (?, ?)", (node, target)).lastrowid
        self._ids[node, target] = int(replica_id or 0)
        return self._ids[node, target]

    def _page(self, id: int, page: Page, at: float) -> None:
        row = (id, at, 0, 1, *(page.figures.get(column) for column in COLUMNS))
        self.store.execute(f"INSERT OR IGNORE INTO sample VALUES ({', '.join('?' * len(row))})", row)
        self._end_causes(id, self._causes.get(id, set()) - page.causes, at)
        past_causes = self._causes[id]
        for cause in sorted(page.causes - past_causes):
            if self._may_begin(id, at):
                past_causes.add(cause)
                self.store.execute("INSERT INTO cause VALUES (?, ?, ?, ?, NULL)", (id, cause, kind_of(cause), at))
        if page.facts:
            self._take_facts(id, page, at)

    def _end_causes(self, id: int, ended: set[str], at: float) -> None:
        for cause in ended:
            self.store.execute(
                "UPDATE cause SET until = ? WHERE replica = ? AND id = ? AND until IS NULL", (at, id, cause)
            )
        self._causes[id] = self._causes.get(id, set()) - ended

    def _take_facts(self, id: int, page: Page, at: float) -> None:
        current = self._facts.setdefault(id, {})
        for key in [key for key in {**current, **page.facts} if current.get(key) != page.facts.get(key)]:
            if not self._may_begin(id, at):
                return
            row = (at, id, *key)
            self.store.execute(
                "UPDATE fact SET until = ? WHERE replica = ? AND subject = ? AND name = ? AND until IS NULL", row
            )
            value = page.facts.get(key)
            if value is None:
                current.pop(key, None)
            else:
                current[key] = value
                self.store.execute("INSERT INTO fact VALUES (?, ?, ?, ?, ?, NULL)", (id, *key, value, at))

    def _may_begin(self, id: int, at: float) -> bool:
        key = (id, int(at // _DAY_S))
        self._begun[key] = self._begun.get(key, 0) + 1
        return self._begun[key] <= _MOST_SPANS


def keep_up(store: sqlite3.Connection, now: float, days: float = DAYS, most_bytes: int = MOST_BYTES) -> None:
    """Thin what is older than six hours, delete what is older than `days`, and what is oldest beyond the limit."""
    _thin(store, now - RAW_S)
    _forget(store, now - days * _DAY_S)
    while size_bytes(store) > most_bytes:
        first, last = store.execute("SELECT min(at), max(at) FROM sample").fetchone()
        if first is None or last - first < BUCKET_S:
            break
        _forget(store, first + (last - first) / 10)
    store.execute("PRAGMA incremental_vacuum(2000)").fetchall()


def _forget(store: sqlite3.Connection, before: float) -> None:
    with store:
        store.execute("BEGIN")
        store.execute("DELETE FROM sample WHERE at < ?", (before,))
        for table in ("fact", "cause", "silence"):
            store.execute(f"DELETE FROM {table} WHERE until < ?", (before,))


def _thin(store: sqlite3.Connection, before: float) -> None:
    """Whole buckets of raw samples become one row each."""
    end = before // BUCKET_S * BUCKET_S
    rows = store.execute(
        f"SELECT replica, at, {_FIGURES} FROM sample WHERE span = 0 AND at < ? ORDER BY replica, at", (end,)
    )
    medians = list(_buckets(rows))
    if not medians:
        return
    marks = ", ".join("?" * (4 + len(COLUMNS)))
    with store:
        store.execute("BEGIN")
        store.execute("DELETE FROM sample WHERE span = 0 AND at < ?", (end,))
        store.executemany(f"INSERT OR REPLACE INTO sample VALUES ({marks})", medians)


def _buckets(rows: Iterable[Sequence[float | None]]) -> Iterator[tuple[float | None, ...]]:
    key: tuple[float, float] | None = None
    bucket_rows: list[Sequence[float | None]] = []
    for row in rows:
        now = (float(row[0] or 0), float(row[1] or 0) // BUCKET_S)
        if key is not None and now != key:
            yield _bucket_row(key, bucket_rows)
            bucket_rows = []
        key = now
        bucket_rows.append(row[2:])
    if key is not None and bucket_rows:
        yield _bucket_row(key, bucket_rows)


def _bucket_row(key: tuple[float, float], bucket_rows: Sequence[Sequence[float | None]]) -> tuple[float | None, ...]:
    columns = ([value for value in column if value is not None] for column in zip(*bucket_rows, strict=True))
    middle = tuple(median(values) if values else None for values in columns)
    return (key[0], key[1] * BUCKET_S, BUCKET_S, len(bucket_rows), *middle)
