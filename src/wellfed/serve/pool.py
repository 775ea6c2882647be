"""A few worker processes. A job takes one; who no longer waits for its answer has its worker killed and replaced."""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from typing import Any

from wellfed.progress import Listener, Progress
from wellfed.serve.refusals import WORKER_GONE, WORKER_GONE_HINT, error_object
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


class Busy(Exception):
    """More questions wait already than there is room for."""


class Pool:
    """Workers on demand, `size` at most; `waiting` questions may wait for one. Close it at the end."""

    def __init__(self, size: int | None = None, waiting: int = 256) -> None:
        self._waiting, self._most_waiting = 0, waiting
        self._context: Any = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(_PRELOADED)
        self._gate = asyncio.Semaphore(size or max(2, os.cpu_count() or 2))
        self._idle: list[_Worker] = []
        self._all: set[int] = set()
        self._closed = False

    def begin(self) -> None:
        """Start the process that workers are forked from: it imports on another core while this one does."""
        from multiprocessing import forkserver

        forkserver.ensure_running()

    async def warm(self) -> None:
        """Start one worker, so that the first question waits for no import."""
        async with self._gate:
            self._idle.append(await asyncio.to_thread(self._start))

    async def ask(self, job: Job, most_s: float = MOST_S, listener: Listener = lambda _: None) -> Answer:
        """The answer of a worker; `listener` hears how far it is. Cancelled, or later than `most_s` (TimeoutError), its
        computing ends. Raises Busy when too many wait already.
        """
        if self._waiting >= self._most_waiting:
            raise Busy
        self._waiting += 1
        try:
            await self._gate.acquire()
        finally:
            self._waiting -= 1
        try:
            return await self._worked(job, most_s, listener)
        finally:
            self._gate.release()

    async def _worked(self, job: Job, most_s: float, listener: Listener) -> Answer:
        worker = self._idle.pop() if self._idle else await asyncio.to_thread(self._start)
        try:
            async with asyncio.timeout(most_s):
                answer = await self._answered(worker, job, listener)
        except (asyncio.CancelledError, TimeoutError):
            await asyncio.shield(asyncio.to_thread(worker.end))
            raise
        except (EOFError, OSError):
            await asyncio.to_thread(worker.end)
            return Answer(70, "", error_object(job.language, "internal", WORKER_GONE, WORKER_GONE_HINT))
        self._idle.append(worker)
        return answer

    async def _answered(self, worker: _Worker, job: Job, listener: Listener) -> Answer:
        """The answer, after whatever the worker tells meanwhile."""
        worker.pipe.send(job)
        while True:
            frame = await self._next(worker)
            if isinstance(frame, Answer):
                return frame
            listener(frame)

    async def _next(self, worker: _Worker) -> Answer | Progress:
        """What comes next, awaited by the pipe's descriptor: no thread is held."""
        loop = asyncio.get_running_loop()
        ready = asyncio.Event()
        descriptor = worker.pipe.fileno()
        loop.add_reader(descriptor, ready.set)
        try:
            await ready.wait()
        finally:
            loop.remove_reader(descriptor)
        frame: Answer | Progress = await asyncio.to_thread(worker.pipe.recv)
        return frame

    def _start(self) -> _Worker:
        our_end, worker_end = self._context.Pipe()
        process = self._context.Process(target=serve_jobs, args=(worker_end,), daemon=True)
        process.start()
        worker_end.close()
        return _Worker(process, our_end)

    def close(self) -> None:
        """End all idle workers."""
        while self._idle:
            self._idle.pop().end()
