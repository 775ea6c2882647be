"""`plan --report`: one self-contained file (HTML or Markdown) to send to a colleague."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from pathlib import Path

from wellfed import __version__
from wellfed.cli.console import colon
from wellfed.cli.first_look import fault_line
from wellfed.cli.plan_table import plain_rows
from wellfed.cli.plan_text import gain, limits, model_line, readings, workload_line
from wellfed.cli.sweep_chart import line_svg, sweeps
from wellfed.documents.machine_line import machine_line
from wellfed.errors import BadInput, WellfedError
from wellfed.message import joined, message
from wellfed.messages.language import language
from wellfed.messages.terms import term_words
from wellfed.messages.words import phrase, words
from wellfed.nouns.estimate import DeviceMemory, Quantity, Term, total_seconds
from wellfed.nouns.plan import Plan
from wellfed.planner.answer import Answer
from wellfed.units import format_bytes, format_rate, format_seconds
from wellfed.verbs.next_steps import NextSteps, Question, disk_line

_COLOURS = (
    "#4878a8", "#e08a3c", "#5a9e6f", "#b65d5d", "#8a72a8", "#8c7355", "#c97fa8", "#7f7f7f", "#a8a83c", "#3ca8a8",
    "#2f4b6e", "#c9a227",
)  # fmt: skip
_SHOWN = 0.002  # of a bar: what is less is no part to see


def write_report(path: Path, answer: Answer, top: int, question: Question) -> None:
    """Write the report; its form is the name's ending. Raises BadInput for another ending or an unwritable place."""
    forms = {".html": _html, ".htm": _html, ".md": _markdown}
    if path.suffix.lower() not in forms:
        problem = message("report.form", "{path} is neither .html nor .md", path=str(path))
        raise BadInput(problem, message("report.form.hint", "name the file report.html or report.md"))
    try:
        path.write_text(forms[path.suffix.lower()](answer, top, question), encoding="utf-8")
    except OSError as error:
        problem = message("report.unwritable", "cannot write {path}: {why}", path=str(path), why=error.strerror or "?")
        raise BadInput(
            problem, message("report.unwritable.hint", "name a file in a folder that you may write to")
        ) from error


def _request_lines(answer: Answer) -> list[str]:
    """The load that was planned for, and what was taken from words that can mean two things."""
    search = answer.search
    return [workload_line(search.workload, search.sweep), *readings(search.machine.assumptions + answer.assumptions)]


def _faults(plan: Plan) -> list[str]:
    """What holds the machine back, with its price for this plan."""
    from wellfed.nouns.finding import Verdict
    from wellfed.verbs.checking import check_plan

    try:
        findings = check_plan(plan).findings
    except WellfedError:
        return []
    return [fault_line(finding) for finding in findings if finding.verdict in {Verdict.FAIL, Verdict.WARN}]


def _range(quantity: Quantity) -> str:
    return f"{format_rate(quantity.value)} ({format_rate(quantity.low)}-{format_rate(quantity.high)})"


def _verdict(answer: Answer) -> str:
    head = answer.verdict.kind.value if answer.verdict.kind else phrase("plan.no-fit", "does not fit")
    return words(joined(": ", (head, joined("; ", (words(reason) for reason in answer.verdict.reasons)))))


def _upgrades(answer: Answer) -> list[str]:
    gains = ((upgrade, gain(upgrade)) for upgrade in answer.upgrades)
    return [words(joined(": ", (words(upgrade.change), words(text)))) for upgrade, text in gains if text is not None]


