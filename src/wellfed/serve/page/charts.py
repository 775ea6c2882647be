"""Pictures of figures as SVG, made here: they need no JavaScript, print well, and are read out by their titles.

Colours are classes of the style sheet, so that they follow light and dark.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from markupsafe import Markup, escape

from wellfed.frozen import dataclass
from wellfed.nouns.estimate import Quantity
from wellfed.serve.page.labels import colon
from wellfed.units import format_rate, format_seconds

WIDTH, HEIGHT = 420, 230
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 16, 34


@dataclass(frozen=True, slots=True)
class Part:
    """A piece of a stacked bar: its words, its value and that value as text; `colour` is a number of the palette."""

    name: str
    value: float
    shown: str
    colour: int


def stacked(parts: Sequence[Part], total: float, label: str, limit: float | None = None) -> Markup:
    """A stacked bar over `total`; what is left stays empty. `limit` draws a line where the device ends."""
    total = max(total, 1e-12)
    pieces, x = [], 0.0
    for part in parts:
        width = 1000 * part.value / total
        text = escape(f"{part.name}{colon()}{part.shown}")
        pieces.append(f'<rect class="c{part.colour}" x="{x:.2f}" y="0" width="{max(width - 1.5, 0.5):.2f}" height="30"><title>{text}</title></rect>')  # fmt: skip
        x += width
    if limit is not None and limit < total:
        at = 1000 * limit / total
        pieces.append(f'<line class="limit" x1="{at:.1f}" x2="{at:.1f}" y1="-4" y2="34"/>')
    body = "".join(pieces)
    return Markup(
        f'<svg class="bar" viewBox="0 -4 1000 38" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<rect class="empty" x="0" y="0" width="1000" height="30"/>{body}</svg>'
    )


def interval(quantity: Quantity, most: float, label: str, target: float | None = None) -> Markup:
    """A value as a dot on its interval, over 0 to `most`."""
    scale = 300 / max(most, 1e-12)
    low, high, at = (min(296.0, value * scale) for value in (quantity.low, quantity.high, quantity.value))
    mark = ""
    if target is not None and target * scale <= 300:
        mark = f'<line class="target" x1="{target * scale:.1f}" x2="{target * scale:.1f}" y1="0" y2="16"/>'
    return Markup(
        f'<svg class="interval" viewBox="0 0 300 16" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">'
        f'<rect class="rail" x="0" y="7" width="300" height="2"/><rect class="span" x="{low:.1f}" y="5" '
        f'width="{max(high - low, 2):.1f}" height="6"/><rect class="dot" x="{max(at - 2, 0):.1f}" y="2" width="4" height="12"/>{mark}</svg>'
    )


@dataclass(frozen=True, slots=True)
class Line:
    """One curve over `x`, with its interval; `colour` of the palette; `name` in its legend."""

    name: str
    values: Sequence[Quantity]
    colour: int = 0


def lines(xs: Sequence[int], curves: Sequence[Line], label: str, unit: str, target: float | None = None,
          target_name: str = "", mark: int | None = None) -> Markup:  # fmt: skip
    """Curves with their 80 % intervals; points are spaced evenly, since they stand at powers of two.

    `unit`: "s" or a rate. `mark`: the x that was asked for.
    """
    most = max([quantity.high for curve in curves for quantity in curve.values] + ([target] if target else []))
    most = _nice(most)
    place = {x: _LEFT + (WIDTH - _LEFT - _RIGHT) * n / max(len(xs) - 1, 1) for n, x in enumerate(xs)}

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(value / most, 1.0)

    body = [_grid(most, unit)]
    for x, at in place.items():
        body.append(f'<text class="tick" x="{at:.0f}" y="{HEIGHT - 14}" text-anchor="middle">{_short(x)}</text>')
    if mark in place:
        at = place[mark]
        body.append(f'<line class="here" x1="{at:.1f}" x2="{at:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
    for curve in curves:
        body.append(_curve(curve, [place[x] for x in xs], y, xs, unit))
    if target is not None:
        body.append(
            f'<line class="target" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y(target):.1f}" y2="{y(target):.1f}"/>'
        )
        body.append(f'<text class="target-name" x="{WIDTH - _RIGHT}" y="{y(target) - 4:.1f}" text-anchor="end">{escape(target_name)}</text>')  # fmt: skip
    return _picture(body, label)


def _curve(curve: Line, places: Sequence[float], y: object, xs: Sequence[int], unit: str) -> str:
    assert callable(y)  # noqa: S101 - for the type checker
    above = [f"{x:.1f},{y(v.high):.1f}" for x, v in zip(places, curve.values, strict=True)]
    below = [f"{x:.1f},{y(v.low):.1f}" for x, v in zip(places, curve.values, strict=True)]
    middle = [f"{x:.1f},{y(v.value):.1f}" for x, v in zip(places, curve.values, strict=True)]
    dots = "".join(
        f'<circle class="c{curve.colour}" cx="{at:.1f}" cy="{y(v.value):.1f}" r="3.2"><title>{x:,}: {_written(v.value, unit)} '
        f"({_written(v.low, unit)} – {_written(v.high, unit)})</title></circle>"
        for x, at, v in zip(xs, places, curve.values, strict=True)
    )
    return (
        f'<polygon class="band b{curve.colour}" points="{" ".join([*above, *reversed(below)])}"/>'
        f'<polyline class="curve l{curve.colour}" points="{" ".join(middle)}"/>{dots}'
    )


@dataclass(frozen=True, slots=True)
class Dot:
    """A point of the scatter: `group` chooses its colour and shape; `front` draws it on the Pareto front."""

    x: float
    y: float
    name: str
    group: int
    front: bool = False
    best: bool = False
    short: str = ""  # its name in the picture


def scatter(dots: Sequence[Dot], label: str, x_name: str, y_name: str) -> Markup:
    """Quality (x) against speed (y), both logarithmic; the front joined and named where there is room."""
    low, high = min(dot.y for dot in dots) * 0.8, max(dot.y for dot in dots) * 1.25
    x_low, x_high = min(dot.x for dot in dots) * 0.92, max(dot.x for dot in dots) * 1.08

    def at(dot: Dot) -> tuple[float, float]:
        x = _LEFT + (WIDTH - _LEFT - _RIGHT) * math.log(dot.x / x_low) / max(math.log(x_high / x_low), 1e-9)
        share = math.log(dot.y / low) / max(math.log(high / low), 1e-9)
        return x, HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * share

    body = []
    for value in _log_ticks(low, high):
        y = at(Dot(x_low, value, "", 0))[1]
        body.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        body.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{format_rate(value)}</text>')
    for bits in (2, 3, 4, 5, 6, 8, 16):
        if x_low <= bits <= x_high:
            x = at(Dot(bits, low, "", 0))[0]
            body.append(f'<text class="tick" x="{x:.0f}" y="{HEIGHT - 18}" text-anchor="middle">{bits}</text>')
    front = sorted((dot for dot in dots if dot.front), key=lambda dot: dot.x)
    if len(front) > 1:
        points = " ".join("{:.1f},{:.1f}".format(*at(dot)) for dot in front)
        body.append(f'<polyline class="front" points="{points}"/>')
    for dot in sorted(dots, key=lambda dot: (dot.front, dot.best)):
        x, y = at(dot)
        body.append(_shape(dot, x, y))
    body += _names([(dot, *at(dot)) for dot in sorted(front, key=lambda dot: not dot.best)], [at(dot) for dot in dots])
    body.append(f'<text class="axis" x="{WIDTH - _RIGHT}" y="{HEIGHT - 3}" text-anchor="end">{escape(x_name)}</text>')
    body.append(f'<text class="axis" x="{_LEFT}" y="11">{escape(y_name)}</text>')
    return _picture(body, label)


_LETTER, _LINE = 5.6, 12.0  # of a name in the scatter, in its units


def _names(dots: Sequence[tuple[Dot, float, float]], marks: Sequence[tuple[float, float]]) -> list[str]:
    """Short names beside dots, each at the first place where it covers neither another name nor many marks."""
    boxes: list[tuple[float, float, float, float]] = []
    written = []
    for dot, x, y in dots:
        wide = len(dot.short) * _LETTER
        places = ((x + 9, y - 6), (x - 9 - wide, y - 6), (x + 9, y + 14), (x - wide / 2, y - 11), (x - 9 - wide, y + 14), (x - wide / 2, y + 20))  # fmt: skip
        for x_text, base in places:
            box = (x_text, base - _LINE + 2, x_text + wide, base + 2)
            inside = box[0] >= _LEFT and box[2] <= WIDTH - 2 and box[1] >= _TOP - 2 and box[3] <= HEIGHT - _BOTTOM
            hidden = sum(box[0] - 4 < mx < box[2] + 4 and box[1] - 3 < my < box[3] + 3 for mx, my in marks)
            if inside and not hidden and not any(_overlap(box, earlier) for earlier in boxes):
                boxes.append(box)
                written.append(f'<text class="dot-name" x="{x_text:.1f}" y="{base:.1f}">{escape(dot.short)}</text>')
                break
    return written


def _overlap(a: tuple[float, float, float, float], b: tuple[float, float, float, float]) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _shape(dot: Dot, x: float, y: float) -> str:
    classes = f"c{dot.group}{' on-front' if dot.front else ' off-front'}{' best' if dot.best else ''}"
    title = f"<title>{escape(dot.name)}</title>"
    size = 6 if dot.best else 4.5
    if dot.group == 0:
        return f'<circle class="{classes}" cx="{x:.1f}" cy="{y:.1f}" r="{size}">{title}</circle>'
    if dot.group == 1:
        return f'<rect class="{classes}" x="{x - size:.1f}" y="{y - size:.1f}" width="{2 * size}" height="{2 * size}">{title}</rect>'
    points = f"{x:.1f},{y - size - 1:.1f} {x - size - 1:.1f},{y + size:.1f} {x + size + 1:.1f},{y + size:.1f}"
    return f'<polygon class="{classes}" points="{points}">{title}</polygon>'


def timeline(times: Sequence[float], values: Sequence[float | None], label: str, unit: str, at: float | None = None,
             band: tuple[float, float] | None = None, most: float | None = None) -> Markup:  # fmt: skip
    """A quantity over seconds; gaps where it is not known. `band`: what was promised; `at`: the moment looked at."""
    finite_values = [value for value in values if value is not None]
    top = most or _nice(max([*finite_values, *(band or ()), 1e-9]))
    span = max(times[-1] - times[0], 1e-9) if times else 1.0

    def place(second: float) -> float:
        return _LEFT + (WIDTH - _LEFT - _RIGHT) * (second - times[0]) / span

    def y(value: float) -> float:
        return HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * min(value / top, 1.0)

    body = [_grid(top, unit)]
    if band is not None:
        body.append(f'<rect class="band b2" x="{_LEFT}" y="{y(band[1]):.1f}" width="{WIDTH - _LEFT - _RIGHT}" height="{max(y(band[0]) - y(band[1]), 1.5):.1f}"/>')  # fmt: skip
    runs: list[list[str]] = [[]]
    for second, value in zip(times, values, strict=True):
        if value is None:
            runs.append([])
        else:
            runs[-1].append(f"{place(second):.1f},{y(value):.1f}")
    body += [f'<polyline class="curve l0" points="{" ".join(run)}"/>' for run in runs if len(run) > 1]
    if at is not None and times:
        x = place(min(max(at, times[0]), times[-1]))
        body.append(f'<line class="here" x1="{x:.1f}" x2="{x:.1f}" y1="{_TOP}" y2="{HEIGHT - _BOTTOM}"/>')
    if times:
        for second in _even_seconds(span):
            body.append(f'<text class="tick" x="{place(times[0] + second):.0f}" y="{HEIGHT - 14}" text-anchor="middle">{format_seconds(second) if second else "0 s"}</text>')  # fmt: skip
    return _picture(body, label)


_STEPS_S = (1, 2, 5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 21600, 86400)


def _even_seconds(span: float) -> list[float]:
    """Round moments of a time line, six at most."""
    step = next((step for step in _STEPS_S if span / step <= 6), span)
    return [float(n * step) for n in range(int(span / step) + 1)]


def moments(states: Sequence[tuple[float, float, str]], at: float, label: str) -> Markup:
    """A time line as a strip: stretches (begin, end, class: ill, well, unknown) and the moment that is looked at."""
    begin, end = states[0][0], max(states[-1][1], states[0][0] + 1e-9)

    def place(second: float) -> float:
        return 1000 * (second - begin) / (end - begin)

    pieces = "".join(
        f'<rect class="{state}" x="{place(first):.1f}" y="0" width="{max(place(last) - place(first), 1):.1f}" height="12"/>'
        for first, last, state in states
    )
    mark = f'<line class="moment-mark" x1="{place(at):.1f}" x2="{place(at):.1f}" y1="-3" y2="15"/>'
    return Markup(
        f'<svg class="moments" viewBox="0 -3 1000 18" preserveAspectRatio="none" role="img" aria-label="{escape(label)}">{pieces}{mark}</svg>'
    )


def _picture(body: Sequence[str], label: str) -> Markup:
    return Markup(
        f'<svg class="chart" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-label="{escape(label)}">{"".join(body)}</svg>'
    )


def _grid(most: float, unit: str) -> str:
    rows = []
    for n in range(5):
        y = HEIGHT - _BOTTOM - (HEIGHT - _TOP - _BOTTOM) * n / 4
        rows.append(f'<line class="grid" x1="{_LEFT}" x2="{WIDTH - _RIGHT}" y1="{y:.1f}" y2="{y:.1f}"/>')
        rows.append(
            f'<text class="tick" x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_written(most * n / 4, unit)}</text>'
        )
    return "".join(rows)


def _written(value: float, unit: str) -> str:
    if value == 0:
        return "0"
    if unit == "%":
        return f"{value:.0%}"
    return format_seconds(value) if unit == "s" else format_rate(value)


def _short(x: int) -> str:
    return f"{x / 1024:.3g}k" if x >= 1024 else f"{x}"


def _nice(most: float) -> float:
    """The next 1, 2, 4, 5, 8 times a power of ten: four even steps to it are round."""
    if most <= 0:
        return 1.0
    power = 10 ** math.floor(math.log10(most))
    return float(
        next(step * power for step in (1, 1.2, 1.6, 2, 2.4, 3.2, 4, 5, 6, 8, 10) if step * power >= most * 0.999)
    )


def _log_ticks(low: float, high: float) -> list[float]:
    ticks = [step * 10.0**power for power in range(-3, 7) for step in (1, 2, 5)]
    inside = [tick for tick in ticks if low <= tick <= high]
    return inside if len(inside) <= 7 else [tick for tick in inside if f"{tick:e}".startswith("1")]
