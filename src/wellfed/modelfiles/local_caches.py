"""What hub clients already hold on this disk: Hugging Face's and ModelScope's caches, read without asking anybody."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from wellfed.homes import expanded, under_home


def cached_folder(repository: str) -> Path | None:
    """The folder of `owner/name` in a local hub cache, where it holds a config.json or a GGUF file; else None."""
    for folder in _places(repository):
        if (folder / "config.json").is_file() or any(folder.glob("*.gguf")):
            return folder
    return None


def base_model(folder: Path) -> str | None:
    """The repository that the folder's model card (README.md) names as its model's base; None where it does not."""
    card = folder / "README.md"
    try:
        return base_in_file(card) if card.is_file() else None
    except OSError:
        return None


def base_in_file(card: Path) -> str | None:
    """As `base_in_card`, of a file, of which only the start is read. Raises OSError."""
    with card.open("rb") as file:
        return base_in_card(file.read(_MOST_CARD_BYTES).decode("utf-8", errors="replace"))


_MOST_CARD_BYTES = 1 << 20
_HEAD = re.compile(r"\A\ufeff?---\s*\n(.*?)\n---", re.DOTALL)
_BASE = re.compile(r"""^base_model:[ \t]*(?:\n?[ \t]*-[ \t]*)?["']?([\w.-]+/[\w.-]+)["']?[ \t]*$""", re.MULTILINE)


def base_in_card(text: str) -> str | None:
    """The first `base_model` in a model card's front matter."""
    head = _HEAD.match(text.replace("\r\n", "\n"))
    base = _BASE.search(head[1]) if head else None
    return base[1] if base else None


def _places(repository: str) -> Iterator[Path]:
    owner, _, name = repository.partition("/")
    hub = _environment("HF_HUB_CACHE") or (_environment("HF_HOME") or under_home(".cache", "huggingface")) / "hub"
    yield from _snapshots(hub / f"models--{owner}--{name}")
    base = _environment("MODELSCOPE_CACHE") or under_home(".cache", "modelscope") / "hub"
    written = name.replace(".", "___")  # as its client writes dots
    for root in (base, base / "models", base / "hub", base / "hub" / "models"):
        yield from (folder for folder in (root / owner / written, root / owner / name) if _is_folder(folder))


def _snapshots(folder: Path) -> Iterator[Path]:
    """The snapshot that `main` points to, then the others, newest first."""
    try:
        main = folder / "refs" / "main"
        if main.is_file():
            yield folder / "snapshots" / main.read_text(encoding="utf-8")[:64].strip()
        yield from sorted(
            (path for path in (folder / "snapshots").iterdir() if path.is_dir()),
            key=lambda path: path.stat().st_mtime,
            reverse=True,
        )
    except (OSError, ValueError):  # no such folder, or none that may be read
        return


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except (OSError, ValueError):
        return False


def _environment(name: str) -> Path | None:
    value = os.environ.get(name)
    return expanded(value) if value else None
