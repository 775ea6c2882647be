"""A page's state is its URL: query parameters with the names of the command's long options."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlencode

from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.serve.fields import fields, words
from wellfed.verbs.planning import PlanOptions

Query = dict[str, list[str]]  # a query: every value of every parameter, empty ones left out

PLAN_FIELDS = (
    "nodes", "network", "vram-free", "ram-free", "os", "for", "workload", "concurrency", "rate", "prompt", "output",
    "context", "ttft", "tpot", "quality", "engine", "quant", "kv-type", "images",
)  # fmt: skip
PARTS = ("gpus", "gpu", "cpu", "ram", "slots")


def query_of(pairs: Iterable[tuple[str, str]]) -> Query:
    """A query's parameters without the empty ones, which forms send for what was left blank."""
    query: Query = {}
    for name, value in pairs:
        if value.strip():
            query.setdefault(name, []).append(value.strip())
    return query


def first(query: Query, name: str) -> str | None:
    """The first value of a parameter."""
    return next(iter(query.get(name, ())), None)


def query_string(query: Query, **changed: str | None) -> str:
    """The query with some parameters set, or removed (None), as the end of a URL; `_` in names stands for `-`."""
    merged = dict(query.items())
    for name, value in changed.items():
        key = name.replace("_", "-")
        merged.pop(key, None)
        if value is not None:
            merged[key] = [value]
    return urlencode([(name, value) for name, values in merged.items() for value in values])


def plan_options(query: Query) -> PlanOptions:
    """What the query asks of `plan`. Raises the command's own errors for values that cannot be."""
    from wellfed.cli import plan as cli_plan

    plan_fields: dict[str, Any] = {name.replace("-", "_"): query[name] for name in PLAN_FIELDS if name in query}
    command_line = words("plan", {**plan_fields, "on": first(query, "on")})[2:]
    context = cli_plan.command.make_context("plan", [*command_line, first(query, "model") or "?"])
    options = {
        name: value for name, value in context.params.items() if name not in ("model", "as_json", "top", "explain")
    }
    return cli_plan.plan_options(options)


def plan_command(query: Query) -> str:
    """The same question for a terminal."""
    import shlex

    parts = ["wellfed", "plan", first(query, "model") or "MODEL"]
    for name in ("on", *PLAN_FIELDS):
        for value in query.get(name, ()):
            parts += [f"--{name}", value]
    return shlex.join(parts)


def with_parts_joined(query: Query) -> Query:
    """The query with the parts picker's choices written as one machine line, where no machine is named otherwise."""
    if not any(name in query for name in PARTS):
        return query
    other_params = {name: values for name, values in query.items() if name not in PARTS}
    if first(other_params, "on") or first(other_params, "dump"):
        return other_params
    line = parts_line({name: first(query, name) for name in PARTS})
    return {**other_params, "on": [line]} if line else other_params


def parts_line(parts: Mapping[str, str | None]) -> str:
    """`2x rtx 4090, ryzen 9 7950x, 64gb` of the picker's fields; empty when nothing was picked."""
    gpu, count = parts.get("gpu"), parts.get("gpus") or "1"
    card = (f"{count}x {gpu}" if count != "1" else gpu) if gpu else None
    if card and parts.get("slots"):
        card = f"{card} {parts['slots']}"
    return ", ".join(part for part in (card, parts.get("cpu"), parts.get("ram")) if part)


def whole_number(query: Query, name: str, least: int, most: int) -> int | None:
    """A slider's value. Raises BadInput for what is none."""
    text = first(query, name)
    if text is None:
        return None
    if not text.isascii() or not text.isdecimal() or not least <= int(text) <= most:
        why = message("page.number", "{name} must be a whole number from {least} to {most}", name=name, least=least, most=most)  # fmt: skip
        raise BadInput(why)
    return int(text)


def offers(name: str) -> tuple[str, ...]:
    """The choices of one of plan's options."""
    import click

    kind = fields("plan")[name].type
    return tuple(str(choice) for choice in kind.choices) if isinstance(kind, click.Choice) else ()
