"""Any order of starts, stops, kills and damage: what is listed is so, and nothing that runs is unlisted."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule

from sound.engine import spec
from wellfed.errors import WellfedError
from wellfed.launch import identity, state
from wellfed.launch.life import Phase
from wellfed.launch.service import Service, end, serve

_LONG = os.environ.get("WELLFED_ATTACK") == "long"
NAMES = st.sampled_from(["a", "b"])


class Life(RuleBasedStateMachine):
    """Engines of two names."""

    def __init__(self) -> None:
        super().__init__()
        self.base = Path(tempfile.mkdtemp(prefix="wellfed-life-"))
        self.before = os.environ.get("XDG_STATE_HOME")
        os.environ["XDG_STATE_HOME"] = str(self.base)
        self.started: list[Service] = []
        self.damaged: set[str] = set()

    @initialize(name=NAMES)
    def first(self, name: str) -> None:
        """There is one at least."""
        self.start(name)

    @rule(name=NAMES)
    def start(self, name: str) -> None:
        """Start one more."""
        if sum(self._runs(service) for service in self.started) < 4:
            self.started.append(serve(spec(), name, 30, detach=True))

    @rule(pick=st.integers(0, 20))
    def stop(self, pick: int) -> None:
        """Stop one by its name."""
        known = list(state.listed())
        if known:
            assert end(known[pick % len(known)], grace_s=1.0)

    @rule(pick=st.integers(0, 20), number=st.sampled_from([signal.SIGKILL, signal.SIGTERM]))
    def kill(self, pick: int, number: signal.Signals) -> None:
        """Somebody kills one behind wellfed's back."""
        alive = [service for service in self.started if self._runs(service)]
        if alive:
            victim = alive[pick % len(alive)]
            os.killpg(victim.engine.pid, number)
            victim.engine.popen.wait(10)

    @rule(name=NAMES, content=st.sampled_from([b"", b"{", b'{"name": "a", "pid": 0}', b"\xff"]))
    def damage(self, name: str, content: bytes) -> None:
        """A file among the records tells nothing."""
        path = state.folder() / f"{name}-damaged.json"
        if path.parent.exists():
            path.write_bytes(content)

    @rule(by=st.floats(-1e6, 1e6))
    def clock(self, by: float) -> None:
        """What people read of the start changes nothing."""
        for running in state.listed():
            if running.phase is Phase.SERVING:
                state.advance(running, Phase.SERVING, started=max(0.0, running.started + by))

    @invariant()
    def nothing_is_lost(self) -> None:
        """Each engine that runs is listed as running, once; each that is listed so runs."""
        running = {service.engine.pid for service in self.started if self._runs(service)}
        listed = [entry.pid for entry in state.listed() if entry.alive]
        assert sorted(listed) == sorted(running)  # type: ignore[type-var]

    @staticmethod
    def _runs(service: Service) -> bool:
        service.engine.popen.poll()
        found = identity.stat(service.engine.pid)
        return found is not None and found.runs

    def teardown(self) -> None:
        """Nothing stays."""
        for running in state.listed():
            with suppress(WellfedError):
                end(running, grace_s=0.5)
        for service in self.started:
            if self._runs(service):
                os.killpg(service.engine.pid, signal.SIGKILL)
        if self.before is None:
            os.environ.pop("XDG_STATE_HOME", None)
        else:
            os.environ["XDG_STATE_HOME"] = self.before
        shutil.rmtree(self.base, ignore_errors=True)


Life.TestCase.settings = settings(
    max_examples=60 if _LONG else 5,
    stateful_step_count=20 if _LONG else 8,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
TestLife = Life.TestCase
