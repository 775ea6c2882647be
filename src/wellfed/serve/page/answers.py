"""What the ask page shows of an answer: a sentence, figures, bars, curves, plans. No HTML here."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from markupsafe import Markup

from wellfed.frozen import dataclass
from wellfed.message import Amount, Message, message
from wellfed.messages.terms import limit_words, term_words
from wellfed.messages.words import words
from wellfed.nouns.estimate import DeviceMemory, Quantity, Term, total_seconds
from wellfed.nouns.plan import Plan
from wellfed.planner.answer import Answer
from wellfed.planner.kinds import Kind, describe, kind_of
from wellfed.planner.search import Search
from wellfed.planner.sweep import Point, over_context, over_users
from wellfed.serve.page import charts
from wellfed.serve.page.labels import colon, label
from wellfed.units import format_bytes, format_rate, format_seconds

_TERM_COLOURS: Mapping[str, int] = {
    "weights": 0,
    "kv": 1,
    "compute": 2,
    "output": 3,
    "activations": 2,
    "cuda graphs": 4,
}
KINDS = tuple(Kind)
_SHOWN_BYTES = 2**19  # less is written as 0 MiB


@dataclass(frozen=True, slots=True)
class Bar:
    """A stacked bar with its legend."""

    head: str
    note: str
    picture: Markup
    parts: tuple[charts.Part, ...]
    free: str | None = None


@dataclass(frozen=True, slots=True)
class Figure:
    """One of the answer's figures with its interval."""

    name: str
    value: str
    unit: str
    low: str
    high: str
    picture: Markup | None
    wanted: str | None = None
    missed: bool = False


@dataclass(frozen=True, slots=True)
class Row:
    """One plan in the table."""

    rank: int
    engine: str
    weights: str
    layout: str
    kind: Kind
    spare: str
    spare_bytes: float
    first: Quantity
    per_user: Quantity
    total: Quantity
    limit: str
    bits: float


def sentence(plan: Plan) -> Message:
    """The answer in one sentence."""
    estimate, layout = plan.estimate, plan.layout
    values = {
        "model": plan.model.name, "engine": layout.engine.value, "weights": layout.quantisation.upper(),
        "rate": format_rate(estimate.decode_tok_s.value), "first": Amount(estimate.ttft_s.value, "s"),
    }  # fmt: skip
    users = plan.workload.concurrency
    if kind_of(layout) is Kind.CPU:
        if users == 1:
            return message("page.say-cpu-one", "On the CPU: {model} in {weights} with {engine} writes {rate} tokens a second and begins after {first}.", **values)  # fmt: skip
        return message("page.say-cpu", "On the CPU: {model} in {weights} with {engine} writes {rate} tokens a second for each of {users} users and begins after {first}.", users=users, **values)  # fmt: skip
    if kind_of(layout) is Kind.BOTH:
        if users == 1:
            return message("page.say-both-one", "On GPU and CPU together: {model} in {weights} with {engine} writes {rate} tokens a second and begins after {first}.", **values)  # fmt: skip
        return message("page.say-both", "On GPU and CPU together: {model} in {weights} with {engine} writes {rate} tokens a second for each of {users} users and begins after {first}.", users=users, **values)  # fmt: skip
    if users == 1:
        return message("page.say-gpu-one", "On the GPU: {model} in {weights} with {engine} writes {rate} tokens a second and begins after {first}.", **values)  # fmt: skip
    return message("page.say-gpu", "On the GPU: {model} in {weights} with {engine} writes {rate} tokens a second for each of {users} users and begins after {first}.", users=users, **values)  # fmt: skip


def figures(plan: Plan) -> tuple[Figure, ...]:
    """Speed of a user, first token, all users, memory to spare."""
    estimate, workload = plan.estimate, plan.workload
    wanted_rate = 1 / workload.tpot_target_s if workload.tpot_target_s else None
    tightest = estimate.memory.tightest
    spare = None if tightest is None else tightest.spare_bytes
    return (
        _figure(label("speed"), estimate.decode_tok_s, "tok/s", wanted_rate, False),
        _figure(label("first"), estimate.ttft_s, "s", workload.ttft_target_s, True),
        _figure(label("total"), estimate.total_tok_s, "tok/s", None, False),
        Figure(label("spare"), "?" if spare is None else format_bytes(spare), tightest.device if tightest else "", "", "", None),
    )  # fmt: skip


