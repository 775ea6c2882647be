"""The API key in a file that only its owner reads, for engines that take it from one: never on a command line."""

from __future__ import annotations

import json
import os
from contextlib import suppress
from pathlib import Path

from wellfed.engines.spec import LaunchSpec
from wellfed.launch.folder import unwritable


def path_beside(log: Path) -> Path:
    """Where the key of the engine that writes `log` is kept while it starts."""
    return log.with_suffix(".key.yaml")


def key_words(spec: LaunchSpec, log: Path) -> tuple[str, ...]:
    """The words that name the key's file, which is written; none for engines that read the environment.

    Raises BadInput where the disk refuses.
    """
    if not spec.key_in_file:
        return ()
    path = path_beside(log)
    (key,) = spec.secrets.values()
    try:
        path.unlink(missing_ok=True)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as file:
            file.write(f"api-key: {json.dumps(key)}\n")
    except OSError as error:
        raise unwritable(path, error) from error
    return (spec.key_flag, str(path))


def forget_key(log: Path) -> None:
    """Remove it: once an engine answers, it has read it. A disk that refuses ends no engine: it is emptied then, and
    goes with the engine's record.
    """
    path = path_beside(log)
    try:
        path.unlink(missing_ok=True)
    except OSError:
        with suppress(OSError):
            os.truncate(path, 0)
