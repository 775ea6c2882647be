"""Asks a running engine's endpoint in a thread of its own: an engine that does not answer must not stop the watch."""

from __future__ import annotations

import threading
import time

from wellfed.asking.address import Address, AskingError, Trouble
from wellfed.asking.document import fetch, json_of
from wellfed.message import sentence
from wellfed.watching.sample import Engine
from wellfed.watching.samplers import llamacpp, ollama
from wellfed.watching.samplers.sglang import SGLANG
from wellfed.watching.samplers.vllm import VLLM

_ABSENT = (404, 405, 501)  # a server without such a page
_SILENT_S = 2.0  # unanswered for longer than this is told


class EndpointSampler:
    """Asks every `interval_s`; `sample` gives the last answer, or that there is none yet. Close it at the end."""

    def __init__(self, address: Address, interval_s: float = 1.0, timeout_s: float = 120.0) -> None:
        self._address, self._interval_s, self._timeout_s = address, interval_s, timeout_s
        self._lock = threading.Lock()
        self._last: Engine | None = None
        self._asked: float | None = None
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._ask_on, name="wellfed-ask", daemon=True)
        self._thread.start()

    def sample(self) -> Engine | None:
        """The last answer with how long the open question has waited; None before the first."""
        now = time.monotonic()
        with self._lock:
            last, asked_at = self._last, self._asked
        waited = None if asked_at is None else now - asked_at
        if waited is not None and waited > _SILENT_S:
            kind = last.kind if last else None
            slots = last.slots if last else None
            silent = Trouble.SILENT.value
            return Engine(t=now, kind=kind, answers=False, waited_s=waited, slots=slots, trouble=silent)
        return last

    def close(self) -> None:
        """Stop asking the endpoint."""
        self._end.set()

    def _ask_on(self) -> None:
        while not self._end.is_set():
            begin = time.monotonic()
            with self._lock:
                self._asked = begin
            answer = self._ask(begin)
            with self._lock:
                self._last, self._asked = answer, None
            self._end.wait(max(0.05, self._interval_s - (time.monotonic() - begin)))

    def _ask(self, begin: float) -> Engine:
        try:
            status, content = self._get("/metrics")
            slots: object = None
            if status not in (401, 403) and (status != 200 or llamacpp.PREFIX.encode() in content):
                slots_status, slots_content = self._get("/slots")
                slots = json_of(slots_content) if slots_status == 200 else None
            loaded: object = None
            if status in _ABSENT and not isinstance(slots, list):
                loaded_status, loaded_content = self._get(ollama.PATH)
                loaded = json_of(loaded_content) if loaded_status == 200 else None
            now = time.monotonic()
            return parsed(now, now - begin, status, content.decode("utf-8", "replace"), slots, loaded)
        except AskingError as error:
            answers = error.trouble in (Trouble.CERTIFICATE, Trouble.FOREIGN, Trouble.ENDLESS, Trouble.CUT)
            return Engine(t=time.monotonic(), answers=answers, error=str(error), trouble=error.trouble.value)
        except Exception as error:  # noqa: BLE001  whatever it says, the watch goes on and tells
            reason = self._address.explained(error)
            return Engine(t=time.monotonic(), answers=True, error=reason, trouble=Trouble.FOREIGN.value)

    def _get(self, path: str) -> tuple[int, bytes]:
        return fetch(self._address, path, within_s=self._timeout_s)


def parsed(t: float, answer_s: float, status: int, text: str, slots: object, loaded: object = None) -> Engine:
    """What an engine's answers say; `kind` stays None for an engine that is not known."""
    for dialect in (VLLM, SGLANG) if status == 200 else ():
        if dialect.speaks(text):
            return dialect.engine(t, answer_s, text)
    if (status == 200 and llamacpp.PREFIX in text) or isinstance(slots, list):
        return llamacpp.engine(t, answer_s, text if status == 200 else "", slots)
    if ollama.speaks(loaded):
        return ollama.engine(t, answer_s, loaded)
    if status in (401, 403):
        why = sentence(
            "endpoint.wants-key-another",
            "it wants a key, or another one (HTTP {status}): --api-key-file",
            status=status,
        )
        return Engine(t=t, answers=True, answer_s=answer_s, error=why, trouble=Trouble.KEY.value)
    why = (
        sentence("endpoint.metrics", "it has no /metrics")
        if status in _ABSENT
        else sentence("endpoint.metrics-answer-http", "its /metrics answer HTTP {status}", status=status)
    )
    why = (
        sentence("endpoint.metrics-engine-known", "its /metrics are of no engine known here") if status == 200 else why
    )
    return Engine(t=t, answers=True, answer_s=answer_s, error=why)
