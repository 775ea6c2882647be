"""The pools that a campaign's scripts ask for, where its tables name one worker of each kind only.

`campaign_pools.csv`: numbers read from github.com/SemiAnalysisAI/InferenceX, .github/configs/nvidia-master.yaml at
25506e87, 84320a0a, dcc0f53a, 2e51194c, 6a5dad46 and configs/nvidia-master.yaml at 6c3acebf: of each deployment the
workers, their GPUs, whether attention and experts are spread over them, and the tokens drafted. Rows that tell their
pools agree with it in all of 64 cases that it has one deployment for.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping
from functools import cache
from importlib.resources import files

from wellfed.accuracy.serving_notes import Degrees, Pool
from wellfed.frozen import dataclass
from wellfed.nouns.layout import Engine

_TABLE = "campaign_pools.csv"
_ENGINES = {"trt": Engine.TENSORRT_LLM, "sglang": Engine.SGLANG}
Cells = Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Asked:
    """What a row tells of a deployment."""

    family: str
    gpu: str  # as the table of measurements writes it
    four_bits: bool
    engine: Engine
    build: str
    prompt: int
    answer: int
    clients: int
    prefill_gpus: int
    decode_gpus: int


@dataclass(frozen=True, slots=True)
class Deployment:
    """Both pools, and the tokens that decode workers draft."""

    prefill: Pool
    decode: Pool
    drafts: int


def deployment(asked: Asked) -> Deployment | None:
    """The one that fits all a row tells; None where none or several do."""
    found = [cells for cells in _table().get(_key(asked), ()) if str(asked.clients) in cells["clients"].split()]
    for column, wanted in (("prefill_gpus", str(asked.prefill_gpus)), ("build", asked.build)):
        found = [cells for cells in found if cells[column] == wanted] or found
    kinds = {(_pool(cells, "prefill"), _pool(cells, "decode"), int(cells["drafts"])) for cells in found}
    return Deployment(*kinds.pop()) if len(kinds) == 1 else None


_Key = tuple[str, str, str, Engine | None, str, str, str]


def _key(asked: Asked) -> _Key:
    gpu, weights = asked.gpu.split()[0].lower(), "fp4" if asked.four_bits else "fp8"
    lengths = (str(asked.prompt), str(asked.answer), str(asked.decode_gpus))
    return (asked.family, gpu, weights, asked.engine, *lengths)


@cache
def _table() -> Mapping[_Key, tuple[Cells, ...]]:
    text = (files("wellfed.accuracy") / _TABLE).read_text()
    rows: dict[_Key, tuple[Cells, ...]] = {}
    for cells in csv.DictReader(io.StringIO(text)):
        lengths = (cells["prompt"], cells["answer"], cells["decode_gpus"])
        key = (cells["model"], cells["gpu"], cells["weights"], _ENGINES.get(cells["engine"]), *lengths)
        rows[key] = (*rows.get(key, ()), cells)
    return rows


def _pool(cells: Cells, name: str) -> Pool:
    gpus, experts = int(cells[f"{name}_gpus"]), int(cells[f"{name}_experts"])
    spread = gpus if cells[f"{name}_spread"] == "1" else 1
    return Pool(int(cells[f"{name}_workers"]), Degrees(gpus, 1, spread, gpus if experts > 1 else 1), None)
