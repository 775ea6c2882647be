"""Which models an engine runs, as its own list says (`catalog/data/engine_models.toml`)."""

from __future__ import annotations

from datetime import date

from wellfed.catalog.tables import table
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine


def why_not_listed(engine: Engine, model: Model) -> str | None:
    """Why the engine is not known to run `model`; None where it is, or where no list of its decides.

    A list decides on models that were released by its date, and only where the kind of the model is known.
    """
    listed = table("engine_models.toml").get(engine.value)
    kind = _kind(model)
    if listed is None or not kind or kind in listed["model_types"]:
        return None
    if model.released is not None and model.released > date.fromisoformat(listed["date"]):
        return None
    text = "its list of {date} has no {kind} models"
    return sentence("models-run.not-listed", text, date=listed["date"], kind=kind)


def why_not_on(engine: Engine, model: Model, gpu: GpuSpec) -> str | None:
    """Why the engine does not run this kind of models on `gpu`; None where nothing is known against it."""
    least = table("engine_models.toml").get(engine.value, {}).get("least_capability", {}).get(_kind(model))
    if least is None or not gpu.compute_capability or float(gpu.compute_capability) >= least:
        return None
    text = "runs {kind} models from compute capability {least:.1f} on, {gpu} has {has}"
    return sentence("models-run.capability", text, kind=_kind(model), least=least, gpu=gpu.name,
                    has=gpu.compute_capability)  # fmt: skip


# vLLM keeps DeepSeek-V4's entries in FP8 rows; builds before mid-2026 refuse to start with any other type
# (https://github.com/vllm-project/recipes/blob/8959cf64189c71d36e11c6a30335f923f261b1f7/models/deepseek-ai/DeepSeek-V4-Flash.yaml#L38).
_CACHE_TYPES = {(Engine.VLLM, "deepseek_v4"): "fp8"}


def cache_type(engine: Engine, model: Model) -> str | None:
    """The type of cache that the engine runs this kind of models with; None: its own default, as for others."""
    return _CACHE_TYPES.get((engine, _kind(model)))


def _kind(model: Model) -> str:
    return model.architecture.removesuffix("_text")
