"""The key that wellfed makes for an engine: asked for, known to its own, closed to others; and what `--` refuses."""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from pathlib import Path

import pytest

from launch.conftest import Wellfed
from wellfed.errors import BadInput
from wellfed.launch.extra_flags import ensure_not_ours


@pytest.mark.engine
def test_a_made_key_is_asked_for_and_known(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "-d"))
    assert done.returncode == 0, done.stderr
    (engine,) = wellfed.engines()
    assert f'OPENAI_API_KEY="$(cat {engine["key_file"]})"' in done.stderr
    key = Path(engine["key_file"]).read_text().strip()
    assert len(key) >= 32 and key not in done.stderr + done.stdout + json.dumps(engine) + wellfed("ps").stdout
    base = f"http://127.0.0.1:{wellfed.port}"
    for path in ("/v1/completions", "/slots", "/metrics"):
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(base + path, timeout=10)
        assert refused.value.code in (401, 404, 405), path
    asked = urllib.request.Request(f"{base}/health", headers={"Origin": "http://evil.example"})
    with urllib.request.urlopen(asked, timeout=10) as health:
        assert health.status == 200 and "evil" not in str(health.headers)
    measured = wellfed("bench", "engine", base, "--prompt", "16", "--output", "32", "--requests", "2", "--json")
    assert measured.returncode in (0, 1) and '"scenario"' in measured.stdout  # random weights may make half letters
    assert key not in measured.stdout + measured.stderr, measured.stderr
    watched = wellfed("watch", "--url", base, "--once", "--json")
    assert json.loads(watched.stdout)["engine"]["kind"] == "llama.cpp", watched.stdout
    assert wellfed("stop", "--all").returncode == 0
    assert not Path(engine["key_file"]).exists()


@pytest.mark.engine
def test_no_key_with_a_word(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "-d", "--no-key"))
    assert done.returncode == 0 and "OPENAI_API_KEY" not in done.stderr
    assert wellfed.key() == "" and wellfed.ask("/v1/models")["data"]


def test_no_key_is_not_for_other_addresses(wellfed: Wellfed, tiny: Path) -> None:
    done = wellfed(*wellfed.run(tiny, "--dry-run", "--no-key", "--host", "0.0.0.0"))
    assert done.returncode == 2 and "no API key" in done.stderr
    done = wellfed(*wellfed.run(tiny, "--dry-run", "--no-key", "--api-key", "x"))
    assert done.returncode == 2 and "one of them" in done.stderr


@pytest.mark.parametrize(
    "word",
    ["--host", "--host=0.0.0.0", "--HOST", "--port", "--api-key", "--api_key=x", "--api-key-file", "-host", "--hos",
     "--por", "--uds", "--config", "--ssl-key-file", "--api-k=z", "--api_ke", "--ssl-key", "--admin-api"],
)  # fmt: skip
def test_flags_of_address_and_key_are_refused(word: str) -> None:
    with pytest.raises(BadInput, match="cannot stand behind --"):
        ensure_not_ours(("--mlock", word, "0.0.0.0"))


@pytest.mark.parametrize(
    "word", ["--mlock", "--no-mmap", "-v", "--override-tensor", "0.0.0.0", "--poll", "--p", "--model", "--models-dir"]
)
def test_other_flags_go_through(word: str) -> None:
    ensure_not_ours((word,))


def test_refused_at_the_command_line_too(wellfed: Wellfed, tiny: Path) -> None:
    for more in (("--dry-run",), ("--export", "systemd"), ("-d",)):
        done = wellfed(*wellfed.run(tiny, *more, "--", "--host", "0.0.0.0"))
        assert done.returncode == 2 and "--host" in done.stderr, done.stderr
