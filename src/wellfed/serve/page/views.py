"""The ask page and its parts, made by a worker: `params` holds the query, `files` are the uploads. Each returns an Answer
whose text is HTML and whose code is the HTTP status.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellfed.errors import UnknownName, WellfedError
from wellfed.hardware.machine import Machine
from wellfed.message import message
from wellfed.messages.words import words
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.plan import Plan
from wellfed.planner.answer import Answer as Planned
from wellfed.planner.goal import order_words
from wellfed.planner.search import meets_targets
from wellfed.serve.page import answers, whatif
from wellfed.serve.page.render import html
from wellfed.serve.page.state import PLAN_FIELDS, Query, first, offers, plan_command, plan_options, whole_number
from wellfed.serve.worker import Answer
from wellfed.verbs import inputs, planning

if TYPE_CHECKING:
    from wellfed.planner.levers import Lever
    from wellfed.verbs.next_steps import Question

_KEPT: OrderedDict[str, Planned] = OrderedDict()  # the last answers of this process, so that sorting asks nothing anew
_MOST_KEPT = 16
_SHOWN_PLANS = 10  # until the others are asked for
_EXAMPLES = (
    ("qwen3-32b", "2x rtx 4090, ryzen 9 7950x, 2x32gb ddr5-6000"),
    ("deepseek-r1", "rtx 4090, 2x xeon platinum 8480+, 1tb"),
    ("llama-3.1-8b", "rtx 3060 12gb, core i5-13600k, 32gb"),
    ("deepseek-r1", "8x h200, 2x xeon platinum 8480+, 2tb"),
    ("qwen3-30b-a3b", "apple m4 max 128gb"),
)


def ask(params: dict[str, Any], files: list[Path]) -> Answer:
    """The first page: the form, and the answer where something is asked. `part`: only the answer, or only the plans."""
    query: Query = params["query"]
    shown: dict[str, Any] = {
        "query": query, "examples": _EXAMPLES, "choices": _choices(), "part": params["part"], "names": _names(),
        "parts_names": _parts(), "local": params["local"], "page": "ask", "pages": params["pages"], "result": None, "error": None, "first": first,
    }  # fmt: skip
    status = 200
    if first(query, "model"):
        try:
            shown["result"] = _result(query, files, params["local"])
        except WellfedError as error:
            status, shown["error"] = _failed(error)
        except Exception as error:
            if (failed := _usage(error)) is None:
                raise
            status, shown["error"] = failed
    template = {"answer": "answer.html", "plans": "plans.html"}.get(params["part"], "ask.html")
    return html(template, status, **shown)


def _failed(error: WellfedError) -> tuple[int, dict[str, Any]]:
    near = error.near if isinstance(error, UnknownName) else ()
    shown = {"message": words(error.message), "hint": words(error.hint) if error.hint else None, "near": near}
    return (404 if error.kind == "unknown" else 422), shown


def _usage(error: Exception) -> tuple[int, dict[str, Any]] | None:
    """The command line's own complaints about options."""
    import click

    if not isinstance(error, click.ClickException):
        return None
    from wellfed.cli.click_words import complaint

    return 422, {"message": complaint(error)[1], "hint": None, "near": ()}


def problem(error: Exception) -> tuple[int, dict[str, Any]]:
    """Status and words of an error that people can cause; others are raised again."""
    if isinstance(error, WellfedError):
        return _failed(error)
    failed = _usage(error)
    if failed is None:
        raise error
    return failed


def machine_of(query: Query, files: list[Path], local: bool) -> Machine:
    """The machine that is meant: pasted, written down, or this one. Raises Forbidden words where this one is not told."""
    from wellfed.errors import BadInput

    if files:
        return inputs.captured(files[0])
    if first(query, "dump"):
        why = message("page.dump-gone", "what was pasted is no longer kept here")
        raise BadInput(why, message("page.dump-gone.hint", "paste it again: it is kept in memory only, for a while"))
    on = first(query, "on")
    if on is None and not local:
        why = message("page.not-local", "this machine is not told beyond loopback")
        raise BadInput(why, message("page.not-local.hint", "write a machine in a line"))
    nodes = whole_number(query, "nodes", 1, 512)
    return inputs.machine(on, nodes, first(query, "network"))


def planned(query: Query, files: list[Path], local: bool) -> Planned:
    """The answer to the query's question; the last ones are kept."""
    key = _key(query)
    if key in _KEPT and (first(query, "on") or first(query, "dump")):
        _KEPT.move_to_end(key)
        return _KEPT[key]
    machine = machine_of(query, files, local)
    answer = planning.plan_on(machine, first(query, "model") or "", plan_options(query))
    _KEPT[key] = answer
    while len(_KEPT) > _MOST_KEPT:
        _KEPT.popitem(last=False)
    return answer


