"""What a node sent -> a snapshot. All of it is hostile: paths, sizes and lines are held to what a snapshot may hold."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from fnmatch import translate
from typing import BinaryIO

from wellfed.errors import BadInput
from wellfed.fleet.script import VERSION
from wellfed.hardware.machine import Origin
from wellfed.message import message, sentence
from wellfed.topology.collect import CGROUP_FILES, MAX_FILE_BYTES, MAX_FILES, MAX_TOTAL_BYTES, WANTED
from wellfed.topology.redact import redact
from wellfed.topology.snapshot import META, Snapshot, Tree

_LINE = 64 << 10  # bytes; no file of a snapshot has longer lines
_NAME = re.compile(r"[a-z0-9][a-z0-9.-]{0,63}")
_EMPTY_SAYS = re.compile(r"/sys/devices/system/cpu/(?:offline|isolated)|/sys/class/iommu/[^/]+")  # empty tells, too
_HEAD = re.compile(rb" ==> (/[^\0]*) <==")
_HEX = re.compile(rb"(?: [0-9a-f]{2})+")
_FACTS = frozenset({"architecture", "root", "container", "shared_memory_kib", "fabric_manager"})


@dataclass(slots=True)
class _Records:
    files: dict[str, bytearray] = field(default_factory=dict)
    links: dict[str, str] = field(default_factory=dict)
    dumps: dict[str, bytearray] = field(default_factory=dict)
    facts: dict[str, str] = field(default_factory=dict)
    total: int = 0
    records: int = 0
    ended: bool = False


def read_stream(stream: BinaryIO, name: str, redacted: bool = True) -> Snapshot:
    """The snapshot in what a node printed; lines before its first record (greetings of a login) are passed over.

    A stream that ends early gives what came, and says so in `notes`. Raises BadInput where none begins, or where
    another version of the script sent it.
    """
    lines = _lines(stream)
    _begin(lines, name)
    sent = _read(lines)
    if not sent.files and not sent.dumps:
        raise BadInput(message("fleet.empty", "{name} sent no file", name=name))
    notes = (
        ()
        if sent.ended
        else (sentence("fleet.stream.what-sent-ends", "what {name} sent ends early: parts may be missing", name=name),)
    )
    files = {path: bytes(content).rstrip(b"\n") + b"\n" for path, content in sent.files.items()}
    files = {path: content for path, content in files.items() if content.strip() or _EMPTY_SAYS.fullmatch(path)}
    tree = Tree(Snapshot(name, Origin.SNAPSHOT, {}, sent.links))
    settled = {tree.real(path): content for path, content in files.items()}
    links = {_below(tree, path): target for path, target in sent.links.items()}
    settled[META] = _meta(sent.facts)
    dumps = {title: bytes(text).decode("utf-8", "replace") for title, text in sent.dumps.items()}
    snapshot = Snapshot(name, Origin.SNAPSHOT, settled, links, {}, dumps, notes)
    return redact(snapshot) if redacted else snapshot


def _below(tree: Tree, path: str) -> str:
    """A link's path with the links above it followed; its own is not."""
    parent, _, last = path.rpartition("/")
    return f"{tree.real(parent)}/{last}"


def _lines(stream: BinaryIO) -> Iterator[bytes]:
    """Lines without their end; what exceeds a line's limit is dropped."""
    while line := stream.readline(_LINE):
        while not line.endswith(b"\n"):
            overlong = stream.readline(_LINE)
            if not overlong:
                break
            line = line[:_LINE] if not overlong.endswith(b"\n") else line[:_LINE] + b"\n"
        yield line.rstrip(b"\r\n")


def _begin(lines: Iterator[bytes], name: str) -> None:
    for number, line in enumerate(lines):
        if line.startswith(b"wellfed-node "):
            version = line.split()[1:2]
            if version == [str(VERSION).encode()]:
                return
            raise BadInput(
                message("fleet.version", "{name} answers with another version of the script", name=name),
                message("fleet.version.hint", "gather it again with this wellfed"),
            )
        if number > 1000:
            break
    raise BadInput(
        message("fleet.no-stream", "what {name} sent is no stream of the node script", name=name),
        message("fleet.no-stream.hint", "see what it prints: wellfed fleet snapshot --print-script | ssh HOST sh -s"),
    )