def _markdown(answer: Answer, top: int, question: Question) -> str:
    plans = answer.ranking.best_of_each_kind()[:top]
    lines = [
        f"# {model_line(answer.search.model)}",
        "",
        words(machine_line(answer.search.machine)),
        "",
        *(line for request_line in _request_lines(answer) for line in (request_line, "")),
        f"**{_verdict(answer)}**",
        "",
    ]
    if plans:
        heads, rows = plain_rows(plans)
        lines += [_row(heads), _row(["---"] * len(heads)), *map(_row, rows), ""]
        lines += [words(joined("; ", (words(limit) for limit in limits(plans[0])))), ""]
        lines += _steps_markdown(question.steps(plans[0]))
        lines += [f"## {phrase('ledger.memory', 'memory')}", ""]
        for device in plans[0].estimate.memory.devices:
            lines += [_device_line(device), ""]
            lines += [f"- {term_words(term.name)}{colon()}{format_bytes(term.bytes)}" for term in device.terms] + [""]
        if faults := _faults(plans[0]):
            lines += [f"## {phrase('look.faults', 'what holds it back')}", "", *(f"- {line}" for line in faults), ""]
    elif answer.levers:
        lines += [f"## {phrase('plan.levers', 'what would fit, least loss first')}", ""]
        lines += [*(f"- {line}" for line in _levers(answer)), "", *_steps_markdown(question.ways_out(answer.levers))]
    if upgrades := _upgrades(answer):
        lines += [f"## {phrase('plan.upgrade', 'next upgrade')}", "", *(f"- {line}" for line in upgrades), ""]
    return "\n".join([*lines, _assumed(answer), "", f"wellfed {__version__}", ""])


def _steps_markdown(steps: NextSteps) -> list[str]:
    """What to type, each command behind what it does."""
    lines = [f"## {phrase('plan.type', 'what to type')}", ""] if steps.steps else []
    for step in steps.steps:
        lines += [f"{words(step.purpose)}{colon().rstrip()}", "", f"    {step.command}", ""]
    return [*lines, words(disk_line(steps.downloads)), ""] if steps.downloads else lines


def _levers(answer: Answer) -> list[str]:
    """What would fit, with its speed."""
    return [f"{words(lever.change)}: {_range(lever.plan.estimate.decode_tok_s)} tok/s" for lever in answer.levers]


def _device_line(device: DeviceMemory) -> str:
    return f"**{device.device}**{colon()}{format_bytes(device.needed_bytes)} / {format_bytes(device.available_bytes)}"


def _row(cells: Sequence[str]) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _assumed(answer: Answer) -> str:
    texts = words(joined("; ", (words(assumption.text) for assumption in answer.assumptions)))
    return phrase("plan.assumed", "assumed: {texts}", texts=texts) if texts else ""


def _html(answer: Answer, top: int, question: Question) -> str:
    plans = answer.ranking.best_of_each_kind()[:top]
    body = [
        f"<h1>{escape(model_line(answer.search.model))}</h1>",
        f"<p>{escape(words(machine_line(answer.search.machine)))}</p>",
        *(f"<p>{escape(line)}</p>" for line in _request_lines(answer)),
        f'<p class="verdict">{escape(_verdict(answer))}</p>',
    ]
    if plans:
        body += [
            _table(*plain_rows(plans)),
            f"<p>{escape(words(joined('; ', (words(limit) for limit in limits(plans[0])))))}</p>",
        ]
        body += [
            *_steps_html(question.steps(plans[0])),
            *_memory_html(plans[0]),
            *_time_html(plans[0]),
            *_sweeps_html(answer, plans[0]),
        ]
        if faults := _faults(plans[0]):
            body += [f"<h2>{escape(phrase('look.faults', 'what holds it back'))}</h2>", _list(faults)]
    elif answer.ranking.near_miss:
        body += [_memory_bar(device) for device in answer.ranking.near_miss.memory.devices]
        body += [
            f"<h2>{escape(phrase('plan.levers', 'what would fit, least loss first'))}</h2>",
            _list(_levers(answer)),
        ]
        body += _steps_html(question.ways_out(answer.levers))
    if upgrades := _upgrades(answer):
        body += [f"<h2>{escape(phrase('plan.upgrade', 'next upgrade'))}</h2>", _list(upgrades)]
    body += [f'<p class="small">{escape(_assumed(answer))}</p>', f'<p class="small">wellfed {__version__}</p>']
    title = escape(answer.search.model.name)
    return _PAGE.format(language=language(), title=title, body="\n".join(body))


