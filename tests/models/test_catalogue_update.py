"""`wellfed catalog update` against a stub hub that answers as the real ones do."""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from click.testing import CliRunner

from samples import few
from wellfed.catalog import model_tables, models
from wellfed.catalog.hub_listing import HuggingFace, ModelScope, Withheld
from wellfed.catalog.model_names import model
from wellfed.catalog.update import update
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.resolution import Resolved, resolve

TODAY = date(2026, 11, 29)
NEW = {
    "architectures": ["Qwen3ForCausalLM"],
    "model_type": "qwen3",
    "hidden_size": 1024,
    "num_hidden_layers": 28,
    "num_attention_heads": 16,
    "num_key_value_heads": 8,
    "head_dim": 128,
    "intermediate_size": 3072,
    "vocab_size": 151936,
    "tie_word_embeddings": True,
    "max_position_embeddings": 65536,
    "rms_norm_eps": 1e-06,
    "torch_dtype": "bfloat16",
    "transformers_version": "4.57.0",
    "eos_token_id": 151645,
}
_KNOWN = {**NEW, "max_position_embeddings": 40960}


class Stub:
    """What the hub holds and what it was asked. `script`: answers given once each, before the usual one."""

    def __init__(self) -> None:
        self.lists: dict[str, list[dict[str, Any]]] = {}
        self.files: dict[str, Any] = {}
        self.script: dict[str, list[tuple[int, dict[str, str], bytes]]] = {}
        self.requests: list[tuple[str, str | None]] = []
        self.url = ""
        self.cut: dict[str, int] = {}  # path: how often its body breaks off
        self.page = 2


