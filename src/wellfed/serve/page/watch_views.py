"""What a recording shows at a moment: figures over time, the diagnosis with its evidence. A live engine is its own
recording so far, so that both are one page.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from markupsafe import Markup

from wellfed.frozen import dataclass
from wellfed.message import Amount
from wellfed.messages.words import words
from wellfed.nouns.finding import Finding
from wellfed.serve.page import charts
from wellfed.serve.page.labels import label
from wellfed.serve.page.render import html
from wellfed.serve.page.state import Query, first, whole_number
from wellfed.serve.page.views import problem
from wellfed.serve.worker import Answer
from wellfed.units import format_rate
from wellfed.watching.view import View

_MOST_POINTS = 120  # of a curve
_WINDOW = 20  # samples judged at once


def watch(params: dict[str, Any], files: list[Path]) -> Answer:
    """The watch page; with an uploaded recording, what it shows at the moment `at` (seconds from its start)."""
    query: Query = params["query"]
    shown: dict[str, Any] = {
        "query": query, "page": "watch", "pages": params["pages"], "first": first, "engines": params["engines"], "error": params.get("error"),
        "live": params["live"], "seen": None, "allowed": params["allowed"],
    }  # fmt: skip
    status = 200 if shown["error"] is None else 422
    if files:
        try:
            shown["seen"] = _seen(files[0], None if params["live"] else whole_number(query, "at", 0, 10**7))
        except Exception as error:  # noqa: BLE001 - what people cannot cause is raised again
            status, shown["error"] = problem(error)
    return html("watching.html" if params["part"] else "watch.html", status, **shown)


@dataclass(frozen=True, slots=True)
class _Moments:
    """Views at evenly chosen moments, and the one that is looked at."""

    times: list[float]
    views: list[View]
    chosen: int


def _seen(path: Path, at: int | None) -> dict[str, Any]:
    from wellfed.verbs import watching
    from wellfed.watching.diagnose import diagnose
    from wellfed.watching.trace import stream

    header, samples = stream(path)
    moments = _moments(list(samples), header.promise, at)
    if not moments.views:
        return {"target": header.target, "empty": True}
    view = moments.views[moments.chosen]
    diagnosis = diagnose(view)
    findings = watching.priced_findings(diagnosis)
    begin = moments.times[0]
    return {
        "empty": False, "target": header.target, "duration": int(moments.times[-1] - begin),
        "at": int(moments.times[moments.chosen] - begin), "ill": diagnosis.ill, "strip": _strip(moments),
        "findings": [_finding(finding) for finding in findings], "unknown": diagnosis.why_unknown or None,
        "next": [words(step) for step in diagnosis.next], "charts": _charts(moments), "nodes": _nodes(view),
        "gpus": [_gpu(gpu) for gpu in view.gpus or ()], "facts": _facts(view),
    }  # fmt: skip


def _moments(samples: Sequence[Any], promise: Any, at: int | None) -> _Moments:
    """The window slides over every sample; only some of its views are kept."""
    from wellfed.watching.watcher import Sliding

    sliding = Sliding(_WINDOW, promise)
    stride = max(1, len(samples) // _MOST_POINTS)
    looked_at = len(samples) - 1
    if at is not None and samples:
        begin = samples[0].t
        looked_at = min(range(len(samples)), key=lambda n: abs(samples[n].t - begin - at))
    times: list[float] = []
    views: list[View] = []
    chosen = 0
    for n, sample in enumerate(samples):
        sliding.add(sample)
        if n % stride and n != looked_at:
            continue
        if n == looked_at:
            chosen = len(views)
        times.append(sample.t)
        views.append(sliding.view())
    return _Moments(times, views, chosen)


_MOST_JUDGED = 60  # moments of the strip


def _strip(moments: _Moments) -> Markup | None:
    """When something was wrong: every moment judged, alike neighbours joined."""
    from wellfed.watching.diagnose import diagnose

    times, stride = moments.times, max(1, len(moments.views) // _MOST_JUDGED)
    if len(times) < 2:
        return None
    states: list[tuple[float, float, str]] = []
    for n in range(0, len(times), stride):
        diagnosis = diagnose(moments.views[n])
        state = "ill" if diagnosis.ill else "unknown" if diagnosis.why_unknown else "well"
        end = times[min(n + stride, len(times) - 1)]
        if states and states[-1][2] == state:
            states[-1] = (states[-1][0], end, state)
        elif end > times[n]:
            states.append((times[n], end, state))
    return charts.moments(states, times[moments.chosen], label("timeline")) if states else None


def _finding(finding: Finding) -> dict[str, Any]:
    cost = finding.cost
    lost = cost.decode_tok_s if cost and cost.decode_tok_s > 0 else None
    return {
        "id": finding.id, "verdict": finding.verdict.value, "why": words(finding.message or finding.why),
        "lost": None if lost is None else Amount(lost, "tok/s"), "note": cost.note if cost else "",
        "fix": [words(step.message or step.text) for step in finding.remedies] or [words(step) for step in finding.fix],
        "measured": finding.measured and words(finding.measured),
    }  # fmt: skip


def _charts(moments: _Moments) -> list[tuple[str, str | None, Markup]]:
    """Those curves of which anything is known."""
    views, times = moments.views, moments.times
    at = times[moments.chosen]
    promise = views[-1].promise
    band = (promise.decode_low_tok_s, promise.decode_high_tok_s) if promise else None
    note = None
    if promise is not None:
        note = label(
            "promised", low=Amount(promise.decode_low_tok_s, ""), high=Amount(promise.decode_high_tok_s, "tok/s")
        )
    curves: tuple[tuple[str, str, Callable[[View], float | None], float | None], ...] = (
        ("user-rate", "tok/s", lambda v: v.engine.user_tok_s if v.engine else None, None),
        ("first", "s", lambda v: v.engine.ttft_s if v.engine else None, None),
        ("gpu-busy", "%", _gpu_busy, 1.0),
        ("cores-busy", "cores", lambda v: v.process.cores if v.process else None, None),
        (
            "engine-memory",
            "GB",
            lambda v: v.process.rss_bytes / 1e9 if v.process and v.process.rss_bytes else None,
            None,
        ),
        ("link-use", "%", _link_use, 1.0),
    )
    drawn = []
    for name, unit, read, most in curves:
        values = [read(view) for view in views]
        if any(value is not None for value in values) and len(values) > 1:
            promised = band if name == "user-rate" else None
            head = label(name) + ("" if unit in ("%", "s", "tok/s", "cores") else f", {unit}")
            drawn.append(
                (head, note if promised else None, charts.timeline(times, values, head, unit, at, promised, most))
            )
    return drawn


def _gpu_busy(view: View) -> float | None:
    shares = [gpu.busy for gpu in view.engine_gpus if gpu.busy is not None]
    return sum(shares) / len(shares) if shares else None


def _link_use(view: View) -> float | None:
    return max((gpu.link_share for gpu in view.engine_gpus if gpu.link_share is not None), default=None)


def _nodes(view: View) -> list[tuple[str, Markup, str]]:
    """Cores busy on each NUMA node, as bars."""
    host = view.host
    if host is None or not host.busy_by_cpu:
        return []
    busy: dict[int, list[float]] = defaultdict(list)
    for cpu, share in host.busy_by_cpu.items():
        busy[host.node_of_cpu.get(cpu, 0)].append(share)
    return [
        _share_bar(f"node{node}", sum(shares) / len(shares), f"{sum(shares):.1f} / {len(shares)}")
        for node, shares in sorted(busy.items())
    ]


def _share_bar(name: str, share: float, shown: str) -> tuple[str, Markup, str]:
    part = charts.Part(name, share, shown, 0)
    return name, charts.stacked((part,), 1.0, f"{name}: {shown}"), shown


def _gpu(gpu: Any) -> tuple[str, Markup, str]:
    total = gpu.memory_total_bytes
    share = gpu.memory_share or 0.0
    shown = "?" if gpu.memory_share is None else f"{share:.0%}"
    if total and gpu.memory_share is not None:
        shown = label("memory-of", needed=Amount(share * total, "B"), available=Amount(total, "B"))
    return _share_bar(f"gpu{gpu.index}", share, shown)


def _facts(view: View) -> list[tuple[str, str]]:
    engine, process = view.engine, view.process
    rate = engine.user_tok_s if engine else None
    return [
        (label("user-rate"), "?" if rate is None else format_rate(rate)),
        (label("total"), "?" if engine is None or engine.tok_s is None else f"{format_rate(engine.tok_s)} tok/s"),
        (label("users"), "?" if engine is None or engine.running is None else f"{engine.running:.3g}"),
        (label("cores-busy"), "?" if process is None or process.cores is None else f"{process.cores:.3g}"),
    ]
