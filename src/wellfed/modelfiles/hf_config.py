"""config.json as Hugging Face repositories keep it, and the files beside it that say how its weights are stored."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from wellfed.errors import WellfedError
from wellfed.modelfiles.safe_file import read_json
from wellfed.models.config import from_config
from wellfed.models.model import Model

_BESIDE = {"hf_quant_config": "hf_quant_config.json", "inference_config": "inference/config.json"}


def read_config(path: str | Path) -> Model:
    """The model that a config.json (or the folder holding one) describes. Raises BadInput or Unsupported."""
    file = config_file(path)
    identity = file.parent.name if file.name == "config.json" and file.parent.name else file.stem
    values = config_values(file)
    path_name = values.get("_name_or_path")
    name = path_name.rpartition("/")[2] if isinstance(path_name, str) and path_name else identity
    try:
        return from_config(values, identity, name or identity)
    except WellfedError as error:
        raise type(error)(f"{file.name}: {error.message}", error.hint) from error


def config_file(path: str | Path) -> Path:
    """The config.json that `path` is, or is the folder of."""
    file = Path(path)
    return file / "config.json" if file.is_dir() else file


def config_values(file: Path) -> Mapping[str, object]:
    """What `file` says, completed by ModelOpt's hf_quant_config.json and DeepSeek's inference/config.json beside it."""
    values = dict(read_json(file))
    for key, name in _BESIDE.items():
        beside = file.parent / name
        if beside.is_file():
            values[key] = read_json(beside)
    return values
