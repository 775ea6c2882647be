"""Tensor tables of repositories that are not at hand: a few kilobytes of each file's start, by range requests."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from threading import Thread
from typing import TypeVar

from wellfed.errors import BadInput, WellfedError
from wellfed.message import sentence
from wellfed.modelfiles.checkpoint import Checkpoint, checkpoint_of
from wellfed.modelfiles.safetensors_file import SafetensorsTensor

_MOST_FILES = 512
_BUDGET_S = 2.0
_T = TypeVar("_T")


def fetch_checkpoint(repository: str, config: Path, seconds: float = _BUDGET_S) -> Checkpoint | None:
    """The checkpoint of a repository on Hugging Face whose config.json lies at `config`, by its files' headers.

    None where it has no safetensors files, or where the hub does not answer within `seconds`. Raises Unsupported for
    layers that are not understood.
    """
    table = _within(seconds, lambda: tensor_table(repository))
    return None if not table else checkpoint_of(config, table)


def tensor_table(repository: str) -> tuple[SafetensorsTensor, ...]:
    """Every tensor of a repository's safetensors files. Raises BadInput where these cannot be had."""
    from huggingface_hub import HfApi

    try:
        metadata = HfApi().get_safetensors_metadata(repository)
    except Exception as error:  # the client raises its own, its transport's and the parser's
        raise BadInput(
            sentence(
                "hub-tensors.no-tensor-tables",
                "no tensor tables of {repository}: {error}",
                repository=repository,
                error=str(error).strip()[:120],
            )
        ) from error
    files = metadata.files_metadata
    if len(files) > _MOST_FILES:
        raise BadInput(
            sentence("hub-tensors.files", "{repository} has {count} files", repository=repository, count=len(files))
        )
    return tuple(
        SafetensorsTensor(name, str(entry.dtype), tuple(entry.shape), entry.data_offsets[1] - entry.data_offsets[0])
        for file in files.values()
        for name, entry in file.tensors.items()
    )


def _within(seconds: float, work: Callable[[], _T]) -> _T | None:
    """What `work` gives, or None where it takes longer or fails."""
    answers: list[_T] = []

    def run() -> None:
        try:
            answers.append(work())
        except WellfedError:
            return

    thread = Thread(target=run, daemon=True)  # a hub that hangs must not hold up the end of the program
    thread.start()
    thread.join(seconds)
    return answers[0] if answers else None
