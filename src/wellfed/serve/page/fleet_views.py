"""A fleet as a grid: every machine a cell in its build, its state in colour, letter and words. The folder of snapshots
is named where the server is started, never in a request; it is read once, before anything is served.
"""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wellfed.message import as_text, joined, sentence
from wellfed.messages.terms import term
from wellfed.messages.words import tell
from wellfed.nouns.finding import Verdict
from wellfed.serve.page.labels import colon
from wellfed.serve.page.render import html
from wellfed.serve.worker import Answer

if TYPE_CHECKING:
    from wellfed.fleet.checked import Fleet, Node
    from wellfed.fleet.kinds import Build, Difference

STATES = ("unread", "fail", "warn", "odd", "sound")  # the worst first
_LETTERS = {"unread": "?", "fail": "F", "warn": "W", "odd": "O", "sound": "·"}


def fleet(params: dict[str, Any], files: list[Path]) -> Answer:
    """The page; without a folder it says how one is named."""
    grid = params["grid"]
    shown = {"page": "fleet", "pages": params["pages"], "query": params["query"], "grid": grid, "colon": colon()}
    return html("fleet.html", **shown, **_words(grid))


def _words(grid: dict[str, Any] | None) -> dict[str, Any]:
    states = {
        "unread": tell("fleet-page.unread", "unread"),
        "fail": tell("fleet-page.fail", "a check fails"),
        "warn": tell("fleet-page.warn", "a check warns"),
        "odd": tell("fleet-page.odd", "not as its build"),
        "sound": tell("fleet-page.sound", "sound"),
    }
    return {
        "states": states,
        "letters": _LETTERS,
        "title": tell("fleet-page.title", "The fleet"),
        "unnamed": tell(
            "fleet-page.none", "No fleet was named: start the server with --fleet FOLDER, a folder of snapshots."
        ),
        "faults_title": tell("fleet-page.faults", "Faults"),
        "odd_title": tell("fleet-page.differ", "Where machines are not as their build usually is"),
        "as_of": tell("fleet-page.as-of", "As gathered when the server was started, at {time}.", time=grid["time"])
        if grid
        else "",
    }


def grid_of(fleet: Fleet, time: str) -> dict[str, Any]:
    """A checked fleet as plain values, to be handed to a worker."""
    odd = {odd.label: odd.differences for build in fleet.builds for odd in build.odd}
    nodes = {node.label: node for node in fleet.nodes}
    states = {label: _state(node, label in odd) for label, node in nodes.items()}
    builds = [_build(build, states, odd, nodes) for build in fleet.builds]
    unread = [_cell(node.label, "unread", as_text(node.why) if node.why else "?") for node in fleet.unread]
    if unread:
        builds.append({"title": "?", "cells": unread, "odd": []})
    return {
        "time": time,
        "count": len(fleet.nodes),
        "counts": {state: count for state in STATES if (count := Counter(states.values())[state])},
        "builds": builds,
        "faults": [
            {"id": fault.id, "verdict": fault.verdict.value, "why": fault.why, "labels": list(fault.labels)}
            for fault in fleet.faults
        ],
    }


def _state(node: Node, is_odd: bool) -> str:
    if node.member is None:
        return "unread"
    verdicts = {finding.verdict for finding in node.findings}
    if Verdict.FAIL in verdicts:
        return "fail"
    return "warn" if Verdict.WARN in verdicts else "odd" if is_odd else "sound"


def _build(
    build: Build, states: dict[str, str], odd: dict[str, tuple[Difference, ...]], nodes: dict[str, Node]
) -> dict[str, Any]:
    title = " · ".join(part for part in (build.product, build.cpus, build.gpu) if part and part != "-")
    return {
        "title": title,
        "cells": [_cell(label, states[label], _cell_title(nodes[label], odd.get(label, ()))) for label in build.labels],
        "odd": [
            {"label": outlier.label, "differences": [_difference(d) for d in outlier.differences]}
            for outlier in build.odd
        ],
    }


def _cell(label: str, state: str, words_text: str) -> dict[str, str]:
    return {"label": label, "state": state, "told": words_text}


def _cell_title(node: Node, differences: tuple[Difference, ...]) -> str:
    complaints = [
        as_text(f.message) if f.message else f.why for f in node.findings if f.verdict in (Verdict.FAIL, Verdict.WARN)
    ]
    return joined("; ", [*dict.fromkeys(complaints), *map(_difference, differences)][:4])


def _difference(difference: Difference) -> str:
    trait = difference.trait
    return sentence(
        "fleet-page.difference",
        "{subject} {trait}: {here} ({usual})",
        subject=trait.subject,
        trait=term(trait.name),
        here=difference.here or "-",
        usual=difference.usual or "-",
    )
