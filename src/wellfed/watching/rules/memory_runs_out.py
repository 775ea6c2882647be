"""`memory-runs-out`: at this pace the limit is met soon."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.message import sentence
from wellfed.units import format_bytes, format_seconds
from wellfed.watching.rules.base import ENGINE, Kind, Rule, Sign, sign
from wellfed.watching.view import View

# All assumed: time enough to act, and a pace that is no noise of the allocator
_SOON_S = 900.0
_LEAST_BYTES_PER_S = 1e6
_LEAST_WINDOW_S = 8.0


def judge(view: View) -> Iterable[Sign]:
    """The engine grows, and what is left lasts less than a quarter of an hour."""
    process, host, group = view.process, view.host, view.cgroup
    if process is None or view.seconds < _LEAST_WINDOW_S or view.engine is None or not view.engine.serving:
        return []  # while loading, all engines grow
    pace = process.rss_growth_bytes_per_s or 0.0
    if pace < _LEAST_BYTES_PER_S:
        return []
    rooms: list[tuple[float, str]] = []
    falling = (host.memory_falling_bytes_per_s if host else None) or 0.0
    if host and host.memory_available_bytes is not None and falling >= 0.5 * pace:
        rooms.append(
            (
                host.memory_available_bytes / falling,
                sentence("watch.memory-runs-out.machine-memory", "the machine's memory"),
            )
        )
    if group and group.memory_limit_bytes is not None and process.rss_bytes is not None:
        rooms.append(
            (
                max(0, group.memory_limit_bytes - process.rss_bytes) / pace,
                sentence("watch.memory-runs-out.control-group-limit", "its control group's limit"),
            )
        )
    seconds_left, limit = min(rooms, default=(_SOON_S, ""))
    if seconds_left >= _SOON_S:
        return []
    return sign(
        0.3 + 0.6 * (1 - seconds_left / _SOON_S),
        ENGINE,
        sentence(
            "watch.memory-runs-out.grows-meets-then",
            "it grows, and meets {which} in {left}; then it is killed",
            which=limit,
            left=format_seconds(seconds_left),
        ),
        sentence(
            "watch.memory-runs-out.grows-minute-holds",
            "grows by {pace} a minute, holds {rss_bytes}",
            pace=format_bytes(60 * pace),
            rss_bytes=format_bytes(process.rss_bytes),
        ),
    )


RULE = Rule(
    id="memory-runs-out",
    title=sentence("watch.memory-runs-out.title", "Memory about to run out"),
    kind=Kind.ILL,
    reads=sentence("watch.memory-runs-out.reads", "resident size over time, MemAvailable, the control group's limit"),
    rule=sentence(
        "watch.memory-runs-out.rule",
        "While serving it grows by at least 1 MB/s (median slope), and what is left lasts less than 15 minutes.",
    ),
    judge=judge,
    then=sentence("watch.memory-runs-out.then", "Which part grows: `pmap -x PID` twice."),
)
