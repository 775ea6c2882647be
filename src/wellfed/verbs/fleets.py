"""The verbs of many machines: gathered, compared, checked, priced."""

from __future__ import annotations

import os
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.checked import FAULTS, Fault, Fleet, Group, Node
from wellfed.fleet.kinds import Build, Member, builds
from wellfed.frozen import dataclass
from wellfed.message import as_text, message, sentence
from wellfed.nouns.finding import Finding, Verdict
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.verbs.fleet_pricing import priced

_SUFFIXES = (".tar.gz", ".tgz", ".tar.zst", ".tar", ".tar.xz", ".tar.bz2")


@dataclass(frozen=True, slots=True)
class _Work:
    path: Path
    label: str


def fleet_check(
    folder: Path,
    model: str | None = None,
    workload: Workload = PRESETS["chat"],
    progress: Callable[[int, int], None] = lambda *_: None,
    workers: int | None = None,
    group: Group | None = None,
) -> Fleet:
    """Every snapshot in a folder: read, checked, grouped into builds; with a model, faults priced for it, on one node
    or on a group of them.

    Snapshots are read by so many processes (default: one a core), one at a time each, and only traits and findings come
    back, so that memory stays flat whatever the fleet's size. Raises BadInput where the folder holds no snapshot.
    """
    works = _works(folder)
    nodes = []
    for node in _read_all(works, workers or os.cpu_count() or 1):
        nodes.append(node)
        progress(len(nodes), len(works))
    nodes = _with_report(folder, nodes)
    nodes.sort(key=lambda node: node.label)
    alike = builds([node.member for node in nodes if node.member is not None])
    if model is not None:
        paths = {work.label: work.path for work in works}
        nodes = priced(nodes, alike, paths, model, workload, group)
    return Fleet(tuple(nodes), alike, _faults(nodes), model, _names(folder), group)


def _works(folder: Path) -> list[_Work]:
    if not folder.is_dir():
        raise BadInput(
            message("fleet.no-folder", "{folder} is no folder of snapshots", folder=str(folder)),
            message("fleet.no-folder.hint", "make one: wellfed fleet snapshot --out {folder} HOST...",
                    folder=str(folder)),
        )  # fmt: skip
    works = []
    for path in sorted(folder.iterdir()):
        suffix = next((suffix for suffix in _SUFFIXES if path.name.endswith(suffix)), None)
        if path.name.startswith(".") or (not path.is_file() and not path.is_dir()):
            continue
        if suffix is not None:
            works.append(_Work(path, path.name.removesuffix(suffix)))
        elif path.is_dir() or path.suffix in (".txt", ".log", ".xml"):
            works.append(_Work(path, path.stem if path.is_file() else path.name))
    if not works:
        raise BadInput(
            message("fleet.no-snapshots", "no snapshot in {folder}", folder=str(folder)),
            message(
                "fleet.no-snapshots.hint", "files that end in .tar.gz or .tar.zst, dumps (.txt), or a folder a node"
            ),
        )
    return works


def snapshots(folder: Path) -> tuple[tuple[str, Path, str | None], ...]:
    """(label, path, the node's own name where it is known here) of each snapshot. Raises BadInput where none is."""
    names = _names(folder)
    return tuple((work.label, work.path, names.get(work.label)) for work in _works(folder))


def snapshot_path(folder: Path, label: str) -> Path:
    """The snapshot of a node in a folder. Raises BadInput where there is none."""
    for work in _works(folder):
        if work.label == label:
            return work.path
    raise BadInput(message("fleet.no-label", "{folder} has no snapshot of {label}", folder=str(folder), label=label))


def _read_all(works: Sequence[_Work], workers: int) -> Iterator[Node]:
    if workers < 2 or len(works) < 8:
        yield from map(_read, works)
        return
    with ProcessPoolExecutor(min(workers, len(works))) as pool:
        yield from pool.map(_read, works, chunksize=4)


def _read(work: _Work) -> Node:
    """One snapshot, in a process of its own. Whatever is in it, one node is all that it can cost."""
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.checks.run import run_checks
    from wellfed.fleet.gather import reason
    from wellfed.fleet.traits import family, firmware, product, traits
    from wellfed.topology.machine import parse
    from wellfed.topology.readers.refusal import refuse_unread
    from wellfed.topology.snapshot_io import load

    try:
        snapshot = load(work.path)
        machine = parse(snapshot, gpu_spec=gpu_or_none, cpu_spec=cpu_or_none)
        refuse_unread(machine, work.path.name)
    except WellfedError as error:
        return Node(work.label, why=reason(error))
    member = Member(work.label, family(machine, product(machine, snapshot)), traits(machine, firmware(snapshot)))
    findings = tuple(f for f in run_checks(machine) if f.verdict in (*FAULTS, Verdict.UNKNOWN))
    return Node(work.label, member, findings, notes=snapshot.notes)


