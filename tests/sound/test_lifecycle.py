"""An engine's life: its name, its record, its identity; and nothing is said of it that is not so."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from click.testing import CliRunner, Result

from sound.engine import spec
from wellfed.cli.ps import logs, ps, stop
from wellfed.errors import BadInput, WellfedError
from wellfed.launch import identity, state
from wellfed.launch.life import Phase, Running
from wellfed.launch.process import EngineFailed, free_port
from wellfed.launch.process import stop as stop_pid
from wellfed.launch.service import end, serve
from wellfed.launch.state import Superseded

pytestmark = pytest.mark.usefixtures("home")


def come_to(phase: str) -> dict[str, Any]:
    """The one engine, once it is in that phase; fails where it passes it by or does not come to it in a minute."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        found = engines()
        if found and found[0]["phase"] == phase:
            return found[0]
        assert not found or found[0]["phase"] in ("starting", "loading"), found
        time.sleep(0.02)
    raise AssertionError(f"never {phase}: {engines()}")


def engines() -> list[dict[str, Any]]:
    """What `ps` says."""
    done = CliRunner().invoke(ps, ["--json"])
    assert done.exit_code == 0, done.output
    found: list[dict[str, Any]] = json.loads(done.stdout)["engines"]
    return found


def stopped(*words: str) -> Result:
    """What `stop` says."""
    return CliRunner().invoke(stop, list(words))


def sleeper(group: bool = True) -> subprocess.Popen[bytes]:
    """A process of somebody else."""
    return subprocess.Popen(["sleep", "300"], start_new_session=group)


def record(**about: Any) -> Running:
    """A record that might be an engine's."""
    return state.advance(state.reserve("m", url="http://127.0.0.1:1"), Phase.SERVING, **about)


def runs(pid: int) -> bool:
    """Whether there is more of it than an entry that nobody has reaped."""
    found = identity.stat(pid)
    return found is not None and found.runs


def ticks(pid: int) -> int:
    """When it started."""
    found = identity.stat(pid)
    assert found is not None
    return found.ticks


def test_ps_makes_nothing(home: Path) -> None:
    assert engines() == [] and not home.exists()


def test_files_are_their_owners_alone(home: Path) -> None:
    running = serve(spec(key="secret"), "m", 30).running
    assert home.stat().st_mode & 0o077 == 0
    assert [path.name for path in home.iterdir() if path.stat().st_mode & 0o077] == []
    assert Path(running.key_file).read_text() == "secret\n"
    assert "secret" not in (home / "m.json").read_text()
    assert end(running)
    assert [path.name for path in home.iterdir()] == ["m.log"]


def test_one_name_is_given_once() -> None:
    names = [state.reserve("m").name for _ in range(5)]
    assert names == ["m", "m-2", "m-3", "m-4", "m-5"]
    state.forget(next(running for running in state.listed() if running.name == "m-3"))
    assert state.reserve("m").name == "m-3"


def test_many_reserve_at_once(home: Path) -> None:
    code = "from wellfed.launch import state\nfor n in range(8): print(state.reserve(f'm{n % 2}').name)"
    children = [subprocess.Popen([sys.executable, "-c", f"{code}\ninput()"], stdin=-1, stdout=-1) for _ in range(8)]
    names = [line for child in children for line in [child.stdout.readline() for _ in range(8)]]  # type: ignore[union-attr]
    assert len(set(names)) == 64 == len(engines())
    for child in children:
        child.communicate(b"\n")
    assert all(entry["phase"] == "ended" for entry in engines())  # those who made them are gone, and nothing runs


def test_forgetting_leaves_a_later_launch_alone() -> None:
    first = state.reserve("m")
    state.forget(first)
    second = state.reserve("m")
    state.forget(first)
    assert [running.token for running in state.listed()] == [second.token]
    with pytest.raises(Superseded):
        state.advance(first, Phase.SERVING)


def test_the_phases_as_they_are_seen(tmp_path: Path) -> None:
    code = (
        "from sound.engine import spec\nfrom wellfed.launch.service import serve\n"
        "serve(spec(load_s=4.0), 'm', 30, detach=True); print('up', flush=True); input()"
    )
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[1]}"}
    child = subprocess.Popen([sys.executable, "-c", code], stdin=-1, stdout=-1, env=environment)
    come_to("loading")
    come_to("serving")
    assert child.stdout is not None and child.stdout.readline() == b"up\n"
    child.communicate(b"\n")
    assert engines()[0]["phase"] == "serving"
    assert stopped("m").exit_code == 0 and engines() == []


