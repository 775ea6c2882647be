"""What may go wrong with a machine under `run`: said in one line, the right exit status, nothing left behind."""

from __future__ import annotations

import fcntl
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import product
from pathlib import Path

import pytest

from launch.conftest import Wellfed, gone
from samples import few, few_rows

pytestmark = pytest.mark.engine
PAGES = Path("/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages")


def is_one_line(said: str) -> bool:
    """An error and its hint, and no traceback."""
    lines = said.splitlines()
    return "Traceback" not in said and any(line.startswith("error: ") for line in lines) and "hint: " in said


def apart(setup: str, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run wellfed in a mount namespace of its own after `setup`. Skips where that is not allowed."""
    if shutil.which("unshare") is None or subprocess.run(["unshare", "-m", "true"], check=False).returncode != 0:
        pytest.skip("needs root and unshare")
    script = f'{setup} || exit 77; exec "$@"'
    command = ["unshare", "-m", "sh", "-c", script, "sh", sys.executable, "-m", "wellfed", *words]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=120, check=False, env={**os.environ, **environment}
    )
    if done.returncode == 77:
        pytest.skip(f"not possible here: {done.stderr}")
    return done


@pytest.mark.root
@pytest.mark.parametrize("command", few(["run", "topology", "check", "plan", "up", "ps"], 3))
def test_without_sys(wellfed: Wellfed, tiny: Path, command: str) -> None:
    words = {
        "plan": ("plan", str(tiny)),
        "check": ("check",),
        "topology": ("topology",),
        "run": wellfed.run(tiny, "-d"),
        "up": ("up", str(tiny), "--context", "512", "--port", str(wellfed.port)),
        "ps": ("ps",),
    }[command]
    done = apart("mount -t tmpfs none /sys", *words, **wellfed.environment)
    assert "Traceback" not in done.stderr and "internal error" not in done.stderr, done.stderr
    assert done.returncode in ((0, 1) if command == "check" else (0,)), done.stderr
    if command == "run":
        (engine,) = wellfed.engines()
        assert engine["alive"]


def test_without_numactl_or_any_program(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "-d"), PATH="/nonexistent")
    assert done.returncode == 0, done.stderr
    assert wellfed.ask("/health")["status"] == "ok"


@pytest.mark.root
def test_huge_pages_denied(wellfed: Wellfed, tiny: Path) -> None:
    words = wellfed.run(tiny, "--huge-pages")
    done = apart("mount --bind /sys /sys && mount -o remount,bind,ro /sys", *words, **wellfed.environment)
    assert done.returncode == 2 and is_one_line(done.stderr), done.stderr
    assert "may not reserve huge pages" in done.stderr and "--huge-pages" in done.stderr
    assert wellfed.engines() == []
    assert not list((wellfed.folder / "state" / "wellfed").glob("*.pages"))


@pytest.fixture
def huge() -> Iterator[int]:
    """How many huge pages are reserved, which no other test changes meanwhile; skips where none may be."""
    with Path("/tmp/wellfed-test-huge-pages").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield _reserved()


def _reserved() -> int:
    try:
        before = int(PAGES.read_text())
        PAGES.write_text(str(before + 1))
        more = int(PAGES.read_text())
        PAGES.write_text(str(before))
    except OSError:
        pytest.skip("needs root and huge pages")
    if more != before + 1:
        pytest.skip("no huge page can be had")
    return before


@pytest.mark.root
@pytest.mark.parametrize("how", few([signal.SIGTERM, signal.SIGHUP, signal.SIGINT], 3))
def test_huge_pages_are_used_and_given_back(wellfed: Wellfed, tiny: Path, huge: int, how: signal.Signals) -> None:
    process = wellfed.start(*wellfed.run(tiny, "--huge-pages"))
    pid = wellfed.pid_when_up()
    assert int(PAGES.read_text()) > huge
    held = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if "HugetlbPages" in line)
    assert int(held.split()[1]) > 2048
    assert wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 2})["choices"]
    process.send_signal(how)
    assert process.wait(30) == {signal.SIGINT: 130}.get(how, 128 + how)
    assert gone(pid)
    assert int(PAGES.read_text()) == huge


@pytest.mark.root
@pytest.mark.parametrize("command", few([("ps",), ("stop", "--all")], 2, " ".join))
def test_huge_pages_of_a_killed_wellfed(wellfed: Wellfed, tiny: Path, huge: int, command: tuple[str, ...]) -> None:
    process = wellfed.start(*wellfed.run(tiny, "--huge-pages"))
    pid = wellfed.pid_when_up()
    reserved = int(PAGES.read_text())
    process.kill()
    process.wait(30)
    assert gone(pid)
    assert int(PAGES.read_text()) == reserved > huge
    done = wellfed(*command)
    assert done.returncode == 0 and f"gave back {reserved - huge} huge pages" in done.stderr
    assert int(PAGES.read_text()) == huge


@contextmanager
def memory_group(limit_bytes: int) -> Iterator[Path]:
    """A control group with a memory limit, v1 or v2. Skips where none may be made."""
    first = Path("/sys/fs/cgroup/memory")
    root, name = (first, "memory.limit_in_bytes") if first.is_dir() else (Path("/sys/fs/cgroup"), "memory.max")
    group = root / f"wellfed-test-{os.getpid()}"
    try:
        group.mkdir()
    except OSError:
        pytest.skip("may make no control group here")
    try:
        try:
            (group / name).write_text(str(limit_bytes))
        except OSError:
            pytest.skip("memory cannot be limited here")
        yield group
    finally:
        for _ in range(50):
            try:
                group.rmdir()
                break
            except OSError:
                time.sleep(0.1)


@pytest.mark.root
def test_a_memory_limit_below_the_ledger(wellfed: Wellfed, tiny: Path) -> None:
    with memory_group(400 * 2**20) as group:
        inside = 'echo $$ > "$1/cgroup.procs"; shift; exec "$@"'
        command = ["sh", "-c", inside, "sh", str(group), sys.executable, "-m", "wellfed"]
        wide = (
            "run",
            str(tiny),
            "--kv-type",
            "f16",
            "--context",
            "8192",
            "-c",
            "64",
            "--port",
            str(wellfed.port),
            "-t",
            "1",
            "-d",
        )
        done = subprocess.run(
            [*command, *wide], env=wellfed.environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 1 and "short" in done.stderr and is_one_line(done.stderr), done.stderr
        assert wellfed.engines() == []
        small = subprocess.run(
            [*command, *wellfed.run(tiny, "-d")],
            env=wellfed.environment, capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert small.returncode == 0, small.stderr
        wellfed("stop", "--all")


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of `size`."""
    disk = folder / "disk"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={size}", "none", str(disk)], check=False).returncode != 0:
        pytest.skip("may not mount here")
    try:
        yield disk
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


@pytest.mark.root
def test_a_disk_that_fills_while_it_serves(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    """A log that cannot be written does not stop the engine; and it can be stopped and forgotten."""
    with small_disk(tmp_path, "256k") as disk:
        wellfed.environment["XDG_STATE_HOME"] = str(disk)
        done = wellfed(*wellfed.run(tiny, "-d"))
        assert done.returncode == 0, done.stderr
        (engine,) = wellfed.engines()
        with (disk / "filler").open("wb", buffering=0) as filler, pytest.raises(OSError):
            while True:
                filler.write(bytes(512))
        for _ in range(3):
            assert wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 2})["choices"]
        assert wellfed("stop", "--all").returncode == 0
        assert gone(engine["pid"]) and wellfed.engines() == []


