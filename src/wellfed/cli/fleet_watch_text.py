"""A fleet in sight, and its history, for a terminal."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from rich.markup import escape
from rich.table import Table

from wellfed.cli.console import console
from wellfed.message import Amount, Listing, Message, Parameter, counted, listed, message
from wellfed.messages.terms import term, term_words
from wellfed.messages.words import phrase, tell, words
from wellfed.units import format_rate

if TYPE_CHECKING:
    from wellfed.fleet.history import Change, Drift, FactChange, History, Replica, Silence
    from wellfed.fleet.scrape import Answer
    from wellfed.verbs.fleet_watching import Round

_DAY_S = 86400
_MOST_REASONS = 4


def print_round(sampled: Round) -> None:
    """Each node with what it does now, and what was named; the silent ones last."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for head in (phrase("fleet-watch.node", "node"), phrase("fleet-watch.replica", "replica"),
                 phrase("fleet-watch.named", "named")):  # fmt: skip
        table.add_column(head)
    for head in (phrase("fleet-watch.user", "tok/s a user"), phrase("fleet-watch.promised", "promised"),
                 phrase("fleet-watch.running", "running"), phrase("fleet-watch.waiting", "waiting")):  # fmt: skip
        table.add_column(head, justify="right")
    for answer in sampled.answers:
        for row in _rows(answer):
            table.add_row(*row)
    if table.row_count:
        console().print(table)
    for answer in sampled.answers:
        if answer.trouble:
            console().print(f"[red]{escape(words(_silent(answer.node, answer.why)))}[/]")
    console().print(f"[dim]{escape(words(_summary(sampled)))}[/]")


def _rows(answer: Answer) -> list[tuple[str, ...]]:
    rows = []
    for page in answer.pages:
        figures = [page.figures.get(name) for name in ("user_tok_s", "planned_tok_s", "running", "waiting")]
        causes = escape(words(listed(sorted(page.causes))) or "?")
        cells = tuple("?" if value is None else format_rate(value) for value in figures)
        rows.append((escape(answer.node), escape(page.target), f"[yellow]{causes}[/]" if page.ill else causes, *cells))
    if not rows and not answer.trouble and not answer.skipped:
        rows.append((escape(answer.node), phrase("fleet-watch.begins", "nothing seen yet"), "", "", "", "", ""))
    return rows


def _silent(node: str, why: str) -> Message:
    return message("fleet-watch.silent", "{node} does not answer: {why}", node=node, why=why or "?")


def _summary(sampled: Round) -> Message:
    silent = sum(answer.trouble is not None or answer.skipped for answer in sampled.answers)
    return message(
        "fleet-watch.summary", "{answered} of {nodes} nodes answered within {time}",
        answered=len(sampled.answers) - silent, nodes=len(sampled.answers), time=Amount(sampled.took_s, "s"),
    )  # fmt: skip


@dataclass(slots=True)
class Changes:
    """Says what is other than in the round before: nodes that fall silent or come back, faults named or gone."""

    _silent: set[str] = field(default_factory=set)
    _named: dict[tuple[str, str], frozenset[str]] = field(default_factory=dict)
    _late: bool = False
    _first: bool = True

    def tell(self, sampled: Round) -> None:
        """Print a line for each change since the round before."""
        lines = [words(_summary(sampled))] if self._first else []
        for answer in sampled.answers:
            lines += self._of(answer)
        if sampled.late and not self._late:
            lines.append(phrase("fleet-watch.late", "a round takes longer than the time between two: raise --jobs or "
                                "--every"))  # fmt: skip
        self._late, self._first = sampled.late, False
        for line in lines:
            console().print(f"[dim]{_clock(sampled.at)}[/] {escape(line)}")

    def _of(self, answer: Answer) -> list[str]:
        if answer.skipped:
            return []
        lines = []
        if answer.trouble and answer.node not in self._silent:
            self._silent.add(answer.node)
            lines.append(words(_silent(answer.node, answer.why)))
        elif not answer.trouble and answer.node in self._silent:
            self._silent.discard(answer.node)
            lines.append(phrase("fleet-watch.again", "{node} answers again", node=answer.node))
        for page in answer.pages:
            now = frozenset(page.causes) if page.ill else frozenset()
            before = self._named.get((answer.node, page.target), frozenset())
            self._named[answer.node, page.target] = now
            if now - before:
                lines.append(phrase("fleet-watch.fault", "{node} {target}: {causes}", node=answer.node,
                                    target=page.target, causes=Listing(tuple(sorted(now - before)))))  # fmt: skip
            elif before and not now:
                lines.append(phrase("fleet-watch.well", "{node} {target}: no fault is named any more",
                                    node=answer.node, target=page.target))  # fmt: skip
        return lines


def print_history(past: History, everything: bool = False) -> None:
    """Silent nodes, changes of speed with what changed with them, replicas slower than their like, drifts."""
    out = console()
    lines = [(f"[red]{escape(words(_silence(silent, past.until)))}[/]") for silent in past.silent]
    for replica in past.replicas:
        lines += [_change_line(replica, change, past.until) for change in replica.changes]
        lines += [f"[yellow]{escape(words(_slow(replica)))}[/]"] if replica.slow else []
    lines += [escape(words(_drift(drift, past.until))) for drift in past.drifts]
    for line in lines:
        out.print(line)
    if not lines:
        out.print(
            f"[green]{escape(phrase('history.well', 'nothing became slower, and nobody is slower than its like'))}[/]"
        )
    if everything:
        for replica in past.replicas:
            out.print(f"[dim]{escape(words(_state(replica)))}[/]")
    counts = message(
        "history.span", "{replicas} replicas since {begin}", replicas=len(past.replicas),
        begin=when(past.since, past.until),
    )  # fmt: skip
    out.print(f"[dim]{escape(words(counts))}[/]")


