"""Starting, waiting, explaining, stopping: with real processes."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from wellfed.engines.spec import Binding, Endpoint, LaunchSpec, MemoryPolicy
from wellfed.launch import state
from wellfed.launch.failures import explain
from wellfed.launch.life import Phase
from wellfed.launch.process import EngineFailed, start, stop, wait_ready
from wellfed.launch.proof import numa_pages, placement
from wellfed.launch.service import end, serve
from wellfed.nouns.layout import Engine

SERVER = """
import http.server, os, subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(300)"])
print(child.pid, flush=True)
class Ok(http.server.BaseHTTPRequestHandler):
    def do_GET(self): self.send_response(200); self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Ok).serve_forever()
"""


def free_port() -> int:
    """A port that nothing listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serving(code: str = SERVER, binding: Binding = Binding()) -> LaunchSpec:
    """A small program in an engine's place."""
    port = free_port()
    return LaunchSpec(Engine.LLAMA_CPP, (sys.executable, "-c", code, str(port)), Endpoint(port=port), binding=binding)


def gone(pid: int) -> bool:
    """Whether the process ended (a zombie of another parent has)."""
    try:
        text = Path(f"/proc/{pid}/stat").read_text()
    except OSError:
        return True
    return text.rpartition(")")[2].split()[0] == "Z"


def test_starts_answers_and_leaves_no_orphan(tmp_path: Path) -> None:
    engine = start(serving(), tmp_path / "log")
    assert wait_ready(engine, 30) > 0
    child = int((tmp_path / "log").read_text().split()[0])
    assert stop(engine.pid)
    for _ in range(50):
        if gone(child):
            break
        time.sleep(0.05)
    assert gone(child)


def test_stubborn_engine_is_killed(tmp_path: Path) -> None:
    code = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print('up', flush=True); time.sleep(300)"
    )
    engine = start(serving(code), tmp_path / "log")
    while "up" not in engine.log_tail():
        time.sleep(0.02)
    assert stop(engine.pid, grace_s=0.3)
    assert engine.ended() is not None or gone(engine.pid)


def test_port_in_use_is_said_before_anything_starts(tmp_path: Path) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", 0))
        other.listen()
        spec = LaunchSpec(Engine.LLAMA_CPP, ("true",), Endpoint(port=other.getsockname()[1]))
        with pytest.raises(EngineFailed, match="cannot listen"):
            start(spec, tmp_path / "log")


def test_missing_program(tmp_path: Path) -> None:
    spec = LaunchSpec(Engine.LLAMA_CPP, ("no-such-engine-program",), Endpoint(port=free_port()))
    with pytest.raises(EngineFailed, match="cannot start no-such-engine-program"):
        start(spec, tmp_path / "log")


def test_killed_engine_is_noticed(tmp_path: Path) -> None:
    engine = start(serving(), tmp_path / "log")
    wait_ready(engine, 30)
    os.kill(engine.pid, signal.SIGKILL)
    engine.popen.wait(10)
    assert "SIGKILL" in engine.failure().message
    stop(engine.pid)


def test_engine_that_dies_while_loading_is_explained(tmp_path: Path) -> None:
    code = "import sys; sys.exit('ggml_backend_cuda: cudaMalloc failed: out of memory')"
    engine = start(serving(code), tmp_path / "log")
    with pytest.raises(EngineFailed, match="GPU ran out of memory"):
        wait_ready(engine, 30)


def test_too_slow_engine_times_out(tmp_path: Path) -> None:
    engine = start(serving("import time; time.sleep(300)"), tmp_path / "log")
    with pytest.raises(EngineFailed, match="did not answer"):
        wait_ready(engine, 0.5)
    assert stop(engine.pid)


@pytest.mark.skipif(not hasattr(os, "sched_setaffinity"), reason="needs Linux")
def test_binding_holds_in_the_engine(tmp_path: Path) -> None:
    cpu = sorted(os.sched_getaffinity(0))[0]
    engine = start(serving(binding=Binding((cpu,), (0,), MemoryPolicy.BIND)), tmp_path / "log")
    try:
        if engine.popen.poll() == 125:
            pytest.skip("the kernel refuses memory policies here")
        wait_ready(engine, 30)
        assert placement(engine.pid).cpus == (cpu,)
    finally:
        stop(engine.pid)


def test_binding_refused_is_said(tmp_path: Path) -> None:
    engine = start(serving(binding=Binding((100_000,))), tmp_path / "log")
    with pytest.raises(EngineFailed, match="refused the binding"):
        wait_ready(engine, 30)


def test_numa_pages_are_added_by_node() -> None:
    text = (
        "7f00 default file=/m.gguf mapped=3 N0=2 N1=1 kernelpagesize_kB=4\n"
        "7f01 bind:1 anon=2 N1=2 kernelpagesize_kB=2048\n"
    )
    assert numa_pages(text) == {0: 8192, 1: 4096 + 2 * 2048 * 1024}


def test_placement_of_nobody_is_unknown(tmp_path: Path) -> None:
    found = placement(1, proc=tmp_path)
    assert found.cpus is None and found.resident_bytes is None and found.share_on((0,)) is None


def test_state_survives_damage_and_reused_pids(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    running = state.reserve("a", url="http://x")
    stranger = subprocess.Popen(["sleep", "60"])
    state.advance(running, Phase.SERVING, pid=stranger.pid, ticks=1)
    (tmp_path / "wellfed" / "broken.json").write_text('{"name": "half')
    (found,) = state.listed()
    assert found.name == "a" and found.status is Phase.ENDED
    assert not found.alive  # a pid that runs, but not the process that was started then
    assert [bad.name for bad in state.records().unreadable] == ["broken"]
    assert end(found) and stranger.poll() is None
    stranger.kill()
    stranger.wait()
    assert list(state.listed()) == []


@pytest.mark.parametrize(
    ("log", "part"),
    [
        ("torch.OutOfMemoryError: CUDA out of memory. Tried to allocate", "GPU ran out"),
        ("error loading model: unknown model architecture: 'foo9'", "does not know"),
        ("tensor 'x' data is not within the file bounds, model is corrupted or incomplete", "truncated"),
        ("nothing of note", "exited with status 3"),
    ],
)
def test_logs_are_explained(log: str, part: str) -> None:
    assert part in explain(log, 3)[0]


def test_what_an_engine_started_goes_even_when_the_engine_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    running = serve(serving(), "m", 30).running
    child = int(Path(running.log).read_text().split()[0])
    os.kill(running.pid, signal.SIGKILL)
    while running.alive:
        time.sleep(0.02)
    assert not gone(child)
    assert end(running)
    for _ in range(100):
        if gone(child):
            break
        time.sleep(0.05)
    assert gone(child)
