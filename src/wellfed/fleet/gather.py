"""Raw texts of many nodes: each is asked once, so many at a time, and what it sends becomes a snapshot file.

A node that hangs, sends too much, dies or answers twice costs only itself. A gather that was killed goes on where it
was: files are written whole or not at all, and a node whose file is there is not asked again.
"""

from __future__ import annotations

import json
import os
import re
import selectors
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from threading import Lock
from typing import IO, Any

from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.means import Means
from wellfed.fleet.script import script
from wellfed.fleet.stream import read_stream
from wellfed.frozen import dataclass
from wellfed.message import Amount, Message, message, message_of
from wellfed.plain_file import read_json, read_text
from wellfed.printable import printable
from wellfed.topology.snapshot_io import save

MOST_BYTES = 96 << 20  # of one node's stream; the largest machines send 3 MB
NAMES = "nodes.tsv"  # file -> node; stays here, for its owner alone
REPORT = "fleet.json"


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one node: its file, or why there is none. `from_before`: it was gathered before."""

    node: str
    label: str
    file: Path | None = None
    why: Message | None = None
    from_before: bool = False
    partial: bool = False


@dataclass(frozen=True, slots=True)
class Gathering:
    """How nodes are asked: so many at a time, each within so many seconds. `refresh`: those gathered before, too."""

    folder: Path
    at_a_time: int = 16
    timeout_s: float = 120.0
    keep_names: bool = False  # files bear the nodes' own names
    refresh: bool = False


Progress = Callable[[Outcome, int, int], None]


def gather(
    nodes: Sequence[str], means: Means, how: Gathering, progress: Progress = lambda *_: None
) -> tuple[Outcome, ...]:
    """Ask every node; `progress` hears each outcome with its number and how many there are. Raises BadInput for a
    folder that cannot be written.
    """
    labels = labelled(nodes, how)
    outcomes = _gather_all(labels, means, how, progress)
    report(how.folder, outcomes)
    return outcomes


def labelled(nodes: Sequence[str], how: Gathering) -> dict[str, str]:
    """A label for each node, the same as in gathers before into this folder."""
    path = how.folder / NAMES
    label_of: dict[str, str] = {}
    try:
        how.folder.mkdir(parents=True, exist_ok=True)
        if path.exists():
            for line in read_text(path, 64 << 20).splitlines():
                label, _, node = line.partition("\t")
                label_of[node] = label
        for node in nodes:
            if node not in label_of:
                label_of[node] = node if how.keep_names else f"node-{len(label_of) + 1:04d}"
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
        with os.fdopen(descriptor, "w", encoding="utf-8") as file:
            file.writelines(f"{label}\t{node}\n" for node, label in label_of.items())
    except OSError as error:
        raise BadInput(
            message(
                "fleet.folder", "cannot write {folder}: {why}",
                folder=str(how.folder), why=error.strerror or str(error),
            )
        ) from error  # fmt: skip
    return {node: label_of[node] for node in nodes}


def reason(error: WellfedError) -> Message:
    """What an error says, as a message."""
    return message_of(error.message) or message("fleet.refused", "{why}", why=error.message)


def _gather_all(labels: dict[str, str], means: Means, how: Gathering, progress: Progress) -> tuple[Outcome, ...]:
    outcomes: list[Outcome] = []
    commands = _Commands()
    with ThreadPoolExecutor(how.at_a_time) as pool:
        futures = [pool.submit(_gather_node, node, label, means, how, commands) for node, label in labels.items()]
        try:
            for future in as_completed(futures):
                outcomes.append(future.result())
                progress(outcomes[-1], len(outcomes), len(labels))
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            commands.end()
            raise
    return tuple(sorted(outcomes, key=lambda outcome: outcome.label))


class _Commands:
    """What runs for nodes just now, so that none outlives a gathering that is given up."""

    def __init__(self) -> None:
        self._lock, self._running, self._ended = Lock(), set[int](), False

    def begun(self, process: int) -> None:
        with self._lock:
            self._running.add(process)
            if self._ended:
                _kill(process)

    def done(self, process: int) -> None:
        with self._lock:
            self._running.discard(process)
            _kill(process)

    def end(self) -> None:
        """End every command that runs, and any that begins later."""
        with self._lock:
            self._ended = True
            for process in self._running:
                _kill(process)


def _kill(process: int) -> None:
    """A command with all that it started."""
    with suppress(ProcessLookupError, PermissionError):
        os.killpg(process, signal.SIGKILL)


def _gather_node(node: str, label: str, means: Means, how: Gathering, commands: _Commands) -> Outcome:
    target = how.folder / f"{label}.tar.gz"
    outcome = Outcome(node, label)
    if target.exists() and not how.refresh:
        return replace(outcome, file=target, from_before=True)
    with tempfile.TemporaryFile() as stream:
        why = _sent(means.argv(node), script() if means.needs_script else "", stream, how.timeout_s, commands)
        if why is not None and not stream.tell():
            return replace(outcome, why=why)
        stream.seek(0)
        try:
            partial = keep(stream, label, target)
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


def _sent(
    argv: Sequence[str], script_text: str, into: IO[bytes], timeout_s: float, commands: _Commands
) -> Message | None:
    """Run a node's command, its output into a file; why it failed, or None."""
    with tempfile.TemporaryFile() as standard_input:
        standard_input.write(script_text.encode())
        standard_input.seek(0)
        try:
            process = subprocess.Popen(
                argv, stdin=standard_input, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True
            )
        except OSError as error:
            return message("fleet.cannot-run", "{program}: {why}", program=argv[0], why=error.strerror or str(error))
    commands.begun(process.pid)
    with process:
        try:
            why, complaint = _copy(process, into, timeout_s)
            if why is not None:
                return why
            code = process.wait(10)
        except subprocess.TimeoutExpired:
            return message("fleet.lingers", "it sent everything and does not end")
        finally:
            commands.done(process.pid)
    if code:
        return message("fleet.failed", "ended with {code}: {said}", code=code, said=_last_line(complaint) or "?")
    return None


