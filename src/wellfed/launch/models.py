"""Model files: downloaded with their size checked against the disk first."""

from __future__ import annotations

import os
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import field
from itertools import islice
from pathlib import Path

from wellfed.errors import BadInput, WellfedError
from wellfed.frozen import dataclass
from wellfed.homes import home
from wellfed.launch.folder import made_folder
from wellfed.launch.hub_errors import endpoint, explained, unreachable
from wellfed.launch.resume import blobs_folder, ensure_checked_once, ensure_name, ensure_published, fetched
from wellfed.message import listed, sentence
from wellfed.modelfiles.hub import reachable
from wellfed.units import format_bytes

_MOST_FILES = 100_000  # of a repository


@dataclass(frozen=True, slots=True)
class Download:
    """Files of a repository that are to be fetched, with their sizes."""

    repository: str
    files: tuple[tuple[str, int], ...]
    hub: str = "huggingface"
    sha256: Mapping[str, str] = field(default_factory=dict)  # as published, of files that the hub has it of

    @property
    def size_bytes(self) -> int:
        """Bytes of all files of the download."""
        return sum(size for _, size in self.files)


def gguf_download(
    repository: str, quantisation: str, hub: str = "huggingface", with_projector: bool = False
) -> Download:
    """The GGUF files of `quantisation` in a hub repository; those at hand where the hub cannot be reached.
    `with_projector`: its tower for pictures, too, as the last file.

    Raises BadInput when there are none, WellfedError when the hub refuses.
    """
    published = _modelscope_files(repository) if hub == "modelscope" else _huggingface_files(repository)
    files = [(name, size) for name, size, _ in published]
    chosen = choose_gguf(files, quantisation)
    if not chosen:
        names = listed(sorted({Path(name).name for name, _ in files if name.endswith(".gguf")})[:8])
        raise BadInput(
            sentence(
                "launch.models.gguf",
                "{repository} has no GGUF in {quantisation}",
                repository=repository,
                quantisation=quantisation,
            ),
            sentence(
                "launch.models.it-has",
                "it has: {names}",
                names=names or sentence("launch.models.no-gguf-all", "no GGUF at all"),
            ),
        )
    if with_projector:
        chosen.append(_projector(repository, files))
    chosen_names = {name for name, _ in chosen}
    return Download(
        repository, tuple(chosen), hub, {name: sha for name, _, sha in published if name in chosen_names and sha}
    )


def _huggingface_files(repository: str) -> list[tuple[str, int, str]]:
    from huggingface_hub import HfApi

    if not reachable(endpoint()):
        cached = _cached_files(repository)
        if cached:
            return cached
        raise unreachable(repository)
    try:
        tree = HfApi(endpoint=endpoint()).list_repo_tree(repository, recursive=True)
        listed = (item for item in islice(tree, _MOST_FILES) if hasattr(item, "size"))
        return [(_named(item.path), int(item.size), _sha256(item)) for item in listed]
    except Exception as error:  # the hub library raises many kinds, its own and its HTTP client's
        raise explained(repository, error) from error


def _named(path: object) -> str:
    """A path that stays in its repository."""
    ensure_name(str(path))
    return str(path)


def _sha256(item: object) -> str:
    return str(getattr(getattr(item, "lfs", None), "sha256", "") or "")


def _cached_files(repository: str) -> list[tuple[str, int, str]]:
    """The files of the repository's newest snapshot in the local cache, whole ones."""
    folder = _cache("huggingface") / f"models--{repository.replace('/', '--')}" / "snapshots"
    snapshots = sorted(folder.glob("*"), key=lambda path: path.stat().st_mtime)
    if not snapshots:
        return []
    files = [path for path in snapshots[-1].rglob("*") if path.is_file()]
    return [(str(path.relative_to(snapshots[-1])), path.stat().st_size, "") for path in files]


def _modelscope_files(repository: str) -> list[tuple[str, int, str]]:
    try:
        from modelscope.hub.api import HubApi
    except ImportError as error:
        raise BadInput(
            sentence("launch.models.modelscope-client", "ModelScope's client is not installed"),
            "pip install 'wellfed[modelscope]'",
        ) from error
    try:
        listing = HubApi().get_model_files(repository, recursive=True)
        return [(item["Path"], int(item.get("Size") or 0), "") for item in listing if item.get("Type") != "tree"]
    except Exception as error:  # bare exceptions of many kinds
        raise explained(repository, error, "modelscope") from error


def _projector(repository: str, files: Sequence[tuple[str, int]]) -> tuple[str, int]:
    projector = choose_projector([name for name, _ in files])
    if projector is None:
        raise BadInput(
            sentence("launch.models.projector", "{repository} has no tower for pictures", repository=repository),
            sentence("launch.models.projector.hint", "--repo names one with a file mmproj-*.gguf"),
        )
    return next((name, size) for name, size in files if name == projector)