def test_adopted_when_it_comes_up_after_its_wellfed_was_killed() -> None:
    code = (
        "from sound.engine import spec\nfrom wellfed.launch.service import serve\n"
        "serve(spec(load_s=4.0), 'm', 30, detach=True)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[1]}"}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment)
    come_to("loading")
    child.kill()
    child.wait()
    (entry,) = engines()
    assert entry["phase"] == "loading" and entry["alive"]
    come_to("serving")
    assert stopped("m").exit_code == 0
    assert not runs(entry["pid"])


def test_the_answer_of_another_at_its_port_is_not_its_own() -> None:
    """Two launches at one port, both of which find it free: the one that listens first serves, the other never has."""
    port = free_port()
    with ThreadPoolExecutor(1) as pool:
        late = pool.submit(serve, spec(load_s=60, port=port), "late", 120, True)
        come_to("loading")
        early = serve(spec(port=port), "early", 120, detach=True)
        with pytest.raises(EngineFailed, match=f"process {early.engine.pid} took port {port}"):
            late.result(timeout=60)
    assert [(each["name"], each["phase"]) for each in engines()] == [("early", "serving")]


def test_stopped_while_it_loads() -> None:
    code = (
        "from sound.engine import spec\nfrom wellfed.launch.service import serve\n"
        "serve(spec(load_s=60), 'm', 90, detach=True)"
    )
    environment = {**os.environ, "PYTHONPATH": f"{os.environ.get('PYTHONPATH', '')}:{Path(__file__).parents[1]}"}
    child = subprocess.Popen([sys.executable, "-c", code], env=environment, stderr=subprocess.PIPE, text=True)
    come_to("loading")
    assert stopped("m").exit_code == 0
    _, said = child.communicate(timeout=30)
    assert "was stopped while it started" in said and engines() == []


def test_a_clock_that_is_set_changes_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    running = serve(spec(), "m", 30).running
    moved = replace(running, started=running.started + 86_400)
    assert moved.alive and moved.status is Phase.SERVING
    import psutil

    monkeypatch.setattr(psutil.Process, "create_time", lambda self: 1.0)
    assert engines()[0]["alive"]
    assert stopped("m").exit_code == 0 and not runs(running.pid or 0)


def test_a_reused_pid_is_left_alone() -> None:
    other = sleeper()
    record(pid=other.pid, ticks=ticks(other.pid) - 1)
    assert engines()[0]["phase"] == "ended"
    done = stopped("m")
    assert done.exit_code == 0 and "had ended" in done.output and other.poll() is None
    other.kill()
    other.wait()


@pytest.mark.parametrize("change", [{"machine": "other", "boot": "other"}, {"namespace": "pid:[1]"}, {"ticks": 0}])
def test_what_cannot_be_told_is_lost_and_left_alone(change: dict[str, Any]) -> None:
    other = sleeper()
    record(**{"pid": other.pid, "ticks": ticks(other.pid), **change})
    (entry,) = engines()
    assert entry["phase"] == "lost" and not entry["alive"] and entry["why_lost"]["text"]
    done = stopped("m")
    assert done.exit_code != 0 and "left alone" in str(done.exception) and "stopped" not in done.output
    assert other.poll() is None and len(engines()) == 1
    assert state.reserve("m").name == "m-2"
    done = stopped("m", "--forget")
    assert done.exit_code == 0 and other.poll() is None
    other.kill()
    other.wait()


def test_after_a_boot_everything_has_ended() -> None:
    record(pid=4242, ticks=1, boot="an earlier one")
    assert engines()[0]["phase"] == "ended"
    assert "had ended" in stopped("m").output


