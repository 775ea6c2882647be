"""Findings for a terminal."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.markup import escape
from rich.table import Table

from wellfed.checks.base import NOT_SHOWN, UNTOLD
from wellfed.checks.outputs.summary import counts, untold
from wellfed.checks.setting import vendor_of
from wellfed.cli.console import colon, console, shown, talk
from wellfed.documents.machine_line import machine_line
from wellfed.hardware.machine import Origin
from wellfed.message import joined, listed
from wellfed.messages.terms import value_words, verdict_words
from wellfed.messages.words import tell, words
from wellfed.nouns.finding import Cost, Finding, Reach, Remedy, Safety, Verdict
from wellfed.units import format_rate, format_seconds

if TYPE_CHECKING:
    from wellfed.nouns.plan import Plan
    from wellfed.verbs.checking import Checked

_STYLES = {
    Verdict.FAIL: "bold red",
    Verdict.WARN: "yellow",
    Verdict.UNKNOWN: "magenta",
    Verdict.PASS: "green",
    Verdict.SKIP: "dim",
}
_ORDER = tuple(_STYLES)
_MANY = 3  # checks from which a common reason is said once
_FIXES = 4
_ASKS = 4  # commands that are asked for


def print_checked(checked: Checked, everything: bool) -> None:
    """Faults first with cost and fix, then what could not be seen, then how many passed."""
    out = console()
    out.print(shown(machine_line(checked.machine)))
    _print_header(checked)
    if checked.no_price is not None:
        out.print(
            tell("check-text.priced", "[yellow]not priced: {no_price}[/]", no_price=escape(words(checked.no_price)))
        )
    if checked.plan is not None:
        out.print(tell("check-text.costs", "[dim]costs are for {plan}[/]", plan=escape(_plan_line(checked.plan))))
    verdicts = _ORDER if everything else (Verdict.FAIL, Verdict.WARN, Verdict.UNKNOWN)
    dump = checked.machine.origin is Origin.DUMP
    silent = [finding for finding in checked.findings if _is_silent(finding, dump) and not everything]
    blind = [] if everything else _for_one_reason(finding for finding in checked.findings if finding not in silent)
    for verdict in verdicts:
        for finding in _grouped(
            finding
            for finding in checked.findings
            if finding.verdict is verdict and finding not in silent and finding not in blind
        ):
            _print_finding(finding)
    for why, blinded in _ids_by_reason(blind).items():
        out.print(_row("?", "magenta", f"{shown(why)}{colon()}[dim]{escape(words(listed(blinded)))}[/]"))
    if silent:
        ids = listed(dict.fromkeys(finding.id for finding in silent))
        out.print(
            _row(
                "?",
                "magenta",
                tell("check-text.dump-tells-nothing", "the dump tells nothing of: {ids}", ids=escape(words(ids))),
            )
        )
        _print_asks(silent, vendor_of(checked.machine))
    _print_summary(checked, everything)


def _is_silent(finding: Finding, dump: bool) -> bool:
    """What a dump simply does not show: said once, with what to add."""
    if finding.message is None or finding.verdict is not Verdict.UNKNOWN or finding.measured:
        return False
    return finding.message.id == UNTOLD or (dump and finding.message.id in NOT_SHOWN)


def _print_header(checked: Checked) -> None:
    """What kind of machine, what was read, what could not be."""
    from wellfed.verbs.checking import header

    heading = joined("; ", (words(item) for item in header(checked.machine)))
    if heading:
        console().print(f"[dim]{shown(heading)}[/]")
    for name, reason in checked.machine.unknown.items():
        if name == "snapshot" or name.startswith("dump "):
            warning = tell("check-text.warning", "warning")
            talk().print(f"[yellow]{warning}[/]{colon()}{escape(name)}{colon()}{shown(reason)}")


def _for_one_reason(findings: Iterable[Finding]) -> list[Finding]:
    """Those that could not be told, where many checks give the same reason and nothing else."""
    blind = [
        finding
        for finding in findings
        if finding.verdict is Verdict.UNKNOWN and not finding.measured and not _steps(finding)
    ]
    number = Counter(finding.why for finding in blind)
    return [finding for finding in blind if number[finding.why] >= _MANY]


def _steps(finding: Finding) -> bool:
    """Whether there is something to do besides adding to a dump."""
    return any(remedy.reach is not Reach.LOOK for remedy in finding.remedies)


def _print_asks(findings: Iterable[Finding], vendor: str | None) -> None:
    """The commands whose output would tell most of what is not told, each once."""
    from wellfed.checks.registry import check
    from wellfed.checks.tools import all_in_words_of

    ids = dict.fromkeys(finding.id for finding in findings)
    commands = Counter(command for id in ids for command in all_in_words_of(vendor, check(id).ask[:1]))
    if commands:
        best = listed(command for command, _ in commands.most_common(_ASKS))
        console().print(
            _row(
                "", "", tell("check-text.add-output", "  [cyan]add the output of: {best}[/]", best=escape(words(best)))
            )
        )


def _ids_by_reason(findings: Iterable[Finding]) -> dict[str, list[str]]:
    reasons: dict[str, list[str]] = {}
    for finding in findings:
        ids = reasons.setdefault(finding.why, [])
        if finding.id not in ids:
            ids.append(finding.id)
    return reasons


def _plan_line(plan: Plan) -> str:
    from wellfed.planner.kinds import describe

    return tell(
        "check-text.plan",
        "{model} ({engine}, {weights}, {layout}: {rate} tok/s, TTFT {first})",
        model=plan.model.name,
        engine=plan.layout.engine.value,
        weights=plan.layout.quantisation.upper(),
        layout=describe(plan.layout),
        rate=format_rate(plan.estimate.decode_tok_s.value),
        first=format_seconds(plan.estimate.ttft_s.value),
    )


def _grouped(findings: Iterable[Finding]) -> list[Finding]:
    """Findings that differ in their subject alone become one, with all subjects and fixes."""
    groups: dict[tuple[str | None, ...], list[Finding]] = {}
    for finding in findings:
        groups.setdefault((finding.id, finding.why, finding.measured, finding.wanted), []).append(finding)
    return [
        replace(
            group[0],
            subject=_subjects([finding.subject for finding in group]),
            fix=tuple(dict.fromkeys(line for finding in group for line in finding.fix)),
            remedies=tuple(dict.fromkeys(remedy for finding in group for remedy in finding.remedies)),
        )
        for group in groups.values()
    ]


def _subjects(subjects: list[str]) -> str:
    if len(subjects) <= 4:
        return words(listed(subjects))
    return f"{subjects[0]}, {subjects[1]} ... {subjects[-1]} ({len(subjects)})"


def _print_finding(finding: Finding) -> None:
    style = _STYLES[finding.verdict]
    word = "?" if finding.verdict is Verdict.UNKNOWN else verdict_words(finding.verdict)
    out = console()
    head = f"[bold]{escape(finding.id)}[/] [dim]{escape(finding.subject)}[/]  {shown(finding.message or finding.why)}"
    out.print(_row(word, style, head))
    if finding.verdict in (Verdict.PASS, Verdict.SKIP):
        return
    if finding.measured:
        out.print(_row("", "", "  " + escape(_measured(finding))))
    if finding.cost is not None:
        out.print(_row("", "", f"  [bold]{escape(cost_text(finding.cost))}[/]"))
    for remedy in finding.remedies[:_FIXES]:
        _print_fix(remedy)
    if len(finding.remedies) > _FIXES:
        out.print(
            _row(
                "",
                "",
                tell(
                    "check-text.more-lines-fix",
                    "  [dim]and {count} more lines: --fix[/]",
                    count=len(finding.remedies) - _FIXES,
                ),
            )
        )


def _measured(finding: Finding) -> str:
    measured = value_words(finding.measured or "")
    if not finding.wanted:
        return tell("check-text.is", "is {measured}", measured=measured)
    wanted = value_words(finding.wanted)
    return tell("check-text.is-should", "is {measured}; should be {wanted}", measured=measured, wanted=wanted)


def _row(word: str, style: str, text: str) -> Table:
    """A verdict and its text, which keeps to its column when it is long."""
    row = Table.grid(padding=(0, 1))
    row.add_column(width=max(4, cell_len(word)), justify="right", style=style)
    row.add_column(overflow="fold")
    row.add_row(word, text)
    return row


def _print_fix(remedy: Remedy) -> None:
    """Commands in one piece, to be copied; advice as text."""
    if remedy.text.startswith("#"):
        console().print(_row("", "", f"  [cyan]{escape(words(remedy.message or remedy.text).lstrip('# '))}[/]"))
        return
    restart = tell("check-text.restart", " [dim](needs a restart)[/]")
    note = restart if remedy.safety is Safety.RESTART else ""
    console().print(f"       [cyan]$ {escape(remedy.text)}[/]{note}", soft_wrap=True)


def cost_text(cost: Cost) -> str:
    """What the fault takes away, in words."""
    parts = []
    if cost.decode_tok_s:
        parts.append(tell("check-text.tok-s-decode", "{decode} tok/s of decode", decode=format_rate(cost.decode_tok_s)))
    if cost.prefill_tok_s:
        parts.append(
            tell("check-text.tok-s-prefill", "{prefill} tok/s of prefill", prefill=format_rate(cost.prefill_tok_s))
        )
    if cost.ttft_s:
        parts.append(tell("check-text.first-token", "{ttft} to the first token", ttft=format_seconds(cost.ttft_s)))
    if cost.load_s:
        parts.append(tell("check-text.loading", "{load} of loading", load=format_seconds(cost.load_s)))
    text = tell("check-text.costs-parts", "costs {parts}", parts=joined(", ", parts)) if parts else ""
    return words(joined("; ", (part for part in (text, words(cost.message or cost.note)) if part)))


def _print_summary(checked: Checked, everything: bool) -> None:
    number = counts(checked.findings)
    parts = [
        tell("check-text.failed", "[bold red]{count} failed[/]", count=number["fail"]) if number["fail"] else "",
        tell("check-text.warned", "[yellow]{count} warned[/]", count=number["warn"]) if number["warn"] else "",
        tell(
            "check-text.checks-could-told",
            "[magenta]{findings} checks could not be told[/]",
            findings=untold(checked.findings),
        )
        if number["unknown"]
        else "",
        tell("check-text.passed", "[green]{count} passed[/]", count=number["pass"]) if number["pass"] else "",
        tell("check-text.do-apply", "[dim]{number} do not apply[/]", number=number["skip"]) if number["skip"] else "",
    ]
    hint = "" if everything else tell("check-text.all", " [dim](--all shows them)[/]")
    console().print("\n" + words(joined(", ", (text for text in parts if text))) + hint)
    if checked.together is not None:
        console().print(
            tell(
                "check-text.all-faults-together",
                "all faults together: {together}",
                together=escape(cost_text(checked.together)),
            )
        )
