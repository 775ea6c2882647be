"""`wellfed run` as a user calls it, with the embedded engine and a tiny model; and what may go wrong."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import urllib.error
from pathlib import Path

import pytest

from launch.conftest import Wellfed, gone
from samples import few

pytestmark = pytest.mark.engine
SECRET = "sk-never-to-be-seen"


def test_detached_serves_is_listed_and_stops(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "-d"))
    assert done.returncode == 0, done.stderr
    assert done.stdout == f"http://127.0.0.1:{wellfed.port}/v1\n"
    (engine,) = wellfed.engines()
    assert engine["alive"] and engine["url"].endswith(str(wellfed.port))
    answer = wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 3})
    assert answer["usage"]["completion_tokens"] == 3
    assert "listening on" in wellfed("logs", engine["name"]).stdout
    assert wellfed("stop", engine["name"]).returncode == 0
    assert gone(engine["pid"])
    assert wellfed.engines() == []


def test_a_model_in_shared_memory_stays(wellfed: Wellfed, tiny: Path) -> None:
    folder = Path("/dev/shm")
    if not os.access(folder, os.W_OK):
        pytest.skip("no shared memory here")
    model = folder / f"wellfed-test-{os.getpid()}.gguf"
    model.write_bytes(tiny.read_bytes())
    try:
        done = wellfed(*wellfed.run(model, "-d"))
        assert done.returncode == 0, done.stderr
        assert wellfed("stop", "--all").returncode == 0
        assert model.exists()
    finally:
        model.unlink(missing_ok=True)


def test_dry_run_can_be_pasted(wellfed: Wellfed, tiny: Path) -> None:
    command = wellfed(*wellfed.run(tiny, "--dry-run")).stdout
    engine = subprocess.Popen(["sh", "-c", f"exec {command}"], stderr=subprocess.PIPE, text=True)
    try:
        assert engine.stderr is not None
        assert any("listening on" in line for line in engine.stderr)
        assert wellfed.ask("/health")["status"] == "ok"
    finally:
        engine.terminate()
        engine.communicate(timeout=20)


def test_key_is_asked_for_and_seen_nowhere(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "-d", "--host", "0.0.0.0"), WELLFED_API_KEY=SECRET)
    assert done.returncode == 0, done.stderr
    with pytest.raises(urllib.error.HTTPError) as refused:
        wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 1})
    assert refused.value.code == 401
    assert wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 1}, SECRET)["choices"]
    (engine,) = wellfed.engines()
    kept = b"".join(path.read_bytes() for path in (wellfed.folder / "state" / "wellfed").iterdir())
    assert SECRET.encode() not in kept + Path(f"/proc/{engine['pid']}/cmdline").read_bytes()
    assert SECRET not in done.stdout + done.stderr


@pytest.mark.parametrize("how", few([signal.SIGTERM, signal.SIGINT], 2))
def test_signals_while_serving_take_the_engine_along(wellfed: Wellfed, tiny: Path, how: signal.Signals) -> None:
    process = wellfed.start(*wellfed.run(tiny))
    pid = wellfed.pid_when_up()
    process.send_signal(how)
    assert process.wait(30) == {signal.SIGTERM: 143, signal.SIGINT: 130}[how]
    assert gone(pid)
    assert wellfed.engines() == []


def test_even_a_killed_wellfed_leaves_no_engine(wellfed: Wellfed, tiny: Path) -> None:
    process = wellfed.start(*wellfed.run(tiny))
    pid = wellfed.pid_when_up()
    process.kill()
    process.wait(30)
    assert gone(pid)


def test_terminated_while_loading(wellfed: Wellfed, tiny: Path, slow: Path) -> None:
    process = wellfed.start(*wellfed.run(tiny, "--program", str(slow)))
    pid = int(_first_word_of(slow.with_name("pid")))
    process.terminate()
    assert process.wait(30) == 143
    assert gone(pid)
    assert wellfed.engines() == []


def test_killed_engine_is_told(wellfed: Wellfed, tiny: Path) -> None:
    process = wellfed.start(*wellfed.run(tiny))
    os.kill(wellfed.pid_when_up(), signal.SIGKILL)
    _, said = process.communicate(timeout=30)
    assert process.returncode == 2
    assert "killed (SIGKILL)" in said and "hint:" in said
    assert wellfed.engines() == []


def test_killed_engine_is_restarted_when_asked(wellfed: Wellfed, tiny: Path) -> None:
    process = wellfed.start(*wellfed.run(tiny, "--restart"))
    first = wellfed.pid_when_up()
    os.kill(first, signal.SIGKILL)
    second = wellfed.pid_when_up(other_than=first)
    assert wellfed.ask("/health")["status"] == "ok"
    process.terminate()
    _, said = process.communicate(timeout=30)
    assert "starting again in 1 s" in said
    assert gone(second)
    assert wellfed.engines() == []


def test_port_taken(wellfed: Wellfed, tiny: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", wellfed.port))
        other.listen()
        done = wellfed(*wellfed.run(tiny, "-d"))
    assert done.returncode == 2
    assert f"cannot listen on 127.0.0.1 port {wellfed.port}" in done.stderr and "--port" in done.stderr
    assert wellfed.engines() == []


def test_damaged_files_are_refused_before_anything_starts(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    whole = tiny.read_bytes()
    contents = {"cut": whole[:-4096], "empty": b"", "text": b"hello\n" * 999}
    for name, content in contents.items():
        (tmp_path / f"{name}.gguf").write_bytes(content)
    for name in [*contents, "missing"]:
        done = wellfed(*wellfed.run(tmp_path / f"{name}.gguf", "-d"))
        assert done.returncode == 2
        assert done.stderr.startswith("error: ") and "Traceback" not in done.stderr
    assert wellfed.engines() == []


def test_file_cut_while_it_is_loaded(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    """The engine itself meets the damage: its log is explained."""
    copy = tmp_path / "copy.gguf"
    copy.write_bytes(tiny.read_bytes())
    command = wellfed(*wellfed.run(copy, "--dry-run")).stdout
    copy.write_bytes(tiny.read_bytes()[:-4096])
    from wellfed.launch.failures import explain

    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode != 0
    assert explain(done.stderr, done.returncode)[0] == "the model file is truncated"


def test_other_addresses_need_a_key(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "-d", "--host", "0.0.0.0"))
    assert done.returncode == 2
    assert "--api-key" in done.stderr and "--insecure" in done.stderr
    assert wellfed(*wellfed.run(tiny, "--dry-run", "--host", "0.0.0.0", "--insecure")).returncode == 0


def test_another_quantisation_than_the_file_holds(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "--dry-run", "-q", "Q4_K_M"))
    assert done.returncode == 2 and "holds Q8_0, not Q4_K_M" in done.stderr


def test_more_than_the_memory_exits_with_1(wellfed: Wellfed) -> None:
    if int(Path("/proc/meminfo").read_text().split()[1]) > 600 * 2**20:
        pytest.skip("this machine has room for it")
    done = wellfed("run", "deepseek-r1", "-q", "q8_0", "--engine", "llama.cpp", "--dry-run")
    assert done.returncode == 1
    assert "short" in done.stderr and "llama" in done.stdout, "the nearest miss, with a warning"


def test_state_folder_that_cannot_be_written(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    done = wellfed(*wellfed.run(tiny, "-d"), XDG_STATE_HOME=str(tmp_path / "file"))
    assert done.returncode == 2 and "XDG_STATE_HOME" in done.stderr


@pytest.mark.root
def test_full_disk_starts_nothing(wellfed: Wellfed, tiny: Path, tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=8k", "none", str(disk)], check=False)
    if mounted.returncode != 0:
        pytest.skip("may not mount here")
    try:
        _fill(disk / "filler")
        done = wellfed(*wellfed.run(tiny, "-d"), XDG_STATE_HOME=str(disk))
        assert done.returncode == 2 and "No space left" in done.stderr
        with pytest.raises(OSError):
            wellfed.ask("/health")
    finally:
        subprocess.run(["umount", str(disk)], check=True)


@pytest.fixture
def slow(tmp_path: Path) -> Path:
    """An engine that never answers; it notes its pid."""
    from wellfed.engines.llamacpp import FLAGS

    program = tmp_path / "slow-server"
    pid = tmp_path / "pid"
    os.mkfifo(pid)
    program.write_text(
        f"#!/bin/sh\ncase $* in *--help*) echo '{' '.join(FLAGS)}'; exit;; esac\necho $$ > {pid}\nexec sleep 300\n"
    )
    program.chmod(0o755)
    return program


def _first_word_of(fifo: Path) -> str:
    return fifo.read_text().split()[0]


def _fill(path: Path) -> None:
    try:
        with path.open("wb", buffering=0) as file:
            while True:
                file.write(bytes(1024))
    except OSError:
        return