_PAGE = """<!doctype html>
<html lang="{language}"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>wellfed: {title}</title><style>
:root {{ color-scheme: light dark; }}
body {{ font: 15px/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }}
table {{ border-collapse: collapse; width: 100%; }} td, th {{ padding: .25rem .6rem; text-align: left; }}
tr + tr {{ border-top: 1px solid #8884; }}
td, th {{ white-space: nowrap; }} td:nth-child(3) {{ white-space: normal; }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere; background: #8881; padding: .6rem; }}
.verdict {{ font-size: 1.15rem; font-weight: 600; }}
.small {{ color: color-mix(in srgb, CanvasText 65%, Canvas); font-size: .85rem; }}
svg text {{ font: 11px system-ui, sans-serif; fill: currentColor; }}
</style></head><body>
{body}
</body></html>
"""


def _table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in heads)
    lines = "".join("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{head}</tr></thead><tbody>{lines}</tbody></table>"


def _list(lines: Sequence[str]) -> str:
    return "<ul>" + "".join(f"<li>{escape(line)}</li>" for line in lines) + "</ul>"


def _steps_html(steps: NextSteps) -> list[str]:
    if not steps.steps:
        return []
    commands = [f"<p>{escape(words(step.purpose))}</p><pre>{escape(step.command)}</pre>" for step in steps.steps]
    fetched = [f"<p>{escape(words(disk_line(steps.downloads)))}</p>"] if steps.downloads else []
    return [f"<h2>{escape(phrase('plan.type', 'what to type'))}</h2>", *commands, *fetched]


def _memory_html(plan: Plan) -> list[str]:
    head = f"<h2>{escape(phrase('ledger.memory', 'memory'))}</h2>"
    return [head, *(_memory_bar(device) for device in plan.estimate.memory.devices)]


def _memory_bar(device: DeviceMemory) -> str:
    total_bytes = max(device.needed_bytes, device.available_bytes or 0.0) or 1.0
    parts = [(term_words(term.name), term.bytes, format_bytes(term.bytes)) for term in device.terms if term.bytes > 0]
    head = f"{device.device}{colon()}{format_bytes(device.needed_bytes)} / {format_bytes(device.available_bytes)}"
    return _bar(head, sorted(parts, key=lambda part: -part[1]), total_bytes)


def _time_html(plan: Plan) -> list[str]:
    decode = phrase("ledger.step", "one decode step"), plan.estimate.decode
    prompt = phrase("ledger.prompt", "the prompt"), plan.estimate.prefill
    return [_time_bar(head, terms) for head, terms in (decode, prompt)]


def _time_bar(head: str, terms: tuple[Term, ...]) -> str:
    total_s = total_seconds(terms) or 1.0
    parts = [(f"{term_words(term.name)} {term.device}", term.seconds, format_seconds(term.seconds)) for term in terms]
    return _bar(
        f"{head}{colon()}{format_seconds(total_s)}", [part for part in parts if part[1] > _SHOWN * total_s], total_s
    )


def _bar(head: str, parts: Sequence[tuple[str, float, str]], total: float) -> str:
    """A stacked bar with its parts named below; every part has its own words, so that colour is not needed."""
    x, boxes, keys = 0.0, [], []
    for n, (name, value, shown) in enumerate(parts):
        width, colour = 900 * value / total, _COLOURS[n % len(_COLOURS)]
        title = escape(f"{name.strip()}: {shown}")
        boxes.append(
            f'<rect x="{x:.1f}" y="0" width="{width:.1f}" height="26" fill="{colour}"><title>{title}</title></rect>'
        )
        keys.append(f'<span style="color:{colour}">&#9632;</span> {title}')
        x += width
    picture = f'<svg viewBox="0 0 900 26" width="100%" role="img" aria-label="{escape(head)}">{"".join(boxes)}</svg>'
    return f"<h3>{escape(head)}</h3>{picture}<p class='small'>{' &nbsp; '.join(keys)}</p>"


def _sweeps_html(answer: Answer, plan: Plan) -> list[str]:
    return [f"<h3>{escape(sweep.head)}</h3>{line_svg(sweep)}" for sweep in sweeps(answer.search, plan)]
