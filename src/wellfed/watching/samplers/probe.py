"""Requests of our own, streamed: what a user gets of an engine that tells nothing of itself.

One at a time, in a thread of its own: the next is asked when the last has ended and at least half the time between
two has passed. Each asks for a few tokens and is given up when it streams many more or takes too long. What a server
refuses is asked in a plainer form. The client is the one that `bench engine` measures with.
"""

from __future__ import annotations

import asyncio
import threading
import time
from contextlib import suppress
from dataclasses import replace

from wellfed.asking.address import Address, AskingError, Trouble
from wellfed.asking.document import served_models
from wellfed.asking.question import PROBES, question
from wellfed.asking.stream import Reply
from wellfed.message import sentence
from wellfed.watching.sample import Probe

TOKENS = 16  # asked of each probe: enough intervals for a median, little load (assumed)
EVERY_S = 5.0  # from the start of one probe to the next, where each answers in time
_LONGEST_S = 120.0  # after which a probe is given up (assumed)


class ProbeSampler:
    """Asks every `every_s`; `sample` gives the last answer and how long the open question has waited. Close it."""

    def __init__(self, address: Address, every_s: float = EVERY_S, model: str | None = None) -> None:
        self._address, self._every_s, self._model = address, every_s, model
        self._forms, self._served = list(PROBES), ""
        self._lock = threading.Lock()
        self._last: Probe | None = None
        self._waits_since: float | None = None  # for the next token of the open question
        self._streams = False
        self._end = threading.Event()
        self._open: tuple[asyncio.AbstractEventLoop, asyncio.Task[Reply]] | None = None
        threading.Thread(target=self._ask_on, name="wellfed-probe", daemon=True).start()

    def sample(self) -> Probe | None:
        """Now; None before anything was asked."""
        with self._lock:
            last, since, streams = self._last, self._waits_since, self._streams
        if since is None:
            return last
        return replace(last or Probe(number=0), waited_s=time.monotonic() - since, streams=streams)

    def close(self) -> None:
        """Ask no more, and let an open question go."""
        self._end.set()
        with self._lock:
            opened = self._open
        if opened is not None:
            loop, task = opened
            with suppress(RuntimeError):  # the loop has just ended
                loop.call_soon_threadsafe(task.cancel)

    def _ask_on(self) -> None:
        number = failures = 0
        while not self._end.is_set():
            begin = time.monotonic()
            probe = self._probe_of(number)
            number, failures = number + 1, failures + (probe.error is not None)
            with self._lock:
                self._last, self._waits_since = replace(probe, number=number, failures=failures), None
            took_s = time.monotonic() - begin
            self._end.wait(max(self._every_s - took_s, self._every_s / 2))

    def _probe_of(self, number: int) -> Probe:
        try:
            self._waits()
            self._served = self._served or self._chosen(served_models(self._address))
            reply = self._answer(number)
            while reply.trouble is Trouble.REFUSED and len(self._forms) > 1:
                del self._forms[0]
                reply = self._answer(number)
        except AskingError as error:
            return Probe(0, error=str(error), trouble=error.trouble.value)
        except Exception as error:  # noqa: BLE001  whatever comes, the watch goes on and says so
            return Probe(0, error=self._address.explained(error), trouble=Trouble.FOREIGN.value)
        return _as_probe(reply)

    def _chosen(self, names: tuple[str, ...]) -> str:
        """The model that was named, where the endpoint lists it, else the first that it lists."""
        return self._model if self._model in names else names[0]

    def _answer(self, number: int) -> Reply:
        """Another prompt each time: an answer that somebody has kept would be no answer."""
        return asyncio.run(self._answered(f"Count upwards from {100 + 7 * number % 900}, one number a line."))

    async def _answered(self, prompt: str) -> Reply:
        from wellfed.asking.client import ask, asking  # its transport is not cheap to import

        request = question(self._forms[0], self._served, prompt, TOKENS)
        async with asking() as client:
            self._waits()
            task = asyncio.ensure_future(ask(client, self._address, request, _LONGEST_S, self._token_came))
            with self._lock:
                self._open = asyncio.get_running_loop(), task
            if self._end.is_set():
                task.cancel()
            try:
                return await task
            except asyncio.CancelledError:
                return Reply(0.0, error=sentence("probe.given-up", "given up"), trouble=Trouble.SILENT)
            finally:
                with self._lock:
                    self._open = None

    def _waits(self) -> None:
        with self._lock:
            self._waits_since, self._streams = time.monotonic(), False

    def _token_came(self) -> None:
        with self._lock:
            self._waits_since, self._streams = time.monotonic(), True


def _as_probe(reply: Reply) -> Probe:
    """A reply as a sample: its times and tokens, or why it failed."""
    if reply.trouble is Trouble.ENDLESS and len(reply.token_times_s) > TOKENS:  # it was left: its pace is known
        reply = replace(reply, error=None, output_tokens=len(reply.token_times_s))
    if reply.error is not None:
        trouble = reply.trouble or Trouble.FAILED
        return Probe(0, connect_s=reply.connect_s, error=reply.error, trouble=trouble.value)
    return Probe(
        number=0,
        connect_s=reply.connect_s,
        ttft_s=reply.ttft_s,
        tpot_s=reply.tpot_s,
        prompt_tokens=reply.prompt_tokens,
        tokens=reply.output_tokens,
    )
