"""Tensor tables by range requests, from a hub on the loopback that answers as Hugging Face does."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from checkpoint_files import CONFIG, Tensors, dense, write_checkpoint

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "launch"))
from hub import Hub, serving

from wellfed.errors import Unsupported
from wellfed.modelfiles.hub import CONFIG_ALONE, fetch_config


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Hub]:
    import huggingface_hub.constants as constants

    with serving(Hub({})) as server:
        monkeypatch.setenv("HF_ENDPOINT", server.url)
        monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
        monkeypatch.setattr(constants, "ENDPOINT", server.url)
        monkeypatch.setattr(
            constants, "HUGGINGFACE_CO_URL_TEMPLATE", server.url + "/{repo_id}/resolve/{revision}/{filename}"
        )
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
        monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
        monkeypatch.setenv("NO_PROXY", "127.0.0.1")
        yield server


def _publish(hub: Hub, folder: Path, config: dict[str, object], tensors: Tensors) -> None:
    write_checkpoint(folder, config, tensors)
    hub.files["config.json"] = json.dumps(config).encode()
    hub.files["model.safetensors"] = (folder / "model.safetensors").read_bytes()


def test_headers_tell_more_than_the_config(hub: Hub, tmp_path: Path) -> None:
    _publish(hub, tmp_path / "made", CONFIG, dense(wide=384))
    model = fetch_config("somebody/pruned")
    assert model.parameters == sum(_elements(dense(wide=384)))
    assert CONFIG_ALONE not in model.notes
    asked = [span for _, path, span in hub.asked if path.endswith(".safetensors") and span]
    assert asked and all(span != "" for span in asked)


def test_an_unknown_architecture_is_known_by_its_tensors(hub: Hub, tmp_path: Path) -> None:
    _publish(hub, tmp_path / "made", {**CONFIG, "model_type": "brandnew"}, dense())
    assert fetch_config("somebody/new").parameters == sum(_elements(dense()))


def test_a_config_alone_says_so(hub: Hub, tmp_path: Path) -> None:
    hub.files["config.json"] = json.dumps(CONFIG).encode()
    model = fetch_config("somebody/plain")
    assert CONFIG_ALONE in model.notes
    hub.files["config.json"] = json.dumps({**CONFIG, "model_type": "brandnew"}).encode()
    with pytest.raises(Unsupported, match="brandnew"):
        fetch_config("somebody/other")


def _elements(tensors: Tensors) -> list[int]:
    counts = []
    for _, shape in tensors.values():
        count = 1
        for extent in shape:
            count *= extent
        counts.append(count)
    return counts
