"""What `wellfed watch` shows: the live view with its bars, and the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import TYPE_CHECKING

from wellfed.cli.console import console
from wellfed.message import joined
from wellfed.messages.words import phrase, tell, words
from wellfed.nouns.finding import Finding, Verdict
from wellfed.units import format_bytes, format_rate
from wellfed.watching.rules.base import percent

if TYPE_CHECKING:
    from rich.console import RenderableType

    from wellfed.watching.diagnose import Diagnosis
    from wellfed.watching.sample import Sample
    from wellfed.watching.target import Target
    from wellfed.watching.view import EngineView, View

_COLOURS = {Verdict.FAIL: "red", Verdict.WARN: "yellow", Verdict.PASS: "green", Verdict.UNKNOWN: "cyan"}
_WIDTH = 24


def report(target: Target, diagnosis: Diagnosis, seen: Counter[str]) -> None:
    """The last window's findings, its figures, and what else was seen on the way (how often which diagnosis)."""
    from rich.markup import escape

    out = console()
    out.print(f"[bold]{escape(target.name)}[/]: {diagnosis.id}", highlight=False)
    for line in lines(diagnosis):
        out.print(line, soft_wrap=True)
    out.print()
    out.print(bars(diagnosis.view))
    if len(seen) > 1:
        parts = joined(", ", (f"{name} {100 * count / seen.total():.0f} %" for name, count in seen.most_common()))
        out.print(tell("watch-text.over-whole-time", "\nover the whole time: {parts}", parts=parts), soft_wrap=True)


def live(target: Target, steps: Iterator[tuple[Sample, Diagnosis]]) -> Diagnosis | None:
    """Redraw at every sample, until interrupted. On no terminal: a line when the diagnosis changes."""
    out, last = console(), None
    if not out.is_terminal:
        return _log(steps)
    from rich.live import Live

    with Live(console=out, auto_refresh=False, transient=False) as screen:
        try:
            for _, last in steps:
                screen.update(_frame(target, last), refresh=True)
        except KeyboardInterrupt:
            return last
    return last


def _log(steps: Iterator[tuple[Sample, Diagnosis]]) -> Diagnosis | None:
    last: Diagnosis | None = None
    for _, diagnosis in steps:
        if last is None or diagnosis.id != last.id:
            for line in lines(diagnosis):
                console().print(line, soft_wrap=True)
        last = diagnosis
    return last


def _frame(target: Target, diagnosis: Diagnosis) -> RenderableType:
    from rich.console import Group
    from rich.markup import escape

    head = tell(
        "watch-text.ctrl-c-ends",
        "[bold]{target}[/]  {url}  (Ctrl-C ends)",
        target=escape(target.name),
        url=escape(target.url or ""),
    )
    return Group(head, "", bars(diagnosis.view), "", *lines(diagnosis))


def lines(diagnosis: Diagnosis) -> list[str]:
    """Every finding: verdict, why, evidence, cost, fix."""
    from wellfed.verbs.watching import priced_findings

    report: list[str] = []
    for finding in priced_findings(diagnosis):
        report += _finding(finding)
    return report


def _verdict(verdict: Verdict) -> str:
    """A diagnosis' verdict: a fault, a warning, nothing wrong, not told."""
    match verdict:
        case Verdict.FAIL:
            return phrase("watch-text.fail", "FAIL")
        case Verdict.WARN:
            return phrase("watch-text.warn", "WARN")
        case Verdict.PASS:
            return phrase("watch-text.pass", "PASS")
        case _:
            return phrase("watch-text.unknown", "UNKNOWN")


def _finding(finding: Finding) -> list[str]:
    from rich.cells import set_cell_size
    from rich.markup import escape

    colour = _COLOURS.get(finding.verdict, "white")
    verdict = f"[{colour}]{set_cell_size(_verdict(finding.verdict), 7)}[/]"
    head = tell(
        "watch-text.finding",
        "[bold]{id}[/] on {subject}: {why}",
        id=finding.id,
        subject=escape(finding.subject),
        why=escape(words(finding.message or finding.why)),
    )
    report = [f"{verdict} {head}"]
    if finding.measured:
        report.append(tell("watch-text.seen", "        seen: {measured}", measured=escape(words(finding.measured))))
    if finding.cost is not None and (finding.cost.note or finding.cost.decode_tok_s):
        lost = finding.cost.decode_tok_s
        taken = tell("watch-text.taken", "{rate} tokens/s: ", rate=format_rate(lost)) if lost else ""
        report.append(
            tell(
                "watch-text.costs",
                "        costs: {taken}{note}",
                taken=taken,
                note=escape(words(finding.cost.message or finding.cost.note)),
            )
        )
    report += [
        tell("watch-text.fix", "        fix: {removeprefix}", removeprefix=escape(words(step).removeprefix("# ")))
        for step in ([remedy.message or remedy.text for remedy in finding.remedies] or finding.fix)
    ]
    return report


def bars(view: View) -> RenderableType:
    """GPUs, cores by node, links, memory, tokens per second against the plan's."""
    from rich.markup import escape
    from rich.table import Table

    table = Table.grid(padding=(0, 2))
    rows = [*_gpu_rows(view), *_cpu_rows(view), *_memory_rows(view), *_engine_rows(view), *_probe_rows(view)]
    for label, share, note in rows:
        table.add_row(escape(label), bar(share), escape(note))
    return table


def bar(share: float | None) -> str:
    """A bar of fixed width; `?` where nothing is known."""
    if share is None:
        return "?".ljust(_WIDTH)
    full = round(min(1.0, max(0.0, share)) * _WIDTH)
    return "█" * full + "░" * (_WIDTH - full)


Row = tuple[str, float | None, str]


