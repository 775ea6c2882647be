"""Raw texts of many nodes: each is asked once, so many at a time, and what it sends becomes a snapshot file.

A node that hangs, sends too much, dies or answers twice costs only itself. A gather that was killed goes on where it
was: files are written whole or not at all, and a node whose file is there is not asked again.
"""

from __future__ import annotations

import asyncio
import json
import os
import signal
import tempfile
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import IO

from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.means import Means
from wellfed.fleet.script import script
from wellfed.fleet.stream import read_stream
from wellfed.message import Amount, Message, message
from wellfed.plain_file import read_text
from wellfed.printable import printable
from wellfed.topology.snapshot_io import save

MOST_BYTES = 96 << 20  # of one node's stream; the largest machines send 3 MB
NAMES = "nodes.tsv"  # file -> node; stays here, for its owner alone
REPORT = "fleet.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one node: its file, or why there is none. `kept`: it was gathered before."""

    node: str
    label: str
    file: Path | None = None
    why: Message | None = None
    kept: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Gathering:
    """How nodes are asked: so many at a time, each within so many seconds. `refresh`: those gathered before, too."""

    folder: Path
    at_a_time: int = 16
    timeout_s: float = 120.0
    named: bool = False  # files bear the nodes' own names
    refresh: bool = False


Told = Callable[[Outcome, int, int], None]


def gather(nodes: Sequence[str], means: Means, how: Gathering, told: Told = lambda *_: None) -> tuple[Outcome, ...]:
    """Ask every node; `told` hears each outcome with its number and how many there are. Raises BadInput for a folder
    that cannot be written.
    """
    labels = labelled(nodes, how)
    outcomes = asyncio.run(_all(labels, means, how, told))
    report(how.folder, outcomes)
    return outcomes


def labelled(nodes: Sequence[str], how: Gathering) -> dict[str, str]:
    """A label for each node, the same as in gathers before into this folder."""
    path = how.folder / NAMES
    known: dict[str, str] = {}
    try:
        how.folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            for line in read_text(path, 64 << 20).splitlines():
                label, _, node = line.partition("\t")
                known[node] = label
        for node in nodes:
            if node not in known:
                known[node] = node if how.named else f"node-{len(known) + 1:04d}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{label}\t{node}\n" for node, label in known.items())
    except OSError as error:
        raise BadInput(
            message(
                "fleet.folder", "cannot write {folder}: {why}",
                folder=str(how.folder), why=error.strerror or str(error),
            )
        ) from error  # fmt: skip
    return {node: known[node] for node in nodes}


def reason(error: WellfedError) -> Message:
    """What an error says, as a message."""
    return error.said if isinstance(error.said, Message) else message("fleet.refused", "{why}", why=error.message)


async def _all(labels: dict[str, str], means: Means, how: Gathering, told: Told) -> tuple[Outcome, ...]:
    gate = asyncio.Semaphore(how.at_a_time)
    outcomes: list[Outcome] = []

    async def one(node: str, label: str) -> None:
        async with gate:
            outcome = await _one(node, label, means, how)
        outcomes.append(outcome)
        told(outcome, len(outcomes), len(labels))

    await asyncio.gather(*(one(node, label) for node, label in labels.items()))
    return tuple(sorted(outcomes, key=lambda outcome: outcome.label))


async def _one(node: str, label: str, means: Means, how: Gathering) -> Outcome:
    target = how.folder / f"{label}.tar.gz"
    outcome = Outcome(node, label)
    if target.exists() and not how.refresh:
        return replace(outcome, file=target, kept=True)
    with tempfile.TemporaryFile() as stream:
        why = await _sent(means.argv(node), script().encode() if means.needs_script else b"", stream, how.timeout_s)
        if why is not None and not stream.tell():
            return replace(outcome, why=why)
        stream.seek(0)
        try:
            partial = await asyncio.to_thread(keep, stream, label, target)
        except WellfedError as error:
            return replace(outcome, why=why or reason(error))
    return replace(outcome, file=target, partial=partial, why=why)


def keep(stream: IO[bytes], label: str, target: Path) -> bool:
    """Write the snapshot, whole or not at all; whether parts of it are missing."""
    snapshot = read_stream(stream, label)  # type: ignore[arg-type]
    draft = target.with_name(f".{label}.{os.getpid()}.tar.gz")
    try:
        save(snapshot, draft)
        draft.replace(target)
    finally:
        draft.unlink(missing_ok=True)
    return bool(snapshot.notes)


async def _sent(argv: Sequence[str], given: bytes, into: IO[bytes], timeout_s: float) -> Message | None:
    """Run a node's command, its output into a file; why it failed, or None."""
    try:
        process = await asyncio.create_subprocess_exec(
            *argv, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE,
            start_new_session=True,
        )  # fmt: skip
    except OSError as error:
        return message("fleet.cannot-run", "{program}: {why}", program=argv[0], why=error.strerror or str(error))
    try:
        async with asyncio.timeout(timeout_s):
            feeding = asyncio.create_task(_feed(process, given))
            complaint = asyncio.create_task(_last_line(process))
            whole = await _copy(process, into)
            if not whole:
                return message("fleet.too-much", "sent more than {limit}", limit=Amount(MOST_BYTES, "B"))
            await feeding
            code = await process.wait()
            said = await complaint
    except TimeoutError:
        return message("fleet.timeout", "no answer within {time}", time=Amount(timeout_s, "s"))
    finally:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(process.pid, signal.SIGKILL)
        with suppress(ProcessLookupError):
            await asyncio.wait_for(process.wait(), 5)
    if code:
        return message("fleet.failed", "ended with {code}: {said}", code=code, said=said or "?")
    return None


async def _feed(process: asyncio.subprocess.Process, given: bytes) -> None:
    pipe = process.stdin
    if pipe is None:
        return
    with suppress(BrokenPipeError, ConnectionResetError):
        pipe.write(given)
        await pipe.drain()
        pipe.close()


async def _copy(process: asyncio.subprocess.Process, into: IO[bytes]) -> bool:
    """False where more came than a node may send."""
    pipe, total = process.stdout, 0
    while pipe is not None and (part := await pipe.read(1 << 16)):
        total += len(part)
        if total > MOST_BYTES:
            return False
        into.write(part)
    return True


async def _last_line(process: asyncio.subprocess.Process) -> str:
    """The last line of what it complained of, safe to print."""
    pipe, last = process.stderr, b""
    while pipe is not None and (part := await pipe.read(4096)):
        last = (last + part)[-4096:]
    lines = [line for line in last.decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[-1].strip()[:200]) if lines else ""


def report(folder: Path, outcomes: Sequence[Outcome]) -> None:
    nodes = [
        {
            "label": outcome.label,
            "file": outcome.file.name if outcome.file else None,
            "partial": outcome.partial,
            "why": outcome.why.to_dict() if outcome.why else None,
        }
        for outcome in outcomes
    ]
    document = {"schema": "wellfed.fleet-snapshot/1", "nodes": nodes}
    (folder / REPORT).write_text(json.dumps(document, indent=1), encoding="utf-8")
