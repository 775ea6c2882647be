"""The bundled calibration: one JSON file per part of the speed model, merged into one set of parameters."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable
from functools import lru_cache
from pathlib import Path
from typing import Any

from wellfed.errors import BadInput
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration, Fact, Residual
from wellfed.patterns import regex
from wellfed.plain_file import read_text

SCHEMA = 1
_FOLDER = Path(__file__).parent / "data" / "calibration"
_INNER = regex(r"\{[^{}]*\}(?=,?\n  )")  # the innermost objects stand on a line each


@lru_cache(maxsize=1)
def bundled() -> Calibration:
    """Every file of `data/calibration`, merged."""
    texts = [path.read_text(encoding="utf-8") for path in sorted(_FOLDER.glob("*.json"))]
    return merged([parse(text, "bundled calibration") for text in texts])


def with_old_builds(calibration: Calibration) -> Calibration:
    """The same, with the values of builds that only measured tables are of."""
    file = _FOLDER / "old" / "llamacpp_2024.json"
    return merged([parse(file.read_text(encoding="utf-8"), "bundled calibration of old builds"), calibration])


def merged(parts: Iterable[Calibration]) -> Calibration:
    """One calibration with all parameters and residuals; later parts win."""
    parameters: dict[str, float] = {}
    residuals: dict[str, Residual] = {}
    facts: dict[str, Fact] = {}
    support: dict[str, int] = {}
    names = []
    for part in parts:
        parameters.update(part.parameters)
        residuals.update(part.residuals)
        facts.update(part.facts)
        support.update(part.support)
        names.append(part.id)
    return Calibration("+".join(names), parameters, residuals, facts=facts, support=support)


def load(path: Path) -> Calibration:
    """A calibration file. Raises BadInput for anything that is not one."""
    return parse(read_text(path), str(path))


def parse(text: str, source: str) -> Calibration:
    """A calibration from its JSON text; foreign or damaged text is refused whole."""
    try:
        data: Any = json.loads(text)
        if data["schema"] != SCHEMA:
            raise BadInput(
                sentence(
                    "calibration.calibration-schema",
                    "{where}: calibration schema {data}, this version reads {schema}",
                    where=source,
                    data=data["schema"],
                    schema=SCHEMA,
                )
            )
        return Calibration(
            id=str(data["id"]),
            parameters={str(key): _number(value) for key, value in data["parameters"].items()},
            residuals={str(key): _residual(value) for key, value in data["residuals"].items()},
            source=str(data.get("source", "")),
            facts={str(key): _fact(value) for key, value in data["parameters"].items() if isinstance(value, dict)},
            support={str(key): int(value) for key, value in data.get("support", {}).items()},
        )
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        hint = sentence(
            "calibration.files-wellfed-bench",
            "files of `wellfed bench --calibrate` and `wellfed accuracy --refit` are calibrations",
        )
        raise BadInput(
            sentence("calibration.calibration", "{where}: not a calibration ({error})", where=source, error=error), hint
        ) from error


def _residual(value: Any) -> Residual:
    """Finite numbers alone. Raises ValueError."""
    for name, figure in value.items():
        if isinstance(figure, bool) or not isinstance(figure, int | float) or not math.isfinite(figure):
            raise ValueError(f"{name} of a residual is {figure!r}"[:200])
    return Residual(**value)


def _number(value: Any) -> float:
    return float(value["value"] if isinstance(value, dict) else value)


def _fact(value: Any) -> Fact:
    return Fact(str(value["origin"]), int(value.get("rows", 0)), value.get("sigma"), str(value.get("source", "")))


def unit_of(parameter: str) -> str:
    """The unit that a parameter's name ends in; a share or a factor where it names none."""
    name = parameter.rpartition(".")[2]
    for ending, unit in _UNITS.items():
        if name.endswith(ending) or (ending == "per_cycle" and ending in name):
            return unit
    return "1"


_UNITS = {
    "_us": "us", "_ns": "ns", "_s": "s", "_cycles": "clocks", "per_cycle": "1/clock", "_per_tflop": "J/TFLOP",
    "_per_gb": "J/GB", "_bytes": "bytes", "_pad": "tokens", "_tile": "tokens", "_rows": "rows", "_tokens": "tokens",
}  # fmt: skip


def _written(calibration: Calibration, name: str, value: float) -> Any:
    fact = calibration.facts.get(name)
    if fact is None:
        return value
    row = {"value": value, "unit": unit_of(name), "origin": fact.origin}
    if fact.rows:
        row["rows"] = fact.rows
    if fact.sigma is not None:
        row["sigma"] = fact.sigma
    return row | ({"source": fact.source} if fact.source else {})


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
            name: _written(calibration, name, value) for name, value in sorted(calibration.parameters.items())
        },
        "residuals": residuals,
    }
    if calibration.support:
        data["support"] = dict(sorted(calibration.support.items()))
    return _INNER.sub(lambda match: " ".join(match[0].split()), json.dumps(data, indent=1)) + "\n"