def _figure(name: str, value: Quantity, unit: str, target: float | None, less: bool) -> Figure:
    def shown(number: float) -> str:
        return format_seconds(number) if unit == "s" else format_rate(number)

    most = max(value.high, target or 0.0) * 1.12
    text = f"{name}{colon()}{shown(value.value)}, {label('interval', low=shown(value.low), high=shown(value.high))}"
    missed = target is not None and (value.value > target if less else value.value < target)
    goal = None if target is None else f"{shown(target)}{'' if unit == 's' else ' ' + unit}"
    picture = charts.interval(value, most, text, target)
    return Figure(name, shown(value.value), "" if unit == "s" else unit, shown(value.low), shown(value.high), picture, goal, missed)  # fmt: skip


def memory_bars(devices: Sequence[DeviceMemory]) -> tuple[Bar, ...]:
    """Each device's ledger; alike devices are drawn once."""
    bars: dict[tuple[object, ...], list[str]] = {}
    rows: dict[tuple[object, ...], DeviceMemory] = {}
    for device in devices:
        key = (tuple((term.name, round(term.bytes / 2**24)) for term in device.terms), device.available_bytes)
        bars.setdefault(key, []).append(device.device)
        rows[key] = device
    return tuple(_memory_bar(rows[key], names) for key, names in bars.items())


def _memory_bar(device: DeviceMemory, names: list[str]) -> Bar:
    terms = sorted((term for term in device.terms if term.bytes >= _SHOWN_BYTES), key=lambda term: -term.bytes)
    colours: dict[str, int] = {}
    parts = tuple(
        charts.Part(term_words(term.name), term.bytes, format_bytes(term.bytes), _colour(term.name, colours))
        for term in terms
    )
    available = device.available_bytes
    scale = max(device.needed_bytes, available or 0.0)
    head = names[0] if len(names) == 1 else f"{names[0]} … {names[-1]}"
    note = label("memory-of", needed=Amount(device.needed_bytes, "B"), available=Amount(available, "B"))
    free = None if device.spare_bytes is None or device.spare_bytes < 0 else format_bytes(device.spare_bytes)
    picture = charts.stacked(parts, scale, f"{head}{colon()}{note}", available)
    return Bar(head, note, picture, parts, free)


def _colour(name: str, colours: dict[str, int]) -> int:
    """A term's own colour, or the next that is free."""
    if name not in _TERM_COLOURS and name not in colours:
        colours[name] = 4 + len(colours) % 5
    return _TERM_COLOURS.get(name, colours.get(name, 4))


def time_bars(plan: Plan) -> tuple[Bar, ...]:
    """One decode step and the prompt, part by part, with what limits each."""
    steps = ((label("decode-step"), plan.estimate.decode), (label("prefill-step"), plan.estimate.prefill))
    return tuple(_time_bar(head, terms) for head, terms in steps if terms)


def _time_bar(head: str, terms: tuple[Term, ...]) -> Bar:
    total_s = total_seconds(terms)
    shown = sorted((term for term in terms if term.seconds > 0), key=lambda term: -term.seconds)
    parts = [
        charts.Part(
            f"{term_words(term.name)}{' ' + term.device if term.device else ''} · {limit_words(term.limited_by)}",
            term.seconds, format_seconds(term.seconds), n,
        )
        for n, term in enumerate(shown[:8])
    ]  # fmt: skip
    rest_s = sum(term.seconds for term in shown[8:])
    if rest_s > 0:
        parts.append(charts.Part(label("rest"), rest_s, format_seconds(rest_s), 8))
    return Bar(
        head,
        format_seconds(total_s),
        charts.stacked(parts, total_s, f"{head}{colon()}{format_seconds(total_s)}"),
        tuple(parts),
    )