def choose_projector(names: Sequence[str]) -> str | None:
    """Of a folder's or repository's files the tower for pictures (mmproj), in 16 bits where there is one."""
    projectors = [name for name in names if name.lower().endswith(".gguf") and "mmproj" in Path(name).name.lower()]

    def rank(name: str) -> tuple[int, str]:
        base, kinds = Path(name).name.lower().replace("bf16", "b16"), ("f16", "b16", "f32", "q8_0")
        return next((place for place, kind in enumerate(kinds) if kind in base), len(kinds)), name

    return min(projectors, key=rank, default=None)


def projector_beside(model_file: Path) -> Path | None:
    """The tower's file in the folder of a model's file, or one above: split files have folders of their own."""
    for folder in (model_file.parent, model_file.parent.parent):
        chosen = choose_projector([path.name for path in folder.glob("*.gguf")])
        if chosen is not None:
            return folder / chosen
    return None


def choose_gguf(files: Sequence[tuple[str, int]], quantisation: str) -> list[tuple[str, int]]:
    """The file of a quantisation, or all parts of one that is split."""
    spelling = quantisation.lower().replace("-", "_")
    gguf_files = [(name, size) for name, size in files if name.endswith(".gguf") and "mmproj" not in name.lower()]
    return sorted(
        (name, size)
        for name, size in gguf_files
        if f"{spelling}." in (text := name.lower().replace("-", "_")) or f"{spelling}_00" in text
    )


def ensure_disk_has_room(download: Download, folder: Path, have_bytes: int = 0) -> None:
    """Raises WellfedError when the disk cannot hold what is still to come, beside `have_bytes` that are there."""
    free, missing = shutil.disk_usage(folder).free, max(0, download.size_bytes - have_bytes)
    if free < missing * 1.02:
        home = "MODELSCOPE_CACHE" if download.hub == "modelscope" else "HF_HOME"
        hint = sentence("launch.models.free-some-point", "free some, or point {home} at another disk", home=home)
        message = sentence(
            "launch.models.free-model-needs",
            "{folder} has {free} free, the model needs {missing}",
            folder=folder,
            free=format_bytes(free),
            missing=format_bytes(missing),
        )
        raise WellfedError(
            message if not have_bytes else sentence("launch.models.more", "{message} more", message=message), hint
        )


def fetch(download: Download, folder: Path | None = None) -> Path:
    """Fetch, resuming what is partly there; the first file's path. Progress is the hub library's own bars.

    A file that had to be fetched is held against its published checksum. Raises WellfedError when it differs.
    """
    target = folder or _cache(download.hub)
    try:
        target.mkdir(parents=True, exist_ok=True)
        ensure_disk_has_room(download, target, here_bytes(download))
        paths = [_download_file(download, name) for name, _ in download.files]
    except Exception as error:  # as above
        raise explained(download.repository, error, download.hub) from error
    return paths[0]


def at_hand(download: Download) -> Path | None:
    """The first file's path, if all are in the local cache and whole."""
    paths = [_at_hand(download, name) for name, _ in download.files]
    return None if None in paths else paths[0]


def here_bytes(download: Download) -> int:
    """What of it is in the local cache: whole files, and parts of those that were interrupted."""
    complete_bytes = sum(size for name, size in download.files if _at_hand(download, name) is not None)
    if download.hub == "modelscope":
        return complete_bytes
    blobs = blobs_folder(_cache(download.hub), download.repository)
    return complete_bytes + sum(path.stat().st_size for path in blobs.glob("*.part"))


def _at_hand(download: Download, name: str) -> Path | None:
    """The file in the local cache, if it is whole."""
    if download.hub == "modelscope":
        return None  # its client looks by itself, and skips what is there
    from huggingface_hub import try_to_load_from_cache

    cached = try_to_load_from_cache(download.repository, name)
    return Path(cached) if isinstance(cached, str) else None


def _download_file(download: Download, name: str) -> Path:
    if download.hub == "modelscope":
        return _from_modelscope(download.repository, name)
    cached = _at_hand(download, name)
    if cached is not None:
        ensure_checked_once(cached, download.sha256.get(name, ""), name)
        return cached
    path = fetched(download.repository, name, _cache(download.hub), endpoint(), dict(download.files).get(name))
    path = path or _from_huggingface(download.repository, name)
    ensure_published(path, download.sha256.get(name, ""), name)
    return path


def _cache(hub: str) -> Path:
    if hub == "modelscope":
        return Path(os.environ.get("MODELSCOPE_CACHE") or (home() or made_folder()) / ".cache" / "modelscope")
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _from_huggingface(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, name, endpoint=endpoint()))


def _from_modelscope(repository: str, name: str) -> Path:
    from modelscope.hub.file_download import model_file_download

    return Path(model_file_download(model_id=repository, file_path=name))
