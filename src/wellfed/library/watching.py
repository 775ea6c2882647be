"""`wellfed.watch`: what limits an engine that runs, look by look."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellfed.errors import Misuse
from wellfed.frozen import dataclass
from wellfed.library import options
from wellfed.library.result import Result, Row
from wellfed.message import message
from wellfed.verbs import watching
from wellfed.verbs.watching import WatchOptions

if TYPE_CHECKING:
    from wellfed.watching.diagnose import Diagnosis
    from wellfed.watching.sample import Sample
    from wellfed.watching.target import Target


@dataclass(frozen=True, slots=True, repr=False)
class Look(Result):
    """One look at an engine: the newest sample, and what the last of them say together."""

    target: Target
    sample: Sample
    diagnosis: Diagnosis

    def to_dict(self) -> dict[str, Any]:
        """One line of `wellfed watch --json`."""
        return watching.document(self.target, self.sample, self.diagnosis)

    def flat(self) -> list[Row]:
        """One row a finding."""
        return [
            {
                "id": finding.id,
                "verdict": finding.verdict.value,
                "subject": finding.subject,
                "decode_tok_s_cost": finding.cost.decode_tok_s if finding.cost else None,
                "why": finding.why,
            }
            for finding in watching.priced_findings(self.diagnosis)
        ]

    def summary(self) -> str:
        """The engine and what limits it."""
        return f"{self.target.name}: {self.diagnosis.id}"


def watch(
    name: str | None = None,
    *,
    pid: int | None = None,
    url: str | None = None,
    replay: Path | str | None = None,
    model: str | None = None,
    concurrency: int = 1,
    interval: float = 1.0,
    window: float = 20.0,
    for_: float | None = None,
    probe: bool = False,
    probe_every: float = 5.0,
    expect: float | None = None,
    api_key: str | None = None,
    told: Callable[[str], None] = lambda _: None,
) -> Iterator[Look]:
    """Looks at a running engine (a `name` of `wellfed ps`, a `pid` or a `url`), or at a recording (`replay`).

    `interval` and `window` in s; `for_` s, None is until the caller stops. `told` hears what cannot be read. Raises
    BadInput where there is nothing to watch.
    """
    options.in_range("interval", interval, 0.1, 60)
    options.in_range("window", window, 2, 3600)
    options.in_range("for", for_, 2, 7 * 86400)
    if replay is not None and any(value is not None for value in (name, pid, url)):
        raise Misuse(message("watch.once", "a recording or an engine is watched: one of them"))
    request = WatchOptions(
        interval_s=interval,
        window=round(min(window, for_ or window) / interval) + 1,
        seconds=for_,
        model=model,
        key=api_key,
        concurrency=concurrency,
        probe_s=probe_every if probe else None,
        expect_tok_s=expect,
    )
    if replay is not None:
        target, _, steps = watching.replayed(Path(replay), request)
        return (Look(target, *step) for step in steps)
    target = watching.target(name, pid, url)
    watching.ensure_somebody_listens(target)
    promise = watching.promise_or_why(target, request)
    promised = None if isinstance(promise, str) else promise
    if isinstance(promise, str):
        told(promise)
    return (Look(target, *step) for step in watching.live(target, request, promised, told))