def test_model_gone_before_it_starts(wellfed: Wellfed, tmp_path: Path) -> None:
    done = wellfed(*wellfed.run(tmp_path / "gone.gguf", "-d"))
    assert done.returncode == 2 and is_one_line(done.stderr), done.stderr


def test_model_deleted_while_it_serves(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    """The mapping stays; a restart finds nothing to start."""
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny.read_bytes())
    process = wellfed.start(*wellfed.run(copy, "--restart"))
    pid = wellfed.pid_when_up()
    copy.unlink()
    assert wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 2})["choices"]
    os.kill(pid, signal.SIGKILL)
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and "no such file" in said and is_one_line(said)
    assert wellfed.engines() == []


def test_model_cut_while_it_serves(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny.read_bytes())
    process = wellfed.start(*wellfed.run(copy))
    wellfed.pid_when_up()
    os.truncate(copy, 4096)
    with pytest.raises(OSError):
        wellfed.ask("/v1/completions", {"prompt": "time flies like an arrow", "max_tokens": 8})
    _, said = process.communicate(timeout=60)
    assert process.returncode == 2 and "SIGBUS" in said and is_one_line(said)
    assert wellfed.engines() == []


def test_model_of_a_folder_that_may_not_be_read(wellfed: Wellfed, tmp_path: Path) -> None:
    done = wellfed(*wellfed.run(tmp_path, "-d"))
    assert done.returncode == 2 and is_one_line(done.stderr), done.stderr


