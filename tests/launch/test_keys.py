"""The API key: where it may come from, and everywhere it must not be found."""

from __future__ import annotations

import json
import subprocess
import sys
import urllib.error
from pathlib import Path

import pytest

from launch.conftest import Wellfed, gone
from samples import few
from wellfed.engines.exports import EXPORTS
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.errors import BadInput
from wellfed.launch import state
from wellfed.launch.key_file import forget_key, key_words, path_beside
from wellfed.launch.process import free_port
from wellfed.launch.service import end, serve
from wellfed.nouns.layout import Engine

SECRET = "sk-never-to-be-seen"
# As SGLang does, this takes its key from a YAML file that --config names.
BY_FILE = """
import http.server, json, sys
words = sys.argv[2:]
path = words[words.index("--config") + 1]
text = open(path).read()
print("mode", oct(__import__("os").stat(path).st_mode & 0o777), flush=True)
key = json.loads(text.removeprefix("api-key: "))
class Server(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        allowed = self.path == "/health" or self.headers["Authorization"] == "Bearer " + key
        self.send_response(200 if allowed else 401); self.end_headers()
    def log_message(self, *words): pass
http.server.HTTPServer(("127.0.0.1", int(sys.argv[1])), Server).serve_forever()
"""


@pytest.fixture
def key_file(tmp_path: Path) -> Path:
    """A file with the key, of its owner alone."""
    path = tmp_path / "key"
    path.write_text(SECRET + "\n")
    path.chmod(0o600)
    return path


def everything_kept(wellfed: Wellfed) -> bytes:
    """State, logs and data that wellfed wrote."""
    return b"".join(path.read_bytes() for path in wellfed.folder.rglob("*") if path.is_file() and path.name != "key")


@pytest.mark.engine
def test_a_key_in_a_file_is_seen_nowhere_else(wellfed: Wellfed, tiny: Path, key_file: Path) -> None:
    process = wellfed.start(*wellfed.run(tiny, "--host", "0.0.0.0", "--api-key-file", str(key_file)))
    pid = wellfed.pid_when_up()
    lines = [Path(f"/proc/{one}/cmdline").read_bytes() for one in (pid, process.pid)]
    with pytest.raises(urllib.error.HTTPError) as refused:
        wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 1})
    assert refused.value.code == 401
    assert wellfed.ask("/v1/completions", {"prompt": "time", "max_tokens": 1}, SECRET)["choices"]
    process.terminate()
    out, err = process.communicate(timeout=30)
    assert gone(pid)
    assert SECRET.encode() not in b"".join(lines) + everything_kept(wellfed)
    assert SECRET not in out + err and "warning" not in err
    logs = (wellfed.folder / "state" / "wellfed").glob("*.log")
    assert [log.stat().st_mode & 0o077 for log in logs] == [0]


def test_keys_come_from_standard_input_too(wellfed: Wellfed, tiny: Path) -> None:
    words = [sys.executable, "-m", "wellfed", *wellfed.run(tiny, "--dry-run", "--api-key-file", "-")]
    done = subprocess.run(
        words, input=SECRET, env=wellfed.environment, text=True, capture_output=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    assert 'LLAMA_API_KEY="$LLAMA_API_KEY"' in done.stdout and SECRET not in done.stdout + done.stderr


def test_a_key_on_the_command_line_is_warned_of(wellfed: Wellfed, tiny: Path, key_file: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "--dry-run", "--api-key", SECRET))
    assert done.returncode == 0 and "`ps`" in done.stderr and SECRET not in done.stdout + done.stderr
    both = wellfed(*wellfed.run(tiny, "--dry-run", "--api-key", SECRET, "--api-key-file", str(key_file)))
    assert both.returncode == 2 and "one of them" in both.stderr
    quiet = wellfed(*wellfed.run(tiny, "--dry-run"), WELLFED_API_KEY=SECRET)
    assert "warning" not in quiet.stderr


@pytest.mark.parametrize("content", few(["", "\n", "two words", "a\nb", "schlüssel", "x\x00y"], 2, ascii))
def test_keys_that_nobody_can_send_are_refused(wellfed: Wellfed, tiny: Path, key_file: Path, content: str) -> None:
    key_file.write_text(content)
    done = wellfed(*wellfed.run(tiny, "--dry-run", "--api-key-file", str(key_file)))
    assert done.returncode == 2 and "API key" in done.stderr and "hint:" in done.stderr


def test_key_files_that_are_open_or_missing(wellfed: Wellfed, tiny: Path, key_file: Path, tmp_path: Path) -> None:
    key_file.chmod(0o644)
    done = wellfed(*wellfed.run(tiny, "--dry-run", "--api-key-file", str(key_file)))
    assert done.returncode == 0 and "chmod 600" in done.stderr
    done = wellfed(*wellfed.run(tiny, "--dry-run", "--api-key-file", str(tmp_path / "none")))
    assert done.returncode == 2 and "cannot read the key" in done.stderr


@pytest.mark.parametrize("form", few(sorted(EXPORTS), 3))
def test_exports_refer_to_it(wellfed: Wellfed, tiny: Path, key_file: Path, form: str) -> None:
    done = wellfed(*wellfed.run(tiny, "--export", form, "--api-key-file", str(key_file)))
    if form == "ray":
        assert done.returncode == 2 and "does not run over Ray" in done.stderr
        return
    assert done.returncode == 0, done.stderr
    assert "LLAMA_API_KEY" in done.stdout and SECRET not in done.stdout + done.stderr


def test_engines_that_read_no_variable_get_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    port = free_port()
    spec = LaunchSpec(
        Engine.SGLANG,
        (sys.executable, "-c", BY_FILE, str(port)),
        Endpoint(port=port, api_key=SECRET),
        secrets={"SGLANG_API_KEY": SECRET},
        key_flag="--config",
    )
    running = serve(spec, "m", 30).running
    try:
        process = Path(f"/proc/{running.pid}")
        assert (
            SECRET.encode() not in process.joinpath("cmdline").read_bytes() + process.joinpath("environ").read_bytes()
        )
        assert "mode 0o600" in Path(running.log).read_text()
        kept = [path for path in (tmp_path / "wellfed").iterdir() if SECRET in path.read_text()]
        assert kept == []  # read and removed
        assert "WELLFED_KEY_FILE" in running.command and SECRET not in json.dumps(running.command)
    finally:
        end(running)


def test_an_engine_that_fails_leaves_no_key_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    port = free_port()
    spec = LaunchSpec(
        Engine.SGLANG,
        (sys.executable, "-c", "raise SystemExit(3)"),
        Endpoint(port=port, api_key=SECRET),
        secrets={"SGLANG_API_KEY": SECRET},
        key_flag="--config",
    )
    with pytest.raises(Exception, match="exited with status 3"):
        serve(spec, "m", 30)
    assert not any(SECRET in path.read_text() for path in state.folder().iterdir())
    assert [path.name for path in state.folder().iterdir()] == ["m.log"]


def test_a_disk_that_refuses_ends_no_engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What cannot be removed is emptied; what cannot be written is an error of ours."""
    spec = LaunchSpec(
        Engine.SGLANG, ("engine",), Endpoint("127.0.0.1", 1), secrets={"KEY": SECRET}, key_flag="--config"
    )
    log = tmp_path / "m.log"
    assert key_words(spec, log) == ("--config", str(path_beside(log)))

    def refuse(*words: object, **named: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(Path, "unlink", refuse)
    forget_key(log)
    assert path_beside(log).read_text() == ""
    with pytest.raises(BadInput, match="cannot write"):
        key_words(spec, log)
