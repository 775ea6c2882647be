"""The bundled calibration: one JSON file per part of the speed model, merged into one set of parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from wellfed.calibration import Calibration, Residual
from wellfed.errors import BadInput

SCHEMA = 1


@lru_cache(maxsize=1)
def bundled() -> Calibration:
    """Every file of `data/calibration`, merged."""
    folder = files("wellfed.catalog") / "data" / "calibration"
    texts = [item.read_text() for item in sorted(folder.iterdir(), key=str) if item.name.endswith(".json")]
    return merged([parse(text, "bundled calibration") for text in texts])


def merged(parts: Iterable[Calibration]) -> Calibration:
    """One calibration with all parameters and residuals; later parts win."""
    parameters: dict[str, float] = {}
    residuals: dict[str, Residual] = {}
    names = []
    for part in parts:
        parameters.update(part.parameters)
        residuals.update(part.residuals)
        names.append(part.id)
    return Calibration("+".join(names), parameters, residuals)


def load(path: Path) -> Calibration:
    """A calibration file. Raises BadInput for anything that is not one."""
    try:
        return parse(path.read_text(), str(path))
    except OSError as error:
        raise BadInput(f"cannot read {path}: {error.strerror}") from error


def parse(text: str, where: str) -> Calibration:
    """A calibration from its JSON text; foreign or damaged text is refused whole."""
    try:
        data: Any = json.loads(text)
        if data["schema"] != SCHEMA:
            raise BadInput(f"{where}: calibration schema {data['schema']}, this version reads {SCHEMA}")
        return Calibration(
            id=str(data["id"]),
            parameters={str(key): float(value) for key, value in data["parameters"].items()},
            residuals={str(key): Residual(**value) for key, value in data["residuals"].items()},
            source=str(data.get("source", "")),
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "files of `wellfed bench --calibrate` and `wellfed accuracy --refit` are calibrations"
        raise BadInput(f"{where}: not a calibration ({error})", hint) from error


def dump(calibration: Calibration) -> str:
    """The JSON text of a calibration, keys sorted, so that a refit that finds the same writes the same."""
    residuals = {
        name: {"rows": r.rows, "sigma": r.sigma, "bias": r.bias, "median_ape": r.median_ape, "mape": r.mape}
        for name, r in sorted(calibration.residuals.items())
    }
    data = {
        "schema": SCHEMA,
        "id": calibration.id,
        "source": calibration.source,
        "parameters": dict(sorted(calibration.parameters.items())),
        "residuals": residuals,
    }
    return json.dumps(data, indent=1) + "\n"
