"""A few worker processes. A job takes one; who no longer waits for its answer has its worker killed and replaced."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from wellfed.serve.worker import Answer, Job, serve_jobs

_PRELOADED = ["wellfed.serve.preload"]
MOST_S = 120.0  # of one answer


@dataclass(slots=True)
class _Worker:
    process: BaseProcess
    pipe: Connection

    def end(self) -> None:
        """Whatever it computes, it stops now."""
        self.process.kill()
        self.process.join(5)
        self.pipe.close()


class Pool:
    """Workers on demand, `size` at most. Close it at the end."""

    def __init__(self, size: int | None = None) -> None:
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._gate = asyncio.Semaphore(size or max(2, os.cpu_count() or 2))
        self._idle: list[_Worker] = []
        self._all: set[int] = set()
        self._closed = False

    async def warm(self) -> None:
        """Start one worker, so that the first question waits for no import."""
        async with self._gate:
            self._idle.append(await asyncio.to_thread(self._start))

    async def ask(self, job: Job, most_s: float = MOST_S) -> Answer:
        """The answer of a worker. Cancelled, or later than `most_s` (TimeoutError), its computing ends."""
        async with self._gate:
            worker = self._idle.pop() if self._idle else await asyncio.to_thread(self._start)
            try:
                async with asyncio.timeout(most_s):
                    answer = await self._answered(worker, job)
            except (asyncio.CancelledError, TimeoutError):
                await asyncio.shield(asyncio.to_thread(worker.end))
                raise
            except (EOFError, OSError):
                await asyncio.to_thread(worker.end)
                return Answer(70, "", {"kind": "internal", "message": "the worker ended", "hint": "ask again"})
            self._idle.append(worker)
            return answer

    async def _answered(self, worker: _Worker, job: Job) -> Answer:
        """The answer, awaited by its pipe's descriptor: no thread is held."""
        worker.pipe.send(job)
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        descriptor = worker.pipe.fileno()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        answer: Answer = await asyncio.to_thread(worker.pipe.recv)
        return answer

    def _start(self) -> _Worker:
        own, theirs = self._context.Pipe()
        process = self._context.Process(target=serve_jobs, args=(theirs,), daemon=True)
        process.start()
        theirs.close()
        return _Worker(process, own)

    def close(self) -> None:
        """End all idle workers."""
        while self._idle:
            self._idle.pop().end()
