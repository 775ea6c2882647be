"""The order in which a name is looked up: path, exact, local hub caches, hub, loose."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from wellfed.errors import BadInput, UnknownName, Unsupported
from wellfed.identity import How, identify
from wellfed.modelfiles.local_caches import base_in_card

TINY = {
    "model_type": "qwen3", "hidden_size": 64, "num_hidden_layers": 2, "num_attention_heads": 4,
    "num_key_value_heads": 2, "head_dim": 16, "intermediate_size": 128, "vocab_size": 1000,
    "max_position_embeddings": 4096,
}  # fmt: skip
CARD = "---\nlicense: mit\nbase_model:\n- Qwen/Qwen3-8B\ntags: [gguf]\n---\n# A model\n"


@pytest.fixture
def caches(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Empty local hub caches; no hub is to be asked."""
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hf"))
    monkeypatch.setenv("MODELSCOPE_CACHE", str(tmp_path / "ms"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    return tmp_path


def snapshot(caches: Path, repository: str, files: Mapping[str, str]) -> Path:
    """The repository in Hugging Face's cache."""
    folder = caches / "hf" / f"models--{repository.replace('/', '--')}"
    (folder / "refs").mkdir(parents=True)
    (folder / "refs" / "main").write_text("a" * 40)
    held = folder / "snapshots" / ("a" * 40)
    held.mkdir(parents=True)
    for name, content in files.items():
        (held / name).write_text(content)
    return held


def test_a_path_comes_first(caches: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (caches / "deepseek-r1").mkdir()
    (caches / "deepseek-r1" / "config.json").write_text(json.dumps(TINY))
    monkeypatch.chdir(caches)
    named = identify("deepseek-r1")
    assert named.how is How.PATH and named.model is not None and named.model.parameters < 1e6


def test_a_file_that_is_not_there_is_read_as_a_name_and_told(caches: Path) -> None:
    named = identify("/models/Qwen3-14B-Q6_K.gguf")
    assert (named.id, named.how) == ("qwen3-14b", How.EXACT)
    assert any("no file" in assumption.text and assumption.reading for assumption in named.assumptions)
    with pytest.raises(UnknownName):
        identify("/models/nobody-knows-this.gguf")


def test_an_exact_name_needs_no_cache(caches: Path) -> None:
    snapshot(caches, "Qwen/Qwen3-8B", {"config.json": json.dumps(TINY)})
    assert identify("Qwen/Qwen3-8B").how is How.EXACT


def test_a_cached_repository_is_what_it_holds(caches: Path) -> None:
    snapshot(caches, "somebody/Qwen3-8B-Instruct", {"config.json": json.dumps(TINY)})
    named = identify("somebody/Qwen3-8B-Instruct", hub="huggingface")
    assert named.how is How.CACHE and named.model is not None and named.model.parameters < 1e6


def test_modelscope_writes_dots_in_its_own_way(caches: Path) -> None:
    folder = caches / "ms" / "models" / "somebody" / "Model-1___5B"
    folder.mkdir(parents=True)
    (folder / "config.json").write_text(json.dumps(TINY))
    assert identify("somebody/Model-1.5B").how is How.CACHE


def test_a_cached_card_tells_the_base(caches: Path) -> None:
    held = snapshot(caches, "packer/Some-Tune-GGUF", {"README.md": CARD})
    (held / "one.gguf").write_bytes(b"GGUF")  # damaged: what it is can be told by its card alone
    named = identify("packer/Some-Tune-GGUF Q8_0")
    assert (named.id, named.how) == ("qwen3-8b", How.CACHE)
    assert named.quantisation is not None and named.quantisation.id == "q8_0"
    assert all(assumption.reading for assumption in named.assumptions) and named.assumptions


def test_a_loose_name_comes_last_and_is_told(caches: Path) -> None:
    named = identify("packer/Qwen3-8B-GGUF", hub="huggingface")
    assert (named.id, named.how) == ("qwen3-8b", How.LOOSE)
    assert any("HF_HUB_OFFLINE" in assumption.text for assumption in named.assumptions)
    with pytest.raises(UnknownName) as refusal:
        identify("packer/Another-8B-GGUF", hub="huggingface")
    assert "HF_HUB_OFFLINE" in refusal.value.details


@pytest.mark.parametrize(
    ("text", "base"),
    [
        (CARD, "Qwen/Qwen3-8B"),
        ("---\nbase_model: a/b\n---\n", "a/b"),
        ("---\nbase_model: 'a/b.c'\n---\n", "a/b.c"),
        ("---\nbase_model:\n  - a/b\n  - c/d\n---\n", "a/b"),
        ("\ufeff---\r\nbase_model: a/b\r\n---\r\n", "a/b"),
        ("---\nlicense: mit\n---\nbase_model: a/b\n", None),
        ("base_model: a/b", None),
        ("", None),
    ],
)
def test_base_models_in_cards(text: str, base: str | None) -> None:
    assert base_in_card(text) == base


def test_formats_and_sizes_alone_are_not_planned(caches: Path) -> None:
    with pytest.raises(Unsupported) as refusal:
        identify("Qwen3-8B ONNX").planned()
    assert "ONNX" in refusal.value.message
    with pytest.raises(BadInput):
        identify(str(caches / "absent" / "config.json"))


class Hub:
    """A hub on the loopback: files by repository, or silence."""

    def __init__(self, files: Mapping[str, bytes], silent: bool = False) -> None:
        self.requests: list[str] = []
        self.never = threading.Event()
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_HEAD(self) -> None:
                self.answer(False)

            def do_GET(self) -> None:
                self.answer(True)

            def answer(self, body: bool) -> None:
                hub.requests.append(self.path)
                if silent:
                    hub.never.wait(30)
                    return
                owner, name, _, _, file = self.path.lstrip("/").split("/", 4)
                content = files.get(f"{owner}/{name}/{file}")
                self.send_response(404 if content is None else 200)
                if content is None:
                    self.send_header("X-Error-Code", "EntryNotFound")
                self.send_header("ETag", '"1"')
                self.send_header("X-Repo-Commit", "b" * 40)
                self.send_header("Content-Length", str(len(content or b"")))
                self.end_headers()
                if body:
                    self.wfile.write(content or b"")

            def log_message(self, format: str, *words: object) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.thread = threading.Thread(target=self.server.serve_forever, daemon=True)

    def __enter__(self) -> Hub:
        self.thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.never.set()
        self.server.shutdown()
        self.server.server_close()

    def resolve(self, home: Path, *words: str, **environment: str) -> list[dict[str, Any]]:
        """What `wellfed resolve` says with this hub."""
        env = {
            k: v
            for k, v in os.environ.items()
            if k not in {"HF_HUB_OFFLINE", "HF_HUB_CACHE", "HTTP_PROXY", "http_proxy"}
        }
        env |= {"HF_ENDPOINT": f"http://127.0.0.1:{self.server.server_address[1]}", "HF_HOME": str(home), **environment}
        command = [sys.executable, "-m", "wellfed", "resolve", *words, "--json"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, env=env)
        return list(json.loads(done.stdout)["names"])


@pytest.fixture
def hub() -> Iterator[Hub]:
    """A hub with a config, and with a repackaging that has only a card."""
    files = {
        "somebody/Fresh-1B/config.json": json.dumps(TINY).encode(),
        "packer/Some-Tune-GGUF/README.md": CARD.encode(),
        "somebody/Strange-1B/config.json": json.dumps({"model_type": "strange"}).encode(),
    }
    with Hub(files) as serving:
        yield serving


def test_the_hub_tells_what_a_repository_is(hub: Hub, tmp_path: Path) -> None:
    fresh, packed, strange = hub.resolve(
        tmp_path, "https://huggingface.co/somebody/Fresh-1B", "packer/Some-Tune-GGUF", "somebody/Strange-1B", "--hub"
    )
    assert fresh["how"] == "hub" and fresh["parameters"] < 1e6
    assert (packed["id"], packed["how"]) == ("qwen3-8b", "hub") and packed["assumptions"]
    assert strange["error"]["kind"] == "unsupported"


def test_no_hub_is_asked_unless_told(hub: Hub, tmp_path: Path) -> None:
    (answer,) = hub.resolve(tmp_path, "somebody/Fresh-1B")
    (offline,) = hub.resolve(tmp_path, "somebody/Fresh-1B", "--hub", HF_HUB_OFFLINE="1")
    (loose,) = hub.resolve(tmp_path, "qwen3 8b", "--hub")
    assert answer["error"]["kind"] == offline["error"]["kind"] == "unknown"
    assert loose["id"] == "qwen3-8b"
    assert hub.requests == []


def test_a_silent_hub_is_told_and_the_name_is_read(tmp_path: Path) -> None:
    with Hub({}, silent=True) as silent:
        (answer,) = silent.resolve(tmp_path, "packer/Qwen3-8B-GGUF", "--hub")
    assert (answer["id"], answer["how"]) == ("qwen3-8b", "loose")
    assert any("did not answer" in assumption["text"] for assumption in answer["assumptions"])
