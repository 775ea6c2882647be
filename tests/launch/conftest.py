"""A tiny model, a folder for everything that wellfed keeps, and the command line as a user calls it."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from wellfed.launch.process import free_port


@pytest.fixture(scope="session")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A GGUF of two megabytes with random weights."""
    from make_gguf import write  # tests/ is on the path: this folder is a package, tests/ is not

    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the embedded engine is not installed")
    return write(tmp_path_factory.mktemp("models") / "tiny.gguf", "tiny", "q8_0")


_KEPT = {".json", ".pages"}  # what is written down of an engine, and of the huge pages that it holds


class Wellfed:
    """The command line with state and data of its own."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.environment = {
            **os.environ,
            "XDG_STATE_HOME": str(folder / "state"),
            "XDG_DATA_HOME": str(folder / "data"),
            "NO_COLOR": "1",
        }
        self.port = free_port()

    def __call__(self, *words: str, **environment: str) -> subprocess.CompletedProcess[str]:
        """Run to its end."""
        return subprocess.run(
            [sys.executable, "-m", "wellfed", *words],
            env={**self.environment, **environment},
            capture_output=True,
            text=True,
            timeout=120,
            check=False,
        )

    def start(self, *words: str) -> subprocess.Popen[str]:
        """Leave it running."""
        return subprocess.Popen(
            [sys.executable, "-m", "wellfed", *words],
            env=self.environment,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, model: Path | str, *words: str) -> tuple[str, ...]:
        """The words of a small `run` on this fixture's port."""
        return ("run", str(model), "--context", "512", "--threads", "1", "--port", str(self.port), *words)

    def engines(self) -> list[dict[str, Any]]:
        """What `ps` knows."""
        found: list[dict[str, Any]] = json.loads(self("ps", "--json").stdout)["engines"]
        return found

    def ask(self, path: str, body: dict[str, Any] | None = None, key: str = "") -> Any:
        """One request to what was started."""
        key = key or self.key()
        headers = {"Content-Type": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"http://127.0.0.1:{self.port}{path}", data, headers)
        with urllib.request.urlopen(request, timeout=60) as response:
            return json.load(response)

    def key(self) -> str:
        """The key that was made for the engine; empty where there is none."""
        state = Path(self.environment["XDG_STATE_HOME"])
        return next((path.read_text().strip() for path in state.rglob("*.key")), "")

    def pid_when_up(self, other_than: int = 0, seconds: float = 60) -> int:
        """The engine's pid as soon as it serves."""
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            for path in (self.folder / "state" / "wellfed").glob("*.json"):
                record = json.loads(path.read_text())
                if record["phase"] == "serving" and record["pid"] != other_than:
                    return int(record["pid"])
            time.sleep(0.05)
        raise AssertionError("nothing was started")


def gone(pid: int, seconds: float = 15) -> bool:
    """Whether the process ends (a zombie of another parent has)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        try:
            text = Path(f"/proc/{pid}/stat").read_text()
        except OSError:
            return True
        if text.rpartition(")")[2].split()[0] == "Z":
            return True
        time.sleep(0.05)
    return False


@pytest.fixture
def wellfed(tmp_path: Path) -> Iterator[Wellfed]:
    """Whatever a test leaves running is stopped."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started in a shell's background: inherited otherwise
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:  # started under nohup: inherited otherwise
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    found = Wellfed(tmp_path)
    yield found
    if any(path.suffix in _KEPT for path in (tmp_path / "state").rglob("*")):
        found("stop", "--all")