def test_what_an_engine_left_is_proven_or_left_alone() -> None:
    """Its leader is gone: of its session, only what inherited its token is its own."""
    code = "import os, time\nif os.fork(): os._exit(0)\ntime.sleep(300)"
    for proven in (True, False):
        running = state.reserve("m")
        environment = {**os.environ, **({identity.MARK: running.token} if proven else {})}
        leader = subprocess.Popen([sys.executable, "-c", code], start_new_session=True, env=environment)
        running = state.advance(running, Phase.SERVING, pid=leader.pid, ticks=ticks(leader.pid))
        leader.wait()
        (left,) = running.outlived_by()
        assert engines()[0]["left_behind"] == [left]
        if proven:
            assert stopped("m").exit_code == 0 and not runs(left)
        else:
            with pytest.raises(WellfedError, match="left alone"):
                end(running)
            assert runs(left) and state.reserve("m").name == "m-2"
            os.kill(left, signal.SIGKILL)


@pytest.mark.parametrize("pid", [0, 1, -1, os.getpid(), os.getpgrp()], ids=["0", "1", "-1", "own", "own group"])
def test_pids_that_are_no_engines(pid: int, home: Path) -> None:
    with pytest.raises(WellfedError):
        stop_pid(pid)
    state.advance(state.reserve("good"), Phase.SERVING, pid=4242, ticks=1, boot="an earlier one")
    state.reserve("m")
    path = home / "m.json"
    path.write_text(json.dumps({**json.loads(path.read_text()), "pid": pid, "ticks": 1}))
    done = CliRunner().invoke(ps)
    assert done.exit_code == 0 and "good" in done.output and "m.json is no record" in done.output
    done = stopped("m")
    assert done.exit_code != 0 and "nothing was touched" in str(done.exception)
    assert stopped("--all").exit_code != 0
    assert path.exists() and [entry["name"] for entry in engines()] == []


BAD = [
    b"", b"{", b"[]", b"null", b"\xff\xfe", b"{}" * 200_000, b'{"name": 3}', b'{"name": "m", "pid": "12"}',
    b'{"name": "m", "pid": 1e3}', b'{"name": "m", "pid": true}', b'{"name": "../m", "pid": 12}', b'{"name": "other"}',
    b'{"name": "m", "shared": "/etc/passwd"}', b'{"name": "m", "shared": [1]}', b'{"name": "m", "strange": 1}',
    b'{"name": "m", "started": NaN}', b'{"name": "m", "phase": "well"}', b"[" * 100_000, b'{"name": "m", "ticks": -1}',
]  # fmt: skip


@pytest.mark.parametrize("content", BAD, ids=range(len(BAD)))
def test_one_bad_file_breaks_nothing(home: Path, content: bytes) -> None:
    state.reserve("good")
    (home / "m.json").write_bytes(content)
    done = CliRunner().invoke(ps)
    assert done.exit_code == 0 and "good" in done.output and "m.json is no record" in done.output
    with pytest.raises(BadInput):
        state.find("m")
    assert state.reserve("m").name == "m-2"


def test_what_is_no_file_breaks_nothing(home: Path, tmp_path: Path) -> None:
    state.reserve("good")
    os.mkfifo(home / "fifo.json")
    (home / "folder.json").mkdir()
    (home / "link.json").symlink_to("/dev/zero")
    (home / "\x1b]0;x\x07.json").write_text("{")
    done = CliRunner().invoke(ps)
    assert done.exit_code == 0 and "good" in done.output
    assert len(state.records().unreadable) == 4


@pytest.mark.usefixtures("home")
def test_shared_files_of_a_record_are_shared_memory_or_left() -> None:
    with TemporaryDirectory(dir="/var/tmp") as folder:  # tmp_path may lie in shared memory
        precious = Path(folder) / "thesis"
        precious.touch()
        shared = (str(precious), "/dev/shm/../" + str(precious))
        assert end(record(pid=4242, ticks=1, boot="an earlier one", shared=shared)) and precious.exists()


def test_a_stubborn_engine_is_awaited(capsys: pytest.CaptureFixture[str]) -> None:
    running = serve(spec(stubborn=True), "m", 30).running
    heard: list[float] = []
    assert end(running, grace_s=0.2, progress=heard.append) and heard and not runs(running.pid or 0)


def test_logs_of_what_is_no_file(home: Path) -> None:
    state.reserve("m")
    os.mkfifo(home / "m.log")
    done = CliRunner().invoke(logs, ["m"])
    assert done.exit_code == 0 and done.output == ""


def test_without_a_home(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("XDG_STATE_HOME")
    monkeypatch.delenv("HOME", raising=False)

    def nobody() -> Path:
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", nobody)
    assert engines() == []
    with pytest.raises(BadInput, match="no home"):
        state.reserve("m")