def _key(query: Query) -> str:
    return repr([(name, query.get(name)) for name in ("model", "on", "dump", *PLAN_FIELDS)])


def _result(query: Query, files: list[Path], local: bool) -> dict[str, Any]:
    from wellfed.cli.plan_text import gain, model_line
    from wellfed.documents.machine_line import machine_line

    answer = planned(query, files, local)
    search, best = answer.search, answer.ranking.best
    assumptions = (*search.machine.assumptions, *answer.assumptions)
    table = answers.rows(answer)
    sort, kind = first(query, "sort") or "rank", first(query, "placement")
    arranged = answers.arranged(table, sort, kind)
    notes = dict.fromkeys(words(note.text) for note in assumptions if note.reading)
    return {
        "model": model_line(search.model), "machine": words(machine_line(search.machine)),
        "kind": answer.verdict.kind, "reasons": answers.reasons(answer), "best": best,
        "sentence": None if best is None else words(answers.sentence(best)),
        "figures": () if best is None else answers.figures(best),
        "memory": answers.memory_bars(_devices(answer)),
        "time": () if best is None else answers.time_bars(best),
        "curves": () if best is None else answers.curves(search, best),
        "plans": arranged[: None if first(query, "rows") == "all" else _SHOWN_PLANS], "hidden": max(0, len(arranged) - _SHOWN_PLANS) if first(query, "rows") != "all" else 0,
        "order": None if best is None else words(order_words(search.goal, meets_targets(best) is not None)),
        "all_plans": len(table), "sort": sort, "placement": kind,
        "kinds": answers.KINDS, "scatter": answers.scatter(table),
        "steps": () if best is None else _steps(query, best),
        "levers": [_lever(query, lever) for lever in answer.levers],
        "upgrades": [(words(note.change), words(gain_text)) for note in answer.upgrades if (gain_text := gain(note)) is not None][:4],
        "notes": list(notes), "assumed": list(dict.fromkeys(words(note.text) for note in assumptions))[:12],
        "command": plan_command(query), "whatif": None if best is None else _whatif(query, search.machine, best, search),
    }  # fmt: skip


def _devices(answer: Planned) -> Any:
    if answer.ranking.best is not None:
        return answer.ranking.best.estimate.memory.devices
    miss = answer.ranking.near_miss
    return () if miss is None else miss.memory.devices


def _steps(query: Query, best: Plan) -> list[tuple[str, str]]:
    return [(words(step.purpose), step.command) for step in _question(query).steps(best).steps]


def _lever(query: Query, lever: Lever) -> tuple[str, Quantity, str]:
    """What is changed, each user's tokens/s with it, and what to type; empty for a part to be bought."""
    command = next((step.command for step in _question(query).way_out(lever).steps), "")
    return words(lever.change), lever.plan.estimate.decode_tok_s, command


def _question(query: Query) -> Question:
    """The query as it would be typed; a pasted machine has no name that a command could be given."""
    from wellfed.verbs.next_steps import Question
    from wellfed.verbs.restated import restated

    also, is_dump = restated(plan_options(query)), bool(first(query, "dump"))
    return Question(first(query, "model") or "", first(query, "on"), first(query, "network"), also, not is_dump)


def what_if(params: dict[str, Any], files: list[Path]) -> Answer:
    """The sliders' part alone: the machine as it is and as changed, for the engine and weights that were chosen."""
    query: Query = params["query"]
    try:
        machine = machine_of(query, files, params["local"])
        search, _ = planning.search(first(query, "model") or "", plan_options(query), machine)
        shown = _whatif(query, search.machine, None, search)
    except Exception as error:  # noqa: BLE001 - what people cannot cause is raised again
        status, failed = problem(error)
        return html("problem.html", status, error=failed)
    return html("whatif.html", query=query, whatif=shown, first=first)