@pytest.mark.parametrize(
    ("how", "pause_s"),
    few_rows(product([signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL], [0.0, 0.15]), 7),
)
def test_ended_while_a_real_engine_loads(wellfed: Wellfed, tiny: Path, how: signal.Signals, pause_s: float) -> None:
    """From the moment there is an engine; whether it has begun to load or is about to answer."""
    process = wellfed.start(*wellfed.run(tiny))
    pid = child_of(process)
    time.sleep(pause_s)
    process.send_signal(how)
    process.wait(30)
    assert process.returncode in {-how, 128 + how}
    assert gone(pid)
    known = wellfed.engines()  # a killed wellfed cannot forget
    assert not any(engine["alive"] for engine in known) and (known == [] or how is signal.SIGKILL)


def child_of(process: subprocess.Popen[str]) -> int:
    """The engine's pid as soon as there is one that was not started to tell its flags."""
    end = time.monotonic() + 60
    while time.monotonic() < end:
        for task in Path(f"/proc/{process.pid}/task").glob("*/children"):
            for pid in task.read_text().split():
                try:
                    words = Path(f"/proc/{pid}/cmdline").read_bytes().split(b"\0")
                except OSError:
                    continue
                if b"--model" in words:
                    return int(pid)
        time.sleep(0.005)
    raise AssertionError("no engine was started")


def test_an_engine_that_never_answers(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    program = tmp_path / "mute"
    program.write_text(f"#!/bin/sh\ncase $* in *--help*) exit;; esac\necho $$ > {tmp_path}/pid\nexec sleep 300\n")
    program.chmod(0o755)
    done = wellfed(*wellfed.run(tiny, "--program", str(program), "--timeout", "1"))
    assert done.returncode == 2 and "did not answer within 1 s" in done.stderr and is_one_line(done.stderr)
    assert gone(int((tmp_path / "pid").read_text()))
    assert wellfed.engines() == []


def test_port_taken_while_it_is_down(wellfed: Wellfed, tiny: Path) -> None:
    """With --restart, a port that somebody else took in the meantime is waited for."""
    process = wellfed.start(*wellfed.run(tiny, "--restart"))
    first = wellfed.pid_when_up()
    os.kill(first, signal.SIGKILL)
    assert gone(first)
    with socket.socket() as other:
        other.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound_when_free(other, wellfed.port)
        time.sleep(2.5)
        assert process.poll() is None
    second = wellfed.pid_when_up(other_than=first)
    assert wellfed.ask("/health")["status"] == "ok"
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert "cannot listen on" in said
    assert gone(second) and wellfed.engines() == []


def bound_when_free(other: socket.socket, port: int) -> None:
    """Listen on a port whose owner is on its way out."""
    for _ in range(200):
        try:
            other.bind(("127.0.0.1", port))
            break
        except OSError:
            time.sleep(0.005)
    other.listen()