def _gpu_rows(view: View) -> Iterator[Row]:
    for gpu in view.gpus or ():
        power = (
            ""
            if gpu.power_share is None
            else tell("watch-text.power", ", {power_share:.0f} % power", power_share=100 * gpu.power_share)
        )
        busy = tell("watch-text.gpu-busy", "{busy} busy{power}", busy=percent(gpu.busy), power=power)
        yield gpu.subject, gpu.busy, busy
        yield (
            tell("watch-text.memory", "{subject} memory", subject=gpu.subject),
            gpu.memory_share,
            phrase("ledger.of", "of {bytes}", bytes=format_bytes(gpu.memory_total_bytes)),
        )
        yield tell("watch-text.link", "{subject} link", subject=gpu.subject), gpu.link_share, gpu.link


def _cpu_rows(view: View) -> Iterator[Row]:
    host = view.host
    if host is None:
        return
    nodes = sorted({host.node_of_cpu.get(cpu, 0) for cpu in host.busy_by_cpu})
    for node in nodes:
        cpus = [busy for cpu, busy in host.busy_by_cpu.items() if host.node_of_cpu.get(cpu, 0) == node]
        yield (
            tell("watch-text.node-cores", "node{node} cores", node=node),
            sum(cpus) / len(cpus),
            tell("watch-text.busy", "{cpus:.1f} of {count} busy", cpus=sum(cpus), count=len(cpus)),
        )
    if view.process and view.process.cores is not None:
        foreign = (
            tell("watch-text.others", ", others {foreign_cores:.1f}", foreign_cores=host.foreign_cores)
            if host.foreign_cores is not None
            else ""
        )
        share = view.process.cores / host.cpus if host.cpus else None
        cores = tell("watch-text.cores", "{cores:.1f} cores{foreign}", cores=view.process.cores, foreign=foreign)
        yield tell("watch-text.engine-row", "engine"), share, cores


def _memory_rows(view: View) -> Iterator[Row]:
    host, group, process = view.host, view.cgroup, view.process
    if host and host.memory_total_bytes and host.memory_available_bytes is not None:
        used = 1 - host.memory_available_bytes / host.memory_total_bytes
        held_words = (
            tell("watch-text.engine", ", the engine {rss_bytes}", rss_bytes=format_bytes(process.rss_bytes))
            if process
            else ""
        )
        free = format_bytes(host.memory_available_bytes)
        note = tell("watch-text.free", "{free} free{held}", free=free, held=held_words)
        yield tell("watch-text.memory-row", "memory"), used, note
    if group and group.memory_limit_bytes and group.memory_bytes is not None:
        yield (
            tell("watch-text.memory-limit", "memory limit"),
            group.memory_bytes / group.memory_limit_bytes,
            phrase("ledger.of", "of {bytes}", bytes=format_bytes(group.memory_limit_bytes)),
        )


def _engine_rows(view: View) -> Iterator[Row]:
    engine = view.engine
    if engine is None:
        return
    note = tell(
        "watch-text.tokens-s-prompt",
        "{tok} tokens/s, {prompt} prompt",
        tok=format_rate(engine.tok_s),
        prompt=format_rate(engine.prompt_tok_s),
    )
    if view.promise is not None:
        note += tell(
            "watch-text.planned-one-user",
            "; planned {decode} for one user",
            decode=format_rate(view.promise.decode_tok_s),
        )
    yield tell("watch-text.rate", "tokens/s"), view.against_promise, note
    if engine.kind == "ollama":
        yield tell("watch-text.loaded", "loaded"), engine.gpu_share, _loaded(engine)
        return
    slots = engine.running / engine.slots if engine.running is not None and engine.slots else None
    waiting = tell(
        "watch-text.running-waiting",
        "{running} running, {waiting} waiting",
        running=format_rate(engine.running),
        waiting=format_rate(engine.waiting),
    )
    yield tell("watch-text.requests", "requests"), slots, waiting
    if engine.kv_usage is not None:
        yield tell("watch-text.kv", "KV cache"), engine.kv_usage, percent(engine.kv_usage)
    if engine.context_fill is not None:
        yield tell("watch-text.context", "context"), engine.context_fill, percent(engine.context_fill)


def _loaded(engine: EngineView) -> str:
    """What Ollama has loaded, and where."""
    if engine.loaded is None:
        return tell("watch-text.nothing-loaded", "no model")
    room = "?" if engine.room_tokens is None else f"{engine.room_tokens:,}"
    return tell(
        "watch-text.loaded-note", "{model}: {size}, {share} of it on GPUs; room for {room} tokens",
        model=engine.loaded, size=format_bytes(engine.held_bytes), share=percent(engine.gpu_share), room=room,
    )  # fmt: skip


def _probe_rows(view: View) -> Iterator[Row]:
    probe = view.probe
    if probe is None:
        return
    share = probe.tok_s / view.promise.decode_tok_s if view.promise is not None and probe.tok_s is not None else None
    first = "?" if probe.ttft_s is None else f"{1e3 * probe.ttft_s:.0f} ms"
    failed = (
        tell("watch-text.failed", ", {failed} failed: {error}", failed=percent(probe.failed), error=probe.error or "?")
        if probe.failed
        else ""
    )
    waits = (
        tell("watch-text.one-waits-s", ", one waits for {waited:.0f} s", waited=probe.waited_s)
        if probe.waiting and (probe.waited_s or 0.0) >= 1
        else ""
    )
    note = tell(
        "watch-text.tokens-s-first",
        "{tok} tokens/s, first after {first}, {asked} answers{waits}{failed}",
        tok=format_rate(probe.tok_s),
        first=first,
        asked=probe.asked,
        waits=waits,
        failed=failed,
    )
    yield tell("watch-text.probes", "probes"), share, note