@contextmanager
def serving(stub: Stub) -> Iterator[Stub]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None: ...

        def do_GET(self) -> None:
            self._answer(*self._get())

        def do_PUT(self) -> None:
            body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            stub.requests.append((self.path, None))
            listed = stub.lists.get("modelscope", [])
            start = (body["PageNumber"] - 1) * body["PageSize"]
            rows = listed[start : start + body["PageSize"]]
            answer = {"Code": 200, "Data": {"Model": {"Models": rows, "TotalCount": len(listed)}}, "Success": True}
            self._answer(200, {}, json.dumps(answer).encode())

        def _get(self) -> tuple[int, dict[str, str], bytes]:
            stub.requests.append((self.path, self.headers.get("Authorization")))
            parts = urlsplit(self.path)
            if stub.script.get(parts.path):
                return stub.script[parts.path].pop(0)
            if parts.path == "/api/models":
                return self._list({key: values[0] for key, values in parse_qs(parts.query).items()})
            if "/resolve/main/" in parts.path and not parts.path.startswith("/cdn"):
                return 307, {"Location": f"/cdn{parts.path}?Expires=1&Signature=x"}, b"Temporary Redirect"
            path = parts.path.removeprefix("/cdn") if parts.path.startswith("/cdn") else self.path
            content = stub.files.get(path)
            if content is None:
                return 404, {"X-Error-Code": "EntryNotFound"}, b"Entry not found"
            return 200, {}, content if isinstance(content, bytes) else json.dumps(content).encode()

        def _list(self, query: dict[str, str]) -> tuple[int, dict[str, str], bytes]:
            rows = stub.lists.get(query["pipeline_tag"], [])
            start = int(query.get("cursor", "0"))
            headers = {}
            if start + stub.page < len(rows):  # a mirror's links name the hub itself
                following = (
                    f"https://huggingface.co/api/models?pipeline_tag={query['pipeline_tag']}&cursor={start + stub.page}"
                )
                headers["Link"] = f'<{following}>; rel="next"'
            return 200, headers, json.dumps(rows[start : start + stub.page]).encode()

        def _answer(self, status: int, headers: dict[str, str], body: bytes) -> None:
            short = stub.cut.get(self.path.partition("?")[0], 0)
            if short:
                stub.cut[self.path.partition("?")[0]] -= 1
            self.send_response(status)
            for key, value in headers.items():
                self.send_header(key, value)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body[: len(body) // 2] if short else body)
            if short:
                self.close_connection = True

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    stub.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield stub
    finally:
        server.shutdown()
        server.server_close()


def listed(repository: str, total: int | None = None, gated: object = False) -> dict[str, Any]:
    tensors = {"safetensors": {"parameters": {"BF16": total}, "total": total}} if total else {}
    return {"_id": "x", "id": repository, "gated": gated, "downloads": 10, **tensors}


def config_path(repository: str) -> str:
    return f"/{repository}/resolve/main/config.json"


@pytest.fixture(scope="module")
def bundled(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache that has the bundled catalogue compiled, as after a first use."""
    cache = tmp_path_factory.mktemp("compiled")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_DATA_HOME", str(cache / "nobodys"))
        patch.setenv("XDG_CACHE_HOME", str(cache))
        forget()
        model_tables.names()
    forget()
    return cache


@pytest.fixture
def hub(tmp_path: Path, bundled: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stub]:
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(shutil.copytree(bundled, tmp_path / "cache")))
    for name in ("HF_HUB_OFFLINE", "HF_TOKEN", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.delenv(name, raising=False)
    forget()
    with serving(Stub()) as stub:
        yield stub
    monkeypatch.undo()
    forget()


def forget() -> None:
    """What the catalogue read before."""
    for room in (models, model_tables):
        for value in vars(room).values():
            if hasattr(value, "cache_clear"):
                value.cache_clear()
    from wellfed.catalog import name_match

    for value in vars(name_match).values():
        if hasattr(value, "cache_clear"):
            value.cache_clear()


def test_pages_redirects_new_models_and_changed_ones(hub: Stub) -> None:
    hub.lists["text-generation"] = [
        listed("acme/Acme-Chat-1B", 596_049_920),
        listed("Qwen/Qwen3-0.6B", 751_632_384),
        listed("acme/Acme-Long-1B", 596_049_920),
    ]
    for repository, config in (("acme/Acme-Chat-1B", NEW), ("Qwen/Qwen3-0.6B", NEW), ("acme/Acme-Long-1B", NEW)):
        hub.files[config_path(repository)] = config
    made = update(HuggingFace(hub.url), 10, TODAY)
    assert made.new == ["acme-chat-1b", "acme-long-1b"]  # the third is on the second page
    assert made.changed == ["qwen3-0.6b"]
    forget()
    assert models.by_id("qwen3-0.6b").context_limit == 65536
    assert models.entry("qwen3-0.6b").tags  # names of the bundled entry are kept
    chat = models.entry("acme-chat-1b")
    assert (chat.source.date, chat.repository) == ("2026-11-29", "acme/Acme-Chat-1B")
    assert chat.parameters == models.by_id("acme-chat-1b").parameters == 596_049_920
    assert "rms_norm_eps" not in str(model_tables.table("acme-chat-1b"))  # facts of the architecture only
    assert model("Acme-Chat-1B").id == "acme-chat-1b"


def test_the_index_tells_the_bytes_of_the_files(hub: Stub) -> None:
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920), listed("acme/Odd-7B", 7_000_000_000)]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    hub.files[config_path("acme/Odd-7B")] = {"model_type": "odd_kind", "hidden_size": 64}
    for repository, size in (("acme/Acme-Chat-1B", 1_192_135_096), ("acme/Odd-7B", 14_000_000_123)):
        path = f"/{repository}/resolve/main/model.safetensors.index.json"
        hub.files[path] = {"metadata": {"total_size": size}, "weight_map": {"model.norm.weight": "model-1.safetensors"}}
    assert update(HuggingFace(hub.url), 10, TODAY).new == ["acme-chat-1b", "odd-7b"]
    forget()
    chat, odd, other = resolve(["acme-chat-1b", "acme/Odd-7B", "acme-chat-1b Q8_0"])
    assert isinstance(chat, Resolved) and (chat.weight_bytes, chat.weight_bytes_range) == (1_192_135_096, None)
    assert isinstance(odd, Resolved) and (odd.weight_bytes, odd.weight_bytes_range) == (14_000_000_123, None)
    assert isinstance(other, Resolved) and other.weight_bytes and other.weight_bytes < 700_000_000


@pytest.mark.parametrize(
    "index", few([{"metadata": None}, {"metadata": {"total_size": -5}}, {"metadata": {"total_size": 1e30}}, []], 2)
)
def test_an_index_that_says_nothing_changes_nothing(hub: Stub, index: object) -> None:
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920)]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    hub.files["/acme/Acme-Chat-1B/resolve/main/model.safetensors.index.json"] = index
    assert update(HuggingFace(hub.url), 10, TODAY).new == ["acme-chat-1b"]
    forget()
    assert models.entry("acme-chat-1b").weight_bytes is None


def test_what_is_as_known_is_not_written(hub: Stub) -> None:
    hub.lists["text-generation"] = [listed("Qwen/Qwen3-0.6B", 751_632_384)]
    hub.files[config_path("Qwen/Qwen3-0.6B")] = _KNOWN
    made = update(HuggingFace(hub.url), 10, TODAY)
    assert (made.new, made.changed, made.unchanged, made.path) == ([], [], 1, None)
    assert not model_tables.user_folder().exists()


def test_repackagings_of_known_models_are_no_new_models(hub: Stub) -> None:
    hub.lists["text-generation"] = [listed("somebody/Qwen3-0.6B", 1)]
    assert update(HuggingFace(hub.url), 10, TODAY).new == []


def test_an_unknown_architecture_is_an_entry_of_sizes(hub: Stub) -> None:
    hub.lists["text-generation"] = [listed("acme/Odd-7B", 7_000_000_000), listed("acme/Odd-Unsized")]
    for repository in ("acme/Odd-7B", "acme/Odd-Unsized"):
        hub.files[config_path(repository)] = {"model_type": "odd_kind", "hidden_size": 64}
    made = update(HuggingFace(hub.url), 10, TODAY)
    assert made.new == ["odd-7b"]
    assert [repository for repository, _ in made.left_out] == ["acme/Odd-Unsized"]
    forget()
    assert not models.entry("odd-7b").has_config
    assert models.entry("odd-7b").total_parameters == 7e9


@pytest.mark.parametrize(("status", "reason"), [(401, "gated"), (403, "gated"), (404, "no-file"), (500, "http")])
def test_files_that_are_not_given_leave_one_model_out(hub: Stub, status: int, reason: str) -> None:
    hub.lists["text-generation"] = [listed("acme/Gated-1B", gated="manual"), listed("acme/Acme-Chat-1B", 596_049_920)]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    hub.script[config_path("acme/Gated-1B")] = [(status, {"X-Error-Code": "GatedRepo"}, b"Access is restricted")] * 3
    made = update(HuggingFace(hub.url, sleep=lambda _: None), 10, TODAY)
    assert made.new == ["acme-chat-1b"]
    assert [(repository, why.id) for repository, why in made.left_out] == [
        ("acme/Gated-1B", f"catalog.update.{reason}")
    ]


def test_a_hub_that_asks_to_wait_is_waited_for(hub: Stub) -> None:
    waits: list[float] = []
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920)]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    hub.script["/api/models"] = [(429, {"Retry-After": "7"}, b"Too Many Requests")]
    hub.script[config_path("acme/Acme-Chat-1B")] = [(503, {}, b"")]
    assert update(HuggingFace(hub.url, sleep=waits.append), 10, TODAY).new == ["acme-chat-1b"]
    assert waits == [7.0, 1.0]


def test_what_was_read_before_a_long_wait_is_kept(hub: Stub) -> None:
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920), listed("acme/Acme-Late-1B", 1)]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    hub.script[config_path("acme/Acme-Late-1B")] = [(429, {"Retry-After": "3600"}, b"")]
    made = update(HuggingFace(hub.url, sleep=lambda _: None), 1, TODAY)
    assert made.new == ["acme-chat-1b"]
    hub.script[config_path("acme/Acme-Late-1B")] = [(429, {"Retry-After": "3600"}, b"")]
    hub.script["/api/models"] = [(429, {"Retry-After": "3600"}, b"")]
    with pytest.raises(BadInput, match="asks to wait"):
        update(HuggingFace(hub.url, sleep=lambda _: None), 10, TODAY)
    forget()
    assert models.entry("acme-chat-1b").repository == "acme/Acme-Chat-1B"


def test_a_body_that_breaks_off_is_asked_for_again(hub: Stub) -> None:
    path = config_path("acme/Acme-Chat-1B")
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920)]
    hub.files[path] = NEW
    hub.cut[f"/cdn{path}"] = 1
    assert update(HuggingFace(hub.url), 10, TODAY).new == ["acme-chat-1b"]
    hub.cut[f"/cdn{path}"] = 99
    with pytest.raises(Withheld) as withheld:
        HuggingFace(hub.url).file("acme/Acme-Chat-1B", "config.json")
    assert withheld.value.reason.id == "catalog.update.broken"


@pytest.mark.parametrize("content", [b"<html>login</html>", b"[1, 2]", b""])
def test_what_is_no_config_leaves_the_model_out(hub: Stub, content: bytes) -> None:
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 1)]
    hub.files[config_path("acme/Acme-Chat-1B")] = content
    assert [repository for repository, _ in update(HuggingFace(hub.url), 10, TODAY).left_out] == ["acme/Acme-Chat-1B"]


def test_the_token_is_sent_to_the_hub(hub: Stub) -> None:
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920)]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    update(HuggingFace(hub.url, "hf_secret"), 10, TODAY)
    assert {token for path, token in hub.requests if path.startswith("/api/models")} == {"Bearer hf_secret"}


def test_modelscope_has_numbered_pages(hub: Stub) -> None:
    hub.lists["modelscope"] = [{"Path": "acme", "Name": "Acme-Chat-1B", "Downloads": 5}]
    hub.files["/api/v1/models/acme/Acme-Chat-1B/repo?Revision=master&FilePath=config.json"] = NEW
    made = update(ModelScope(hub.url), 10, TODAY, ("text-generation",))
    assert made.new == ["acme-chat-1b"]


def test_the_command(hub: Stub, monkeypatch: pytest.MonkeyPatch) -> None:
    hub.lists["text-generation"] = [listed("acme/Acme-Chat-1B", 596_049_920), listed("acme/Nothing-1B")]
    hub.files[config_path("acme/Acme-Chat-1B")] = NEW
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    answer = CliRunner().invoke(cli, ["catalog", "update", "--most", "5", "--json"])
    assert answer.exit_code == 0, answer.output
    said = json.loads(answer.output)
    assert said["new"] == ["acme-chat-1b"]
    assert said["left_out"][0]["repository"] == "acme/Nothing-1B"
    assert Path(said["path"]).read_text(encoding="utf-8").startswith("# Written by")
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    assert CliRunner().invoke(cli, ["catalog", "update"]).exit_code != 0


def test_a_hub_out_of_reach_is_one_clear_error(hub: Stub) -> None:
    with pytest.raises(BadInput) as refusal:
        update(HuggingFace("http://127.0.0.1:9"), 5, TODAY)
    assert "HF_ENDPOINT" in str(refusal.value.hint)