def _change_line(replica: Replica, change: Change, now: float) -> str:
    style = "yellow" if change.slower and change.last else "dim"
    return f"[{style}]{escape(words(_change(replica, change, now)))}[/]"


def _change(replica: Replica, change: Change, now: float) -> Message:
    values: dict[str, Parameter] = {
        "when": when(change.at, now),
        "node": replica.node,
        "share": Amount(round(abs(1 - change.ratio), 2), "%"),
        "before": Amount(change.before_tok_s, "tok/s"),
        "after": Amount(change.after_tok_s, "tok/s"),
        "why": _reason(change),
    }
    if change.slower:
        return message("history.slower", "since {when} {node} is {share} slower ({before} before, {after} now): {why}",
                       **values)  # fmt: skip
    return message("history.faster", "since {when} {node} is {share} faster ({before} before, {after} now): {why}",
                   **values)  # fmt: skip


def _reason(change: Change) -> Message:
    reasons: list[Parameter] = [*map(fact_change, change.facts), *change.causes]
    if not reasons:
        return message("history.no-reason", "nothing that is known of it changed then")
    more = len(reasons) - _MOST_REASONS
    shown = [
        *reasons[:_MOST_REASONS],
        *([counted("history.more", "one more", "{count} more", more)] if more > 0 else []),
    ]
    return message("history.reasons", "{reasons}", reasons=Listing(tuple(shown)))


def fact_change(fact: FactChange) -> str:
    """`gpu3 link Gen4 x16 -> Gen4 x8`."""
    return tell(
        "history.fact",
        "{subject} {trait} {before} -> {after}",
        subject=fact.subject,
        trait=term_words(fact.name),
        before=fact.before or "-",
        after=fact.after or "-",
    )


def _slow(replica: Replica) -> Message:
    why = [
        message(
            "history.differs", "{subject} {trait} {here}, usually {usual}",
            subject=d.subject, trait=term(d.name), here=d.here or "-", usual=d.usual or "-",
        )
        for d in replica.differs[:_MOST_REASONS]
    ]  # fmt: skip
    reasons: Message | Listing = Listing((*why, *replica.causes))
    if not why and not replica.causes:
        reasons = message("history.no-difference", "in nothing that is known it differs from them")
    if replica.of_like is not None:
        return message(
            "history.slow", "{node} is {share} slower than {count} others of its kind at the same load: {why}",
            node=replica.node, share=Amount(round(1 - replica.of_like, 2), "%"), count=replica.like, why=reasons,
        )  # fmt: skip
    return message(
        "history.below", "{node} does {rate} for one user, {share} of what its plan promises: {why}",
        node=replica.node, rate=Amount(replica.tok_s, "tok/s"), share=Amount(replica.of_promise, "%"),
        why=Listing(replica.causes) if replica.causes else message("history.no-cause", "its watch names no fault"),
    )  # fmt: skip


def _drift(drift: Drift, now: float) -> Message:
    values: dict[str, Parameter] = {
        "name": term(drift.name),
        "before": drift.before,
        "after": drift.after,
        "count": drift.replicas,
        "when": when(drift.first, now),
    }
    if drift.ratio is None:
        return message("history.drift-unknown", "{name} {before} -> {after} on {count} replicas (the first {when}): "
                       "what it changed is not told yet", **values)  # fmt: skip
    values["share"] = Amount(round(drift.ratio - 1, 3), "%")
    if drift.counts:
        return message("history.drift", "{name} {before} -> {after} on {count} replicas (the first {when}): speed "
                       "{share} in the day after", **values)  # fmt: skip
    return message("history.no-drift", "{name} {before} -> {after} on {count} replicas (the first {when}): as fast as "
                   "before ({share})", **values)  # fmt: skip


def _silence(silence: Silence, now: float) -> Message:
    return message("history.silent", "since {when} {node} does not answer: {why}",
                   when=when(silence.since, now), node=silence.node, why=silence.why or silence.trouble)  # fmt: skip


def _state(replica: Replica) -> Message:
    return message("history.state", "{node} {target}: {rate} for one user, {promised} promised", node=replica.node,
                   target=replica.target, rate=Amount(replica.tok_s, "tok/s"),
                   promised=Amount(replica.promised_tok_s, "tok/s"))  # fmt: skip


def when(at: float, now: float) -> Message:
    """A weekday and time within the last six days, else a date."""
    moment = datetime.fromtimestamp(at)
    if not 0 <= now - at < 6 * _DAY_S:
        return message("when.date", "{date}", date=moment.strftime("%Y-%m-%d %H:%M"))
    days = (
        message("when.monday", "Monday"), message("when.tuesday", "Tuesday"), message("when.wednesday", "Wednesday"),
        message("when.thursday", "Thursday"), message("when.friday", "Friday"), message("when.saturday", "Saturday"),
        message("when.sunday", "Sunday"),
    )  # fmt: skip
    return message("when.day", "{day} {time}", day=days[moment.weekday()], time=moment.strftime("%H:%M"))


def _clock(at: float) -> str:
    return datetime.fromtimestamp(at).strftime("%H:%M:%S")