@dataclass(frozen=True, slots=True)
class Curves:
    """Speed and first token over something, as pictures, and the same as a table."""

    head: str
    pictures: tuple[tuple[str, Markup], ...]
    points: tuple[Point, ...]


def curves(search: Search, plan: Plan) -> tuple[Curves, ...]:
    """Over users and over context."""
    workload = plan.workload
    rate = 1 / workload.tpot_target_s if workload.tpot_target_s else None
    users, depth = over_users(search, plan), over_context(search, plan)
    here = workload.depth_tokens + workload.prompt_tokens + workload.output_tokens
    return tuple(
        _curves(head, points, rate, workload.ttft_target_s, mark)
        for head, points, mark in (
            (label("over-users"), users, workload.concurrency),
            (label("over-context"), depth, here),
        )
        if len(points) > 1
    )


def _curves(head: str, points: tuple[Point, ...], rate: float | None, first: float | None, mark: int) -> Curves:
    xs = [point.x for point in points]
    rate_lines = [charts.Line(label("rate-each"), [point.decode_tok_s for point in points], 0)]
    wait = [charts.Line(label("first"), [point.ttft_s for point in points], 1)]
    pictures = (
        (
            label("rate-each"),
            charts.lines(xs, rate_lines, f"{head}{colon()}{label('rate-each')}", "tok/s", rate, label("target"), mark),
        ),
        (label("first"), charts.lines(xs, wait, f"{head}{colon()}{label('first')}", "s", first, label("target"), mark)),
    )
    return Curves(head, pictures, points)


def rows(answer: Answer) -> list[Row]:
    """The best plan of each engine, weights, cache and placement."""
    return [_row(answer.search, plan, rank) for rank, plan in enumerate(answer.ranking.best_of_each_kind(), 1)]


def _row(search: Search, plan: Plan, rank: int) -> Row:
    tightest, estimate = plan.estimate.memory.tightest, plan.estimate
    spare = tightest.spare_bytes if tightest is not None else None
    return Row(
        rank, plan.layout.engine.value, plan.layout.quantisation.upper(), words(describe(plan.layout)), kind_of(plan.layout),
        "?" if spare is None else format_bytes(spare), spare or 0.0, estimate.ttft_s, estimate.decode_tok_s,
        estimate.total_tok_s, limit_words(estimate.limited_by), search.quantisation(plan.layout.quantisation).bits,
    )  # fmt: skip


def arranged(table: list[Row], sort: str, kind: str | None) -> list[Row]:
    """The table sorted and filtered as a URL says; `-name` sorts the other way round."""
    keys = {
        "rank": lambda row: row.rank, "engine": lambda row: (row.engine, row.rank),
        "weights": lambda row: (-row.bits, row.rank), "spare": lambda row: -row.spare_bytes,
        "first": lambda row: row.first.value, "each": lambda row: -row.per_user.value, "total": lambda row: -row.total.value,
    }  # fmt: skip
    name = sort.removeprefix("-")
    chosen = [row for row in table if kind is None or row.kind.name.lower() == kind]
    return sorted(chosen, key=keys.get(name, keys["rank"]), reverse=sort.startswith("-"))


def scatter(table: list[Row]) -> Markup | None:
    """Speed against bits per weight, with the plans that no other beats in both."""
    if len(table) < 2:
        return None
    dots = [
        charts.Dot(
            row.bits, row.per_user.value,
            f"{row.engine} {row.weights}, {row.layout}{colon()}{format_rate(row.per_user.value)} tok/s", KINDS.index(row.kind),
            not any(_beats(rival, row) for rival in table), row.rank == 1, f"{row.engine} {row.weights}",
        )
        for row in table
    ]  # fmt: skip
    return charts.scatter(dots, label("scatter"), label("bits"), label("rate-each"))


def _beats(rival: Row, row: Row) -> bool:
    at_least = rival.bits >= row.bits and rival.per_user.value >= row.per_user.value
    return at_least and (rival.bits > row.bits or rival.per_user.value > row.per_user.value)


def reasons(answer: Answer) -> list[str]:
    """Why, in the planner's words."""
    return [words(reason) for reason in answer.verdict.reasons]
