"""Processes that compute for the server: planning is work for a processor, and a cancelled request must stop it.

One task at a time in each; a task that is cancelled or takes too long ends with its process, and a new one is started.
"""

from __future__ import annotations

import asyncio
import json
import socket
import struct
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, TypeAlias

from wellfed.serve.worker import ERROR, TOLD

Told: TypeAlias = Callable[[Any], None]

_HEAD = struct.Struct(">I")
_MOST_TASKS = 500  # then a process is replaced, so that what it holds stays bounded
_END_S = 2.0


class TaskError(Exception):
    """A task that ended with an error object: kind, message, hint."""

    def __init__(self, error: dict[str, Any]) -> None:
        super().__init__(error["message"])
        self.error = error


class Busy(Exception):
    """More requests wait than there is room for."""


@dataclass(slots=True)
class Worker:
    """One process and the line to it."""

    process: subprocess.Popen[bytes]
    line: socket.socket
    reader: asyncio.StreamReader | None = None
    writer: asyncio.StreamWriter | None = None
    tasks: int = 0

    @classmethod
    def start(cls) -> Worker:
        """A new process; it makes itself ready while others work."""
        ours, theirs = socket.socketpair()
        command = [sys.executable, "-m", "wellfed.serve.worker", str(theirs.fileno())]
        with theirs:
            process = subprocess.Popen(command, pass_fds=(theirs.fileno(),), stdin=subprocess.DEVNULL)
        return cls(process, ours)

    async def send(self, frame: dict[str, Any]) -> None:
        """Send a task, once the process is ready. Raises EOFError when it ended."""
        if self.writer is None:
            self.line.setblocking(False)
            self.reader, self.writer = await asyncio.open_connection(sock=self.line)
            await self.receive()
        data = json.dumps(frame).encode()
        try:
            self.writer.write(_HEAD.pack(len(data)) + data)
            await self.writer.drain()
        except ConnectionError as error:
            raise EOFError("the worker ended") from error

    async def receive(self) -> tuple[bytes, bytes]:
        """The next frame: its letter and its JSON. Raises EOFError when the process ended."""
        if self.reader is None:
            raise EOFError("nothing was sent to the worker yet")
        try:
            (size,) = _HEAD.unpack(await self.reader.readexactly(_HEAD.size))
            data = await self.reader.readexactly(size)
        except (asyncio.IncompleteReadError, ConnectionError) as error:
            raise EOFError("the worker ended") from error
        return data[:1], data[1:]

    def kill(self) -> None:
        """Now, whatever it does."""
        self.process.kill()
        if self.writer is not None:
            self.writer.close()
        else:
            self.line.close()
        with suppress(subprocess.TimeoutExpired):
            self.process.wait(_END_S)


@dataclass(slots=True)
class Workers:
    """So many processes; `waiting` requests may wait for one."""

    count: int
    waiting: int = 256
    most_work_s: float = 120.0
    most_tasks: int = _MOST_TASKS
    idle: asyncio.LifoQueue[Worker] = field(default_factory=asyncio.LifoQueue)
    queued: int = 0
    _alive: dict[int, Worker] = field(default_factory=dict)

    def start(self) -> None:
        """Start what is missing to `count`; callable before there is a loop."""
        while len(self._alive) < self.count:
            self._add()

    def _add(self) -> None:
        worker = Worker.start()
        self._alive[worker.process.pid] = worker
        self.idle.put_nowait(worker)

    def pids(self) -> tuple[int, ...]:
        """The processes now."""
        return tuple(self._alive)

    def _end(self, worker: Worker) -> None:
        self._alive.pop(worker.process.pid, None)
        worker.kill()

    def stop(self) -> None:
        """End all of them."""
        for worker in list(self._alive.values()):
            self._end(worker)

    async def run(self, task: str, told: Told = lambda _: None, **arguments: Any) -> Any:
        """What the function `module:name` of this room returns for (told, **arguments), computed elsewhere.

        Cancelling it ends the computation. Raises TaskError for errors that are told, Busy, TimeoutError.
        """
        return json.loads(await self.run_raw(task, told, **arguments))

    async def run_raw(self, task: str, told: Told = lambda _: None, **arguments: Any) -> bytes:
        """As `run`, as JSON."""
        worker = await self._free()
        fine = False
        try:
            async with asyncio.timeout(self.most_work_s):
                kind, data = await self._done(worker, {"task": task, "arguments": arguments}, told)
            fine = worker.tasks < self.most_tasks
        except EOFError as error:
            why = {"kind": "internal", "message": "the process that computed this ended", "hint": "ask again"}
            raise TaskError(why) from error
        finally:
            if fine:
                self.idle.put_nowait(worker)
            else:
                self._end(worker)
                self._add()
        if kind == ERROR:
            raise TaskError(json.loads(data))
        return data

    async def _free(self) -> Worker:
        if self.queued >= self.waiting:
            raise Busy
        self.queued += 1
        try:
            return await self.idle.get()
        finally:
            self.queued -= 1

    async def _done(self, worker: Worker, frame: dict[str, Any], told: Told) -> tuple[bytes, bytes]:
        """The last frame of the task."""
        await worker.send(frame)
        worker.tasks += 1
        while True:
            kind, data = await worker.receive()
            if kind != TOLD:
                return kind, data
            told(json.loads(data))