def _with_report(folder: Path, nodes: Sequence[Node]) -> list[Node]:
    """With what the last gathering says: nodes that it has no file of, and why; those that it has only a part of."""
    reported = _reported(folder)
    labels = {node.label for node in nodes}
    part = {label for label, node in reported.items() if node.get("partial") is True}
    note = sentence("fleet.partial", "only a part of it was gathered")
    with_notes = [replace(n, notes=(note,)) if n.label in part and n.member and not n.notes else n for n in nodes]
    for label, node in reported.items():
        if label not in labels and not node.get("file"):
            why = node.get("why")
            text = why.get("text") if isinstance(why, dict) else None
            with_notes.append(
                Node(label, why=message("fleet.not-gathered", "not gathered: {why}", why=str(text or "?")))
            )
    return with_notes


def _reported(folder: Path) -> dict[str, dict[str, Any]]:
    """Label -> what the last gathering wrote of it."""
    from wellfed.fleet.gather import REPORT
    from wellfed.plain_file import read_json

    report = read_json(folder / REPORT) if (folder / REPORT).exists() else {}
    nodes = report.get("nodes") if isinstance(report, dict) else None
    labelled = [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
    return {node["label"]: node for node in labelled if isinstance(node.get("label"), str)}


def _names(folder: Path) -> dict[str, str]:
    from wellfed.fleet.gather import NAMES
    from wellfed.plain_file import read_text

    path = folder / NAMES
    if not path.exists():
        return {}
    pairs = (line.partition("\t") for line in read_text(path).splitlines())
    return {label: node for label, _, node in pairs if node}


def _faults(nodes: Sequence[Node]) -> tuple[Fault, ...]:
    """Checks that complain, those that cost the most first, then those on most machines."""
    pairs_by_id: dict[str, list[tuple[str, Finding]]] = defaultdict(list)
    for node in nodes:
        for finding in {f.id: f for f in reversed(node.findings) if f.verdict in FAULTS}.values():
            pairs_by_id[finding.id].append((node.label, finding))
    faults = []
    for id, pairs in pairs_by_id.items():
        worst = min((finding for _, finding in pairs), key=lambda f: (FAULTS.index(f.verdict), -_cost(f)))
        texts = Counter(as_text(finding.message) if finding.message else finding.why for _, finding in pairs)
        labels = tuple(label for label, _ in pairs)
        faults.append(Fault(id, worst.verdict, texts.most_common(1)[0][0], labels, worst.cost, worst.code))
    return tuple(sorted(faults, key=lambda f: (-(f.cost.decode_tok_s if f.cost else 0.0) * len(f.labels),
                                              FAULTS.index(f.verdict), -len(f.labels), f.id)))  # fmt: skip


def _cost(finding: Finding) -> float:
    return finding.cost.decode_tok_s if finding.cost else 0.0


def fleet_document(fleet: Fleet) -> dict[str, Any]:
    """The JSON document of `wellfed fleet check --json`."""
    from wellfed.checks.outputs.to_json import cost_json

    return {
        "schema": "wellfed.fleet/1",
        "model": fleet.model,
        "nodes": [_node(node) for node in fleet.nodes],
        "builds": [_build(build) for build in fleet.builds],
        "faults": [
            {
                "id": fault.id,
                "code": fault.code,
                "verdict": fault.verdict.value,
                "why": fault.why,
                "nodes": list(fault.labels),
                "decode_tok_s": fault.cost.decode_tok_s if fault.cost else None,
                "cost": cost_json(fault.cost),
            }
            for fault in fleet.faults
        ],
        "group_nodes": fleet.group.nodes if fleet.group else None,
        "slowest": fleet.slow[0].node.label if fleet.slow else None,
        "slow": [
            {"label": slow.node.label, "decode_tok_s": slow.node.decode_tok_s, "usual_decode_tok_s": slow.usual_tok_s}
            for slow in fleet.slow
        ],
    }


def _node(node: Node) -> dict[str, Any]:
    return {
        "label": node.label,
        "read": node.member is not None,
        "why": node.why.to_dict() if node.why else None,
        "notes": list(node.notes),
        "faults": sorted({f.id for f in node.findings if f.verdict in FAULTS}),
        "decode_tok_s": node.decode_tok_s,
        "decode_tok_s_mended": node.best_tok_s,
    }


def _build(build: Build) -> dict[str, Any]:
    return {
        "product": build.product,
        "cpus": build.cpus,
        "gpu": build.gpu,
        "nodes": list(build.labels),
        "equal": list(build.equal),
        "odd": [
            {
                "label": odd.label,
                "differences": [
                    {"subject": d.trait.subject, "trait": d.trait.name, "here": d.here, "usual": d.usual}
                    for d in odd.differences
                ],
            }
            for odd in build.odd
        ],
        "mixed": [
            {"subject": trait.subject, "trait": trait.name, "values": dict(values)} for trait, values in build.mixed
        ],
        "not_compared": [f"{trait.subject} {trait.name}" for trait in build.untold],
    }