def _read(lines: Iterator[bytes]) -> _Records:
    sent = _Records()
    into: bytearray | None = None
    binary = headed = False
    for line in lines:
        kind, payload = line[:2], line[2:]
        if line[:1] == b" ":
            if headed and (head := _HEAD.fullmatch(line)):
                into = _file(sent, head[1].decode("utf-8", "replace"))
            elif into is not None:
                _append(sent, into, line, binary)
            continue
        if not line:
            continue
        into, binary, headed = None, kind == b"B ", line == b"H"
        if headed:
            sent.records += 1
            continue
        if kind == b"E ":
            sent.ended = payload.strip() == str(sent.records).encode()
            break
        sent.records += 1
        into = _record(sent, kind, payload.decode("utf-8", "replace"))
    return sent


def _record(sent: _Records, kind: bytes, payload: str) -> bytearray | None:
    """Where the lines that follow go; None for nowhere. A path that came before is not written twice."""
    if kind == b"B ":
        return _file(sent, payload)
    if kind == b"D ":
        return (
            sent.dumps.setdefault(payload, bytearray())
            if _NAME.fullmatch(payload) and payload not in sent.dumps
            else None
        )
    if kind == b"L ":
        path, _, target = payload.partition("\t")
        if len(sent.links) < MAX_FILES and _may_link(path) and target and "\0" not in target and len(target) < 4096:
            sent.links.setdefault(path, target)
    if kind == b"M ":
        key, _, value = payload.partition(" ")
        if key in _FACTS:
            sent.facts.setdefault(key, value[:64])
    return None


def _file(sent: _Records, path: str) -> bytearray | None:
    if not _wanted(path) or path in sent.files or len(sent.files) + len(sent.links) >= MAX_FILES:
        return None
    return sent.files.setdefault(path, bytearray())


def _append(sent: _Records, into: bytearray, line: bytes, binary: bool) -> None:
    if len(into) >= MAX_FILE_BYTES or sent.total >= MAX_TOTAL_BYTES:
        return
    if binary:
        text = line.rstrip()
        content = bytes.fromhex(text.decode()) if _HEX.fullmatch(text) else b""
    else:
        content = line[1:] + b"\n"
    into += content
    sent.total += len(content)


def _pattern() -> re.Pattern[str]:
    parts = []
    for file_pattern in WANTED:
        head, brace, names = file_pattern.partition("{")
        body = translate(head.replace("*", "\0")).removeprefix("(?s:").removesuffix(r")\Z")
        body = body.replace(re.escape("\0"), "[^/]*").replace("\0", "[^/]*")
        parts.append(body + (f"(?:{'|'.join(map(re.escape, names.rstrip('}').split(',')))})" if brace else ""))
    group = "|".join(map(re.escape, CGROUP_FILES))
    parts.append(rf"/sys/fs/cgroup/(?:[^\0]*/)?(?:{group})")
    return re.compile("|".join(f"(?:{part})" for part in parts), re.DOTALL)


_WANTED = _pattern()
_LINKED = re.compile(r"/sys/(?:bus/pci/devices|class/[a-z]+|devices/system/node)/[^\0]+")


def _wanted(path: str) -> bool:
    return ".." not in path and "\0" not in path and _WANTED.fullmatch(path) is not None


def _may_link(path: str) -> bool:
    return ".." not in path and _LINKED.fullmatch(path) is not None


def _meta(facts: dict[str, str]) -> bytes:
    size = facts.get("shared_memory_kib", "")
    meta = {
        "schema": 1,
        "architecture": facts.get("architecture"),
        "root": facts["root"] == "yes" if "root" in facts else None,
        "container": True if facts.get("container") == "yes" else None,
        "shared_memory_bytes": int(size) * 1024 if size.isascii() and size.isdecimal() else None,
        "fabric_manager_running": facts["fabric_manager"] == "yes" if "fabric_manager" in facts else None,
    }
    return json.dumps({key: value for key, value in meta.items() if value is not None}).encode()