def _copy(process: subprocess.Popen[bytes], into: IO[bytes], timeout_s: float) -> tuple[Message | None, bytes]:
    """Standard output into the file, within limits of size and time; and the end of standard error."""
    complaint, total, until = b"", 0, time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        for pipe in (process.stdout, process.stderr):
            if pipe is not None:
                selector.register(pipe, selectors.EVENT_READ)
        while selector.get_map():
            seconds_left = until - time.monotonic()
            ready = selector.select(seconds_left) if seconds_left > 0 else []
            if not ready:
                return too_late(timeout_s), complaint
            for key, _ in ready:
                part = os.read(key.fd, 1 << 16)
                if not part:
                    selector.unregister(key.fileobj)
                elif key.fileobj is process.stderr:
                    complaint = (complaint + part)[-4096:]
                else:
                    total += len(part)
                    if total > MOST_BYTES:
                        return too_much(), b""
                    into.write(part)
    return None, complaint


def too_late(timeout_s: float) -> Message:
    """Why a node that hangs has no snapshot."""
    return message("fleet.timeout", "no answer within {time}", time=Amount(timeout_s, "s"))


def too_much() -> Message:
    """Why a node that floods has none."""
    return message("fleet.too-much", "sent more than {limit}", limit=Amount(MOST_BYTES, "B"))


def _last_line(complaint: bytes) -> str:
    """The last line of what it complained of, safe to print."""
    lines = [line for line in complaint.decode("utf-8", "replace").splitlines() if line.strip()]
    return printable(lines[-1].strip()[:200]) if lines else ""


def report(folder: Path, outcomes: Sequence[Outcome]) -> None:
    """What became of each node, with what earlier gathers into this folder told of others."""
    now_asked: list[dict[str, Any]] = [
        {
            "label": outcome.label,
            "file": outcome.file.name if outcome.file else None,
            "partial": outcome.partial,
            "why": _nameless(outcome).to_dict() if outcome.why else None,
        }
        for outcome in outcomes
    ]
    labels = {outcome.label for outcome in outcomes}
    nodes = sorted([*now_asked, *_told_before(folder, labels)], key=lambda node: str(node["label"]))
    document = {"schema": "wellfed.fleet-snapshot/1", "nodes": nodes}
    (folder / REPORT).write_text(json.dumps(document, indent=1), encoding="utf-8")


def _nameless(outcome: Outcome) -> Message:
    """Why, with the label in place of what names the node: the report may leave this machine. Where files are asked for
    under the nodes' own names, it names them, too.
    """
    why = outcome.why or message("fleet.refused", "{why}", why="?")
    if outcome.label == outcome.node:
        return why
    pairs = ((name, _hidden(value, outcome) if isinstance(value, str) else value) for name, value in why.arguments)
    return replace(why, arguments=tuple(pairs))


def _hidden(text: str, outcome: Outcome) -> str:
    """As ssh and its like name a node: itself, `user@HOST`, `host HOST`, an address."""
    host = re.escape(outcome.node.rpartition("@")[2])
    for pattern in (r"[^\s@]+@[^\s:]+", rf"(?<![\w.-]){host}(?![\w-])", r"\b\d{1,3}(?:\.\d{1,3}){3}\b"):
        text = re.sub(pattern, lambda _: outcome.label, text)
    return re.sub(r"(\bhost(?:name)?) \S+?(?=:?(?:\s|$))", lambda match: f"{match[1]} {outcome.label}", text)


def _told_before(folder: Path, labels: Container[object]) -> list[dict[str, Any]]:
    """What the folder's report says of nodes that are not asked now."""
    if not (folder / REPORT).exists():
        return []
    document = read_json(folder / REPORT)
    nodes = document.get("nodes") if isinstance(document, dict) else None
    entries = [node for node in nodes if isinstance(node, dict)] if isinstance(nodes, list) else []
    return [node for node in entries if isinstance(node.get("label"), str) and node["label"] not in labels]
