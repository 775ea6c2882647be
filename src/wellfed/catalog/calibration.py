"""The bundled calibration: one JSON file per part of the speed model, merged into one set of parameters."""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any

from wellfed.calibration import Calibration, Fact, Known, Residual
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
    facts: dict[str, Fact] = {}
    names = []
    for part in parts:
        parameters.update(part.parameters)
        residuals.update(part.residuals)
        facts.update(part.facts)
        names.append(part.id)
    return Calibration("+".join(names), parameters, residuals, facts=facts)


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
            parameters={str(key): _value(entry) for key, entry in data["parameters"].items()},
            residuals={str(key): Residual(**value) for key, value in data["residuals"].items()},
            source=str(data.get("source", "")),
            facts={str(key): _fact(entry) for key, entry in data["parameters"].items() if isinstance(entry, dict)},
        )
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        hint = "files of `wellfed bench --calibrate` and `wellfed accuracy --refit` are calibrations"
        raise BadInput(f"{where}: not a calibration ({error})", hint) from error


def _value(entry: Any) -> float:
    """A parameter's value, with or without what is known of it."""
    return float(entry["value"] if isinstance(entry, dict) else entry)


def _fact(entry: dict[str, Any]) -> Fact:
    sigma = entry.get("sigma")
    return Fact(
        unit=str(entry.get("unit", "")),
        origin=Known(entry.get("origin", "fitted")),
        rows=int(entry.get("rows", 0)),
        sigma=None if sigma is None else float(sigma),
        source=str(entry.get("source", "")),
    )


def _parameter(value: float, fact: Fact | None) -> float | dict[str, Any]:
    if fact is None:
        return value
    return {"value": value, "unit": fact.unit, "origin": fact.origin.value, "rows": fact.rows, "sigma": fact.sigma,
            "source": fact.source}  # fmt: skip


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
        "parameters": {
            name: _parameter(value, calibration.facts.get(name))
            for name, value in sorted(calibration.parameters.items())
        },
        "residuals": residuals,
    }
    return json.dumps(data, indent=1) + "\n"