def _whatif(query: Query, machine: Machine, best: Plan | None, search: Any) -> dict[str, Any]:
    """Both plans and their pictures. Without a plan at hand, the one of the engine and weights that the query names."""
    engine = first(query, "with-engine") or (best.layout.engine.value if best else None)
    weights = first(query, "with-weights") or (best.layout.quantisation if best else None)
    sliders = whatif.sliders(machine)
    values = {slider.name: whole_number(query, slider.name, 1, 1000) for slider in sliders}
    settings = {name: value for name, value in values.items() if value is not None}
    kv_type = first(query, "kv-at")
    now = best or _as_it_is(query, search, engine, weights)
    different = any(
        value != slider.now for slider in sliders for name, value in settings.items() if name == slider.name
    )
    then = now
    if different or kv_type:
        narrowed = _narrowed(search, engine, weights, kv_type)
        then = _best(replace(narrowed, machine=whatif.changed(machine, settings)))
    most = max((plan.estimate.decode_tok_s.high for plan in (now, then) if plan is not None), default=1.0) * 1.1
    return {
        "sliders": sliders, "values": settings, "kv": kv_type, "kv_types": ("f16", "q8_0", "q4_0", "fp8"),
        "engine": engine, "weights": weights, "now": now, "then": then, "changed": bool(different or kv_type),
        "bars": [] if then is None else answers.time_bars(then)[:1], "memory": [] if then is None else answers.memory_bars(then.estimate.memory.devices),
        "rates": [(name, plan, _rate_bar(plan, most)) for name, plan in (("now", now), ("changed", then)) if plan is not None],
        "gain": None if now is None or then is None else then.estimate.decode_tok_s.value / now.estimate.decode_tok_s.value,
    }  # fmt: skip


_STANDING: OrderedDict[str, Plan | None] = OrderedDict()  # plans that sliders are compared with


def _as_it_is(query: Query, search: Any, engine: str | None, weights: str | None) -> Plan | None:
    """The plan of the machine without changes; each movement of a slider needs it again."""
    if not (first(query, "on") or first(query, "dump")):
        return _best(_narrowed(search, engine, weights, None))  # this machine is not what it was a moment ago
    key = repr([_key(query), engine, weights])
    if key not in _STANDING:
        _STANDING[key] = _best(_narrowed(search, engine, weights, None))
        while len(_STANDING) > _MOST_KEPT:
            _STANDING.popitem(last=False)
    return _STANDING[key]


def _best(search: Any) -> Plan | None:
    best: Plan | None = search.run().best
    return best


def _rate_bar(plan: Plan, most: float) -> Any:
    from wellfed.serve.page.charts import interval
    from wellfed.serve.page.labels import label

    return interval(plan.estimate.decode_tok_s, most, label("rate-each"))


def _narrowed(search: Any, engine: str | None, weights: str | None, kv_type: str | None) -> Any:
    from wellfed.nouns.layout import Engine

    goal = search.goal
    if engine:
        goal = replace(goal, engines=(Engine(engine),))
    if weights:
        goal = replace(goal, quantisations=(search.quantisation(weights).id,), least_quality_bits=0.0)
    if kv_type:
        goal = replace(goal, kv_types=(kv_type,), any_kv=False)
    return replace(search, goal=goal, sweep=False)


def complete(params: dict[str, Any], files: list[Path]) -> Answer:
    """Names that begin or go on like what is typed, as options of a list, and what the text is taken for."""
    text = str(params["text"])[:200]
    typed = text.lower().replace(" ", "-")
    near = [name for name in _names() if typed in name.lower()]
    near.sort(key=lambda name: (not name.lower().startswith(typed), len(name)))
    return html("complete.html", names=near[:30], taken=_taken_for(text) if text.strip() else None)


def _taken_for(text: str) -> str | None:
    from wellfed.cli.plan_text import model_line

    try:
        return model_line(inputs.model(text).model)
    except WellfedError as error:
        return words(error.message)


@cache
def _names() -> tuple[str, ...]:
    from wellfed.catalog.model_tables import entry_ids

    return tuple(entry_ids())


@cache
def _parts() -> dict[str, tuple[str, ...]]:
    from wellfed.catalog.hardware import cpus, gpus
    from wellfed.written.machines import builds

    return {
        "gpu": tuple(sorted({part.name for part in gpus()})),
        "cpu": tuple(sorted({part.name for part in cpus()})),
        "build": tuple(f"build:{build.id}" for build in builds()),
    }


@cache
def _choices() -> dict[str, tuple[str, ...]]:
    return {name: offers(name) for name in ("workload", "for", "quality", "engine")}


def report(params: dict[str, Any], files: list[Path]) -> Answer:
    """The self-contained file of an answer."""
    import tempfile

    from wellfed.cli.report import write_report

    query: Query = params["query"]
    try:
        answer = planned(query, files, params["local"])
    except Exception as error:  # noqa: BLE001 - what people cannot cause is raised again
        status, failed = problem(error)
        return html("problem.html", status, error=failed)

    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "report.html"
        write_report(path, answer, 6, _question(query))
        return Answer(200, path.read_text(encoding="utf-8"))
