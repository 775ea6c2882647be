"""Where a user's own files lie; a user without a home folder (a container's bare uid) breaks nothing."""

from __future__ import annotations

import os
from pathlib import Path

NOWHERE = Path("/dev/null/no-home")  # is never there and can never be made


def home() -> Path | None:
    """The user's home folder; None for a user who has none."""
    try:
        return Path.home()
    except RuntimeError:
        return None


def under_home(*parts: str) -> Path:
    """A place below it; where there is no home, one that is never there."""
    return (home() or NOWHERE).joinpath(*parts)


def expanded(path: str | os.PathLike[str]) -> Path:
    """The path with `~` replaced where there is a home to put in its place."""
    try:
        return Path(path).expanduser()
    except RuntimeError:
        return Path(path)
