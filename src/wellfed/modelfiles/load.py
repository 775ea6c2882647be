"""A model from whatever names it: a file, a folder, a catalogue name, a repository."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from wellfed.errors import BadInput, UnknownName
from wellfed.frozen import dataclass
from wellfed.message import listed, sentence
from wellfed.modelfiles.checkpoint import read_checkpoint
from wellfed.modelfiles.gguf_file import read_gguf
from wellfed.modelfiles.hf_config import read_config
from wellfed.modelfiles.hub import fetch_config, is_repository
from wellfed.models.checkpoint_formats import GGUF, SAFETENSORS
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.plain_file import is_there, named_path


@dataclass(frozen=True, slots=True)
class LoadedModel:
    """A model, its exact weights where files were at hand, and where it came from."""

    model: Model
    weights: Weights | None
    origin: str  # gguf | config | folder | catalogue | hub


def load_model(
    text: str, catalogued: Callable[[str], Model], online: bool = True, hub: str = "huggingface"
) -> LoadedModel:
    """The model `text` names. `catalogued` finds catalogue names and raises UnknownName for others.

    Order: an existing file or folder; the catalogue; a repository on `hub`, only when `online`.
    """
    path = named_path(text)
    if path is not None and (is_there(text) or text.lower().endswith((".gguf", ".json"))):
        return _from_path(path)
    try:
        return LoadedModel(catalogued(text), None, "catalogue")
    except UnknownName:
        if not (online and is_repository(text)):
            raise
    return LoadedModel(fetch_config(text, hub), None, "hub")


def _from_path(path: Path) -> LoadedModel:
    if path.suffix.lower() == ".gguf":
        file = read_gguf(path)
        return LoadedModel(replace(file.model, files=GGUF), file.weights, "gguf")
    if path.is_dir():
        return _from_folder(path)
    if path.suffix.lower() == ".safetensors":
        return _from_folder(_folder_of(path))
    return LoadedModel(read_config(path), None, "config")


def _folder_of(tensors: Path) -> Path:
    """The folder of a model, one of whose files is named. Raises BadInput where no config.json lies beside it."""
    if (tensors.parent / "config.json").is_file():
        return tensors.parent
    raise BadInput(
        sentence(
            "modelfiles.load.tensors-alone",
            "{file} holds tensors alone: no config.json lies beside it",
            file=tensors.name,
        ),
        sentence("modelfiles.load.name-model-folder", "name the model's folder or its .gguf file"),
    )


def _from_folder(folder: Path) -> LoadedModel:
    if (folder / "config.json").is_file():
        if not any(folder.glob("*.safetensors")):
            return LoadedModel(read_config(folder), None, "folder")
        checkpoint = read_checkpoint(folder)
        return LoadedModel(replace(checkpoint.model, files=SAFETENSORS), checkpoint.weights, "folder")
    ggufs = [file for file in sorted(folder.glob("*.gguf")) if not file.name.lower().startswith(_BESIDE)]
    if not ggufs:
        raise BadInput(
            sentence(
                "modelfiles.load.neither-config-json", "neither config.json nor a .gguf file in {folder}", folder=folder
            ),
            sentence("modelfiles.load.name-model-folder", "name the model's folder or its .gguf file"),
        )
    first_files = [file for file in ggufs if "-of-" not in file.name or "-00001-of-" in file.name]
    if len(first_files) != 1:
        raise BadInput(
            sentence(
                "modelfiles.load.gguf-models", "{count} GGUF models in {folder}", count=len(first_files), folder=folder
            ),
            sentence("modelfiles.load.name-one", "name one: {whole}", whole=listed(f.name for f in first_files[:3])),
        )
    return _from_path(first_files[0])


_BESIDE = ("mmproj", "imatrix")  # towers and importance matrices that lie beside a model
