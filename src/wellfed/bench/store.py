"""Measurements and this machine's calibration, as JSON files under the user's data folder."""

from __future__ import annotations

import json
import os
import time
from dataclasses import asdict, is_dataclass
from pathlib import Path
from typing import Any

from wellfed.calibration import Calibration
from wellfed.catalog.calibration import dump, load
from wellfed.errors import BadInput

SCHEMA = "wellfed.bench/1"


def folder() -> Path:
    """$XDG_DATA_HOME/wellfed; made on first use."""
    base = os.environ.get("XDG_DATA_HOME") or str(Path.home() / ".local" / "share")
    path = Path(base) / "wellfed"
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise BadInput(f"cannot write {path}: {error.strerror}", "set XDG_DATA_HOME to a writable folder") from error
    return path


def document(kind: str, content: Any) -> dict[str, Any]:
    """A result as it is stored and printed."""
    return {"schema": SCHEMA, "kind": kind, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "result": plain(content)}


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON has them; keys that are tuples become "a-b"."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, dict):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _key(key: Any) -> str:
    return "-".join(map(str, key)) if isinstance(key, tuple) else str(key)


def write(path: Path, text: str) -> None:
    """Write whole or not at all. Raises BadInput when the disk refuses."""
    draft = path.with_name(path.name + ".tmp")
    try:
        draft.write_text(text)
        draft.replace(path)
    except OSError as error:
        draft.unlink(missing_ok=True)
        raise BadInput(f"cannot write {path}: {error.strerror}", "free some space, or give another path") from error


def save(kind: str, content: Any) -> Path:
    """Keep a result; the newest of each kind."""
    path = folder() / f"{kind}.json"
    write(path, json.dumps(document(kind, content), indent=1) + "\n")
    return path


def calibration_file() -> Path:
    """Where this machine's calibration is kept."""
    return folder() / "calibration.json"


def own_calibration() -> Calibration | None:
    """This machine's calibration, None when there is none. Raises BadInput when the file is damaged or foreign."""
    path = calibration_file()
    return load(path) if path.exists() else None


def save_calibration(calibration: Calibration) -> Path:
    """Keep it; `plan` and `check` use it from now on."""
    path = calibration_file()
    write(path, dump(calibration))
    return path
