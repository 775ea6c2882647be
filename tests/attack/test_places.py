"""Clocks, disks and homes that go wrong around a running engine, in namespaces; skipped where none may be made."""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from attack.test_kills import acts, listening, settle
from samples import checkered, few
from sound.engine import spec
from wellfed.launch import identity, state
from wellfed.launch.life import Phase, Running
from wellfed.launch.process import free_port
from wellfed.launch.service import end, serve

_HERE = Path(__file__).parents[1]
_LONG = os.environ.get("WELLFED_ATTACK") == "long"
_DAY_S = 86_400


pytestmark = pytest.mark.usefixtures("home")


def apart(setup: str, *words: str) -> subprocess.CompletedProcess[str]:
    """wellfed in a mount namespace of its own, after `setup` there."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-rm", "true"], check=False).returncode != 0:
        pytest.skip("no namespaces of mounts may be made here")
    line = f'{setup} && exec "$0" -m wellfed "$@"'
    done = subprocess.run(
        ["unshare", "-rm", "sh", "-c", line, sys.executable, *words], capture_output=True, text=True, check=False
    )
    if "mount:" in done.stderr and "wellfed" not in done.stderr:
        pytest.skip(f"that may not be mounted here: {done.stderr.strip()[:200]}")
    return done


def runs(running: Running) -> bool:
    """Whether its process does."""
    process = identity.stat(running.pid or 0)
    return process is not None and process.runs and process.ticks == running.ticks


def phases(done: subprocess.CompletedProcess[str]) -> list[str]:
    """What `ps` said."""
    assert done.returncode == 0, done.stderr
    document: dict[str, Any] = json.loads(done.stdout)
    return [entry["phase"] for entry in document["engines"]]


@pytest.mark.parametrize("by_s", few([-_DAY_S * 400, -3600, 1, 3600, _DAY_S * 400], 2))
def test_a_kernel_whose_boot_was_at_another_time(tmp_path: Path, by_s: int) -> None:
    """A clock that is set moves btime in /proc/stat, and with it every start time that is told in seconds."""
    running = serve(spec(), "m", 30, detach=True).running
    moved = re.sub(
        r"^btime (\d+)", lambda match: f"btime {int(match[1]) + by_s}", Path("/proc/stat").read_text(), flags=re.M
    )
    (tmp_path / "stat").write_text(moved)
    setup = f"mount --bind {tmp_path / 'stat'} /proc/stat"
    assert phases(apart(setup, "ps", "--json")) == ["serving"]
    done = apart(setup, "stop", "m")
    assert done.returncode == 0 and not runs(running), done.stderr
    assert list(state.listed()) == []


def test_a_state_folder_that_cannot_be_written(home: Path) -> None:
    running = serve(spec(), "m", 30, detach=True).running
    setup = f"mount --bind {home} {home} && mount -o remount,bind,ro {home}"
    assert phases(apart(setup, "ps", "--json")) == ["serving"]
    done = apart(setup, "stop", "m")
    assert not runs(running)
    assert done.returncode == 0, done.stderr
    assert [entry.status for entry in state.listed()] in ([], [Phase.ENDED])
    assert end(next(state.listed())) if list(state.listed()) else True


@pytest.mark.parametrize(
    ("call", "error"), checkered(["fsync", "/^rename", "/^link", "/^unlink", "/^mkdir"], ["ENOSPC", "EIO"])
)
def test_disks_that_refuse(call: str, error: str) -> None:
    """Each of these calls fails once, on the way of a launch: what serves is listed, and can be stopped."""
    tracer = shutil.which("strace")
    if tracer is None or subprocess.run([tracer, "-o", "/dev/null", "true"], check=False).returncode != 0:
        pytest.skip("no process may be traced here")
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.environ.get("PYTHONPATH", ""), str(_HERE)])}
    for turn in range(1, 9) if _LONG else (2,):
        port = free_port()
        words = [sys.executable, "-m", "attack.wounded", "0", "before", "start", str(port), "0.1"]
        inject = [tracer, "-qq", "-o", "/dev/null", "-e", f"inject={call}:error={error}:when={turn}"]
        done = subprocess.run([*inject, *words], env=environment, capture_output=True, text=True, check=False)
        settle(port)
        alive = [running for running in state.listed() if running.alive]
        assert listening(port) == bool(alive), (call, error, turn, done.stderr[-500:])
        assert done.returncode == 0 or "WellfedError" in done.stderr or "BadInput" in done.stderr, done.stderr[-500:]
        for running in list(state.listed()):
            assert end(running, grace_s=1.0)
        assert not listening(port) and list(state.listed()) == []


def test_all_changes_are_acts() -> None:
    """Kills come at each act: there is no change of the world beside them."""
    port = free_port()
    assert acts("start", str(port), "0") > 8
    assert acts("stop", "m") > 4
    assert not listening(port)


@pytest.mark.parametrize("words", few([("ps", "--json"), ("plan", "qwen3-8b", "--on", "rtx 4090", "--json"),
                                       ("check", "--on", "rtx 4090", "--json")], 2, " ".join))  # fmt: skip
def test_a_user_without_home_and_entry(words: tuple[str, ...]) -> None:
    become = ["unshare", "-U", "--map-user=54321", "--map-group=54321"]
    if shutil.which("unshare") is None or subprocess.run([*become, "true"], check=False).returncode != 0:
        pytest.skip("no namespace of users may be made here")
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ}
    command = [*become, sys.executable, "-m", "wellfed", *words]
    done = subprocess.run(command, env=kept, capture_output=True, text=True, check=False, cwd="/")
    assert done.returncode in (0, 1), done.stderr
    assert isinstance(json.loads(done.stdout), dict)
