"""Watching a running engine for the page: a thread samples it while somebody looks, and its samples are a recording.

What is rendered is the recording so far, by the same worker that renders a replay.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque

from wellfed.errors import WellfedError

_MOST_SAMPLES = 240
_UNWATCHED_S = 20.0  # without a look, sampling ends
_INTERVAL_S = 1.0
_MOST_WATCHED = 4


class Live:
    """The engines that somebody watches now. One of them at a time each, by its name or address."""

    def __init__(self) -> None:
        self._watched: dict[str, _Watched] = {}
        self._lock = threading.Lock()

    def recording(self, name: str | None, url: str | None) -> bytes:
        """The recording so far; the first call begins it. Raises BadInput where there is nothing to watch."""
        key = name or url or ""
        with self._lock:
            self._watched = {engine: watched for engine, watched in self._watched.items() if watched.alive}
            watched = self._watched.get(key)
            if watched is None:
                if len(self._watched) >= _MOST_WATCHED:
                    self._watched.pop(next(iter(self._watched))).end()
                watched = self._watched[key] = _Watched(name, url)
        return watched.recording()

    def end(self) -> None:
        """Stop sampling every engine that is watched."""
        with self._lock:
            for watched in self._watched.values():
                watched.end()
            self._watched.clear()


class _Watched:
    """One engine, its thread and its last samples as lines of a recording."""

    def __init__(self, name: str | None, url: str | None) -> None:
        from wellfed.verbs import watching

        self._target = watching.target(name, None, url)
        watching.ensure_somebody_listens(self._target)
        self._lines: deque[str] = deque(maxlen=_MOST_SAMPLES)
        self._header = ""
        self._looked = time.monotonic()
        self._ended = threading.Event()
        threading.Thread(target=self._sample, daemon=True, name="wellfed-watch").start()

    @property
    def alive(self) -> bool:
        """Whether the watch still takes samples."""
        return not self._ended.is_set()

    def end(self) -> None:
        """Sample no more."""
        self._ended.set()

    def recording(self) -> bytes:
        """Header and samples so far; empty before the first."""
        self._looked = time.monotonic()
        return (self._header + "".join(list(self._lines))).encode() if self._header and self._lines else b""

    def _sample(self) -> None:
        from wellfed.verbs import watching
        from wellfed.watching.trace import Promise, Recorder
        from wellfed.watching.watcher import Sampler

        try:
            promise = watching.promise_or_why(self._target, watching.WatchOptions())
            text = io.StringIO()
            recorder = Recorder(text, self._target.name, promise if isinstance(promise, Promise) else None)
            self._header = text.getvalue()
            with Sampler(self._target, _INTERVAL_S, self._target.key) as sampler:
                for sample in sampler.every(_INTERVAL_S):
                    if self._ended.is_set() or time.monotonic() - self._looked > _UNWATCHED_S:
                        break
                    text.seek(0)
                    text.truncate()
                    recorder.write(sample)
                    self._lines.append(text.getvalue())
        except WellfedError:
            pass  # the engine is gone: what was seen of it is what there is
        finally:
            self._ended.set()


def engines() -> list[str]:
    """Names of the engines that wellfed started and that run."""
    from wellfed.launch import state

    try:
        return [running.name for running in state.listed() if running.alive]
    except WellfedError:
        return []
