"""The API key in a file that only its owner reads, for engines that take it from one: never on a command line."""

from __future__ import annotations

import json
import os
from pathlib import Path

from wellfed.engines.spec import LaunchSpec


def path_beside(log: Path) -> Path:
    """Where the key of the engine that writes `log` is kept while it starts."""
    return log.with_suffix(".key.yaml")


def key_words(spec: LaunchSpec, log: Path) -> tuple[str, ...]:
    """The words that name the key's file, which is written; none for engines that read the environment."""
    if not spec.key_in_file:
        return ()
    path = path_beside(log)
    path.unlink(missing_ok=True)
    (key,) = spec.secrets.values()
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "w") as file:
        file.write(f"api-key: {json.dumps(key)}\n")
    return (spec.key_flag, str(path))


def forget_key(log: Path) -> None:
    """Remove it: once an engine answers, it has read it."""
    path_beside(log).unlink(missing_ok=True)
