"""`python -m wellfed.serve.worker FD`: one process that computes what the server is asked, one task at a time.

Frames on the socket are a length of four bytes and JSON. In: {"task": "module:function", "arguments": {...}}; out,
frames that begin with a letter: any number of `t` (an event of the task), then `d` (its value) or `e` (an error
object). The process ends with its server.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import struct
import sys
import tempfile
from importlib import import_module
from typing import Any

from wellfed.errors import WellfedError
from wellfed.plain_file import seal

PRELOADED = ("wellfed.library.planning", "wellfed.documents.answers", "wellfed.planner.answer", "wellfed.perf.estimate")
ROOM = "wellfed.serve."  # the only one whose functions are called by name
READY, TOLD, DONE, ERROR = b"r", b"t", b"d", b"e"
_HEAD = struct.Struct(">I")


def main() -> None:
    """Serve tasks until the other end is closed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C goes to the whole group; the server ends us
    with socket.socket(fileno=int(sys.argv[1])) as line, tempfile.TemporaryDirectory(prefix="wellfed-") as empty:
        seal()
        os.chdir(empty)  # a name that somebody sends is no file here
        for name in PRELOADED:
            import_module(name)
        _send(line, READY, os.getpid())
        while (task := _receive(line)) is not None:
            _answer(line, task)


def _answer(line: socket.socket, task: dict[str, Any]) -> None:
    """Do a task, and send what it tells and how it ends."""
    try:
        module, _, name = task["task"].partition(":")
        if not module.startswith(ROOM):
            raise ValueError(f"no task: {task['task']}")
        value = getattr(import_module(module), name)(lambda event: _send(line, TOLD, event), **task["arguments"])
        _send(line, DONE, value)
    except WellfedError as error:
        _send(line, ERROR, error_document(error))
    except Exception as error:  # noqa: BLE001 - a fault of ours ends one request, not the server
        said = f"internal error: {type(error).__name__}: {error}"
        _send(line, ERROR, {"kind": "internal", "message": said, "hint": None})


def error_document(error: WellfedError) -> dict[str, Any]:
    """What the command line prints of it with `--json`, and the names that are near."""
    found = {"kind": error.kind, "message": error.message, "hint": error.hint}
    near = getattr(error, "near", None)
    return found if near is None else {**found, "near": list(near)}


def _send(line: socket.socket, kind: bytes, value: Any) -> None:
    data = kind + json.dumps(value, default=sorted).encode()
    line.sendall(_HEAD.pack(len(data)) + data)


def _receive(line: socket.socket) -> dict[str, Any] | None:
    head = _exactly(line, _HEAD.size)
    if head is None:
        return None
    data = _exactly(line, _HEAD.unpack(head)[0])
    if data is None:
        return None
    task: dict[str, Any] = json.loads(data)
    return task


def _exactly(line: socket.socket, count: int) -> bytes | None:
    pieces = bytearray()
    while len(pieces) < count:
        piece = line.recv(count - len(pieces))
        if not piece:
            return None
        pieces += piece
    return bytes(pieces)


if __name__ == "__main__":
    main()
