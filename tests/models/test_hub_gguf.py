"""GGUF files on a hub: their headers by range requests, from a hub on the loopback that answers as Hugging Face does."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from gguf_samples import SAMPLES, write_gguf

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "launch"))
from hub import Hub, serving

from wellfed import identity
from wellfed.catalog.name_words import parse
from wellfed.errors import BadInput
from wellfed.modelfiles.gguf_file import GgufFile, read_gguf
from wellfed.modelfiles.hub_gguf import Remote, chosen, fetch_gguf
from wellfed.resolution import Refused, Resolved, resolve

REPOSITORY = "somebody/thing-GGUF"


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    import huggingface_hub.constants as constants

    with serving(Hub({})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        for name in ("HF_HUB_OFFLINE", "HF_TOKEN"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        identity._fetched.cache_clear()
        yield server
    identity._fetched.cache_clear()


def publish(hub: Hub, folder: Path, name: str, kind: str = "Q8_0", vocabulary: int = 512) -> GgufFile:
    write_gguf(folder / name, SAMPLES[0], kind, vocabulary)
    hub.files[name] = (folder / name).read_bytes()
    return read_gguf(folder / name)


def fetched(form: str) -> GgufFile | None:
    return fetch_gguf(REPOSITORY, lambda path: parse(path).format == form)


@pytest.mark.parametrize("redirects", [False, True])
@pytest.mark.parametrize("ignores_ranges", [False, True])
def test_a_remote_file_counts_as_the_local_one(hub: Hub, tmp_path: Path, redirects: bool, ignores_ranges: bool) -> None:
    local = publish(hub, tmp_path, "thing-Q8_0.gguf")
    publish(hub, tmp_path, "thing-Q4_0.gguf", "Q4_0")
    hub.files["mmproj-thing-Q8_0.gguf"] = b"GGUF"
    hub.redirects, hub.ignores_ranges = redirects, ignores_ranges
    remote = fetched("q8_0")
    assert remote is not None
    assert remote.weights == local.weights
    assert remote.model.parameters == local.model.parameters
    assert all(path.endswith("thing-Q8_0.gguf") for _, path, _ in hub.asked if "/resolve/" in path)


def test_more_is_asked_for_until_the_header_is_whole(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellfed.modelfiles.hub_gguf._FIRST_BYTES", 1000)
    local = publish(hub, tmp_path, "thing-Q8_0.gguf", vocabulary=4000)
    remote = fetched("q8_0")
    assert remote is not None and remote.weights == local.weights
    spans = [span for _, path, span in hub.asked if "/resolve/" in path]
    assert spans[0] == "bytes=0-999" and len(spans) > 2
    assert int(spans[-1].rpartition("-")[2]) < len(hub.files["thing-Q8_0.gguf"]) / 2


def test_parts_of_one_model_are_taken_together_and_two_models_not_at_all() -> None:
    files = {f"UD-Q4/big-UD-Q4_K_XL-{i:05}-of-00002.gguf": 7 for i in (1, 2)} | {"README.md": 1, "../x.gguf": 3}
    assert chosen(files, lambda path: "Q4" in path) == tuple(
        Remote(f"UD-Q4/big-UD-Q4_K_XL-{i:05}-of-00002.gguf", 7) for i in (1, 2)
    )
    assert chosen(files | {"other-Q4_K.gguf": 5}, lambda path: "Q4" in path) == ()


def test_a_header_that_never_ends_is_refused(hub: Hub) -> None:
    hub.files["thing-Q8_0.gguf"] = b"GGUF" + (3).to_bytes(4, "little") + (10).to_bytes(8, "little") * 2 + bytes(500)
    with pytest.raises(BadInput, match="header"):
        fetched("q8_0")


@pytest.mark.parametrize(("status", "told"), [(403, "terms"), (401, "terms"), (429, "too many"), (500, "HTTP 500")])
def test_a_refusal_says_why(hub: Hub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, status: int, told: str) -> None:
    monkeypatch.setattr(identity, "_HUB_S", 0.3)
    publish(hub, tmp_path, "thing-Q8_0.gguf")
    hub.status = status
    with pytest.raises(BadInput, match=told):
        fetched("q8_0")
    (answer,) = resolve([f"{REPOSITORY}:Q8_0"], "huggingface")
    assert isinstance(answer, Refused)


def test_resolve_gives_the_files_own_bytes(hub: Hub, tmp_path: Path) -> None:
    local = publish(hub, tmp_path, "thing-Q8_0.gguf")
    (answer,) = resolve([f"{REPOSITORY}:Q8_0"], "huggingface")
    assert isinstance(answer, Resolved)
    assert (answer.how, answer.weight_bytes) == ("hub", local.weights.total)
    assert answer.parameters == local.model.parameters
