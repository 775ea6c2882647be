"""wellfed killed at each write and each act of a launch and of a stop: a later `ps` and `stop` tell the truth."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wellfed.launch import identity, state
from wellfed.launch.life import Phase
from wellfed.launch.process import answers, free_port
from wellfed.launch.service import end

_HERE = Path(__file__).parents[1]
_LONG = os.environ.get("WELLFED_ATTACK") == "long"
_MOST_ACTS = 60


pytestmark = pytest.mark.usefixtures("home")


def wounded(last: int, when: str, *command: str) -> subprocess.CompletedProcess[str]:
    """One that dies at its act number `last`."""
    path = os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(_HERE)])
    return subprocess.run(
        [sys.executable, "-m", "attack.wounded", str(last), when, *command],
        env={**os.environ, "PYTHONPATH": path}, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def marked(token_prefix: str = "") -> list[int]:
    """Processes that were started under a launch of ours, by the mark that they inherit."""
    tokens = {running.token for running in state.listed()}
    return [pid for pid in identity._pids(identity.PROC) for token in tokens if identity.is_marked(pid, token)]


def listening(port: int) -> bool:
    """Whether an engine of a test answers."""
    return answers(f"http://127.0.0.1:{port}/health", 0.3)


def acts(*command: str) -> int:
    """How many there are on the way of a command that is not wounded."""
    done = wounded(0, "before", *command)
    assert done.returncode == 0, done.stderr
    assert "missed []" in done.stdout, "the world was changed without an act that is counted: kills would pass it by"
    return int(done.stdout.split()[-1])


def chosen(count: int, first: int) -> list[int]:
    """All of them in the long form; in the short one every tenth, from another one each way."""
    return list(range(1, count + 1)) if _LONG else list(range(first, count + 1, 10))


def done_before(last: int, done: subprocess.CompletedProcess[str]) -> bool:
    """Whether it came to its end first: how often it looks at its own lock varies."""
    return "acts" in done.stdout and int(done.stdout.split()[-1]) < last


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_starts(when: str) -> None:
    port = free_port()
    count = acts("start", str(port), "0.1")
    assert 8 < count < _MOST_ACTS
    (running,) = state.listed()
    assert end(running)
    for last in chosen(count, 1 + 2 * (when == "after")):
        port = free_port()
        done = wounded(last, when, "start", str(port), "0.1")
        assert done.returncode == -9 or done_before(last, done), (last, done.stderr)
        settle(port)
        known = [running for running in state.listed() if running.alive]
        assert listening(port) == bool(known), f"killed {when} act {last}: what serves is listed, what is listed serves"
        for running in list(state.listed()):
            assert running.status in (Phase.LOADING, Phase.SERVING, Phase.ENDED), running
            assert end(running, grace_s=1.0)
        assert not listening(port) and not list(state.listed()) and not state.records().unreadable


def settle(port: int) -> None:
    """An engine that was let go comes up, one that was not ends: whichever, within this time."""
    for _ in range(60):
        if listening(port):
            return
        if not any(running.alive for running in state.listed()):
            time.sleep(0.15)
            return
        time.sleep(0.05)


@pytest.mark.parametrize("when", ["before", "after"])
def test_killed_while_it_stops(when: str) -> None:
    started = wounded(0, "before", "start", str(free_port()), "0")
    assert started.returncode == 0, started.stderr
    count = acts("stop", "m")
    for last in chosen(count, 1 + 2 * (when == "after")):
        port = free_port()
        assert wounded(0, "before", "start", str(port), "0").returncode == 0
        done = wounded(last, when, "stop", "m")
        assert done.returncode == -9 or done_before(last, done), (last, done.stderr)
        left = list(state.listed())
        if listening(port):
            assert left and left[0].alive, f"killed {when} act {last}: it serves, and is not listed"
        for running in left:
            assert end(running, grace_s=1.0)
        assert not listening(port) and not list(state.listed())
