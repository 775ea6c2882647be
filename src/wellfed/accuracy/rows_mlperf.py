"""Rows that tell what a whole system yields: MLPerf inference, engines at their highest load."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

from wellfed.accuracy.campaigns import TUNED
from wellfed.accuracy.case import Case, Outcome, Row, Skipped
from wellfed.accuracy.names import resolve
from wellfed.accuracy.rows_serving import engine_of
from wellfed.accuracy.serving_machine import machine_of
from wellfed.catalog.hardware import measured_gpu as gpu_spec
from wellfed.frozen import dataclass
from wellfed.hardware.parts import GpuSpec
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation, weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.nouns.layout import Engine, Layout, Speculation
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.throughput import best_load, best_throughput

_SCENARIO = re.compile(r"MLPerf (\w+)", re.IGNORECASE)
_SPREAD = re.compile(r"\b(D?T?EP|TP|PP)(\d+)\b")
_SEVERAL = re.compile(r"\s*([^,]+?)\s*\(x(\d+)\)\s*(?:,|$)")
_ENGINE = (
    (re.compile(r"tensorrt|cuda|jetpack", re.IGNORECASE), Engine.TENSORRT_LLM),
    (re.compile(r"sglang", re.IGNORECASE), Engine.SGLANG),
    (re.compile(r"vllm|mango|pytorch", re.IGNORECASE), Engine.VLLM),
)
# MLPerf inference rules v5.1: 99th percentile of the time per output token, by model (server, interactive), seconds.
_TPOT_LIMITS = {
    "llama2-70b": (0.2, 0.04),
    "llama3.1-8b": (0.1, 0.03),
    "llama3.1-405b": (0.175, 0.08),
    "deepseek-r1": (0.08, 0.08),
    "mixtral-8x7b": (0.2, 0.2),
}
_FILLED = 0.9  # of the GPUs' memory at most, for weights
_MEAN_OF_P99 = 0.75  # the mean a server keeps so that the 99th percentile holds
# Means of the data sets where a table leaves them out: GPT-J summarises CNN/DailyMail with four beams.
_LENGTHS = {"gptj": (870, 69)}
_UNTOLD_LENGTHS = (512, 256)
_BEAMS = {"gptj": 4}
_BEAM_READS = 2  # of four beams' common prompt in the cache: what two read, the L2 cache still holds for the others


@dataclass(frozen=True, slots=True)
class _Share:
    """GPUs of one kind in the system."""

    spec: GpuSpec
    count: int


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """Predictions of whole-system throughput; None for rows of another kind."""
    scenario = _SCENARIO.search(row.text("concurrency_or_batch"))
    if scenario:
        return _mlperf(row, scenario[1].lower())
    engine = engine_of(row.text("engine"))
    if engine is None or row.number("tpot_ms") or row.text("gpu").lower().startswith(("none", "cpu")):
        return None
    return _under_load(row, engine)


def _mlperf(row: Row, scenario: str) -> tuple[Outcome, ...]:
    cls, measured = f"MLPerf {scenario}", row.number("total_tok_s")
    if not measured:
        return (Skipped(row.index, cls, "total_tok_s", sentence("rows-mlperf.told-tokens", "not told in tokens")),)
    if row.text("gpu").lower().startswith("none"):
        return (
            Skipped(
                row.index,
                cls,
                "total_tok_s",
                sentence("rows-mlperf.serving-engines-cpus", "serving engines on CPUs are not modelled"),
            ),
        )
    engine = next((engine for pattern, engine in _ENGINE if pattern.search(row.text("engine"))), None)
    if engine is None:
        return (Skipped(row.index, cls, "total_tok_s", f"engine {row.text('engine')!r}"),)
    requests = [_system(row, engine, share) for share in _shares(row)]
    beams, limit = _beams(row), _tpot_limit(row.text("model"), scenario)

    def predict(calibration: Calibration) -> Quantity:
        parts = [best_throughput(variant, calibration, limit, streamed=scenario != "offline") for variant in requests]
        total = sum(part.total_tok_s.value for part in parts) / min(beams, _BEAM_READS)
        return Quantity.lognormal(total, calibration.sigma(cls))

    group = f"{requests[0].model.id} on {row.text('gpu')}"
    return (Case(row.index, cls, "total_tok_s", measured, group, predict, requests[0], _outlier(row)),)


def _outlier(row: Row) -> str:
    if "open division" in row.text("notes"):
        return sentence(
            "rows-mlperf.open-division-model",
            "open division: the model or its weights may have been changed, labels are unreliable",
        )
    return ""


def _shares(row: Row) -> list[_Share]:
    several = _SEVERAL.findall(row.text("gpu"))
    if several:
        return [_Share(gpu_spec(name), int(count)) for name, count in several]
    return [_Share(gpu_spec(row.text("gpu")), max(1, round(row.number("gpu_count") or 1)))]


def _tpot_limit(model: str, scenario: str) -> float | None:
    if scenario not in {"server", "interactive"}:
        return None
    limits = next((limits for name, limits in _TPOT_LIMITS.items() if model.startswith(name)), None)
    return limits[scenario == "interactive"] * _MEAN_OF_P99 if limits else None


def _system(row: Row, engine: Engine, share: _Share) -> Request:
    model = resolve(_plain(row.text("model"))).model
    kind = _kind(model, row.text("quant"), share.spec, share.count)
    mean_lengths = next(
        (lengths for name, lengths in _LENGTHS.items() if row.text("model").startswith(name)), _UNTOLD_LENGTHS
    )
    beams, prompt = _beams(row), round(row.number("prompt_len") or mean_lengths[0])
    reads = min(beams, _BEAM_READS)
    load = Workload(
        "offline",
        prompt_tokens=max(1, prompt // reads),
        output_tokens=max(1, round(row.number("gen_len") or mean_lengths[1])),
        depth_tokens=prompt - prompt // reads,
    )
    guess = Speculation(beams - 1, 1.0) if beams > 1 else None  # every beam brings a token to a pass, and one stays
    layout = Layout(
        engine,
        kind.id,
        kv_type=_cache_type(kind),
        gpus=share.count,
        batch_tokens=8192,
        speculation=guess,
        options=(("tuned", "submitted"),),
    )
    return Request(machine_of(share.spec, share.count, _host(row)), model, weights(model, kind), layout, load)


def _host(row: Row) -> str:
    """The CPU's name without its number and cores: `2x AMD EPYC 9575F (64 cores each)`."""
    return re.sub(r"^\s*\d+\s*x\s*|\(.*", "", row.text("cpu"), flags=re.IGNORECASE).strip()


def _beams(row: Row) -> int:
    """Beams of a beam search: the prompt is computed once for all of them, and one answer counts."""
    return next((beams for name, beams in _BEAMS.items() if row.text("model").startswith(name)), 1)


def _plain(name: str) -> str:
    """MLPerf's names without the accuracy target: llama2-70b-99.9."""
    return re.sub(r"-(?:99(?:\.9)?|edge)$", "", name)


@lru_cache(maxsize=256)
def _kind(model: Model, label: str, spec: GpuSpec, count: int) -> Quantisation:
    """The weights' format. Labels of 16 or 32 bits are those of the model submitted, not of the weights that ran:
    submissions on GPUs with FP8 or FP4 units have used them since there are such units."""
    text = label.lower()
    if text in {"fp16", "fp32", "unset", "bf16", ""}:
        text = "nvfp4" if spec.peak.fp4 and spec.vendor == "nvidia" else "fp8" if spec.peak.fp8 else "int4"
        if text == "fp8" and model.parameters > _FILLED * count * spec.memory_bytes:
            text = "int4"
    return resolve(model.id, quant=text).quantisation or quantisation(text)


def _cache_type(kind: Quantisation) -> str:
    return "fp8" if kind.id.startswith(("fp8", "nvfp4", "mxfp4")) else "f16"


def _under_load(row: Row, engine: Engine) -> tuple[Outcome, ...] | None:
    """Throughput at a told concurrency or at the load that yields most; one user's rate where no total is told."""
    metric = "total_tok_s" if row.number("total_tok_s") else "decode_tok_s"
    measured, most = row.number(metric), "max load" in row.text("concurrency_or_batch")
    cls = "serving max load" if most else "serving throughput" if metric == "total_tok_s" else "serving decode"
    if not measured or "unnamed" in row.text("gpu"):
        return (
            Skipped(row.index, cls, metric, sentence("rows-mlperf.no-output-rate", "no output rate, or no GPU named")),
        )
    request = _loaded(row, engine)

    def predict(calibration: Calibration) -> Quantity:
        make: Callable[[Request, Calibration], Estimate] = best_load if most else estimate_serving
        estimated = make(request, calibration)
        if metric == "decode_tok_s":
            return estimated.decode_tok_s
        return Quantity.lognormal(estimated.total_tok_s.value, calibration.sigma(cls))

    group = f"{request.model.id} on {row.text('gpu')}"
    return (Case(row.index, cls, metric, measured, group, predict, request),)


def _loaded(row: Row, engine: Engine) -> Request:
    resolved = resolve(row.text("model"), quant=row.text("quant") or None)
    kind = resolved.quantisation or quantisation(resolved.model.native_quantisation)
    gpus = max(1, round(row.number("gpu_count") or 1))
    clients = max(1, round(row.number("concurrency_or_batch") or 1))
    spread = _SPREAD.search(row.text("notes"))
    way = spread[1] if spread else "TP"
    layout = Layout(
        engine,
        kind.id,
        kv_type=_cache_type(kind),
        gpus=gpus,
        tensor_parallel=1 if way == "PP" else gpus,
        pipeline_parallel=gpus if way == "PP" else 1,
        expert_parallel=gpus if "EP" in way else 1,
        attention_data_parallel=gpus if way == "DEP" else 1,
        batch_tokens=8192,
        max_sequences=max(256, clients),
        options=TUNED,
    )
    load = Workload(
        "row",
        concurrency=clients,
        prompt_tokens=max(1, round(row.number("prompt_len") or _UNTOLD_LENGTHS[0])),
        output_tokens=max(1, round(row.number("gen_len") or _UNTOLD_LENGTHS[1])),
    )
    return Request(
        machine_of(gpu_spec(row.text("gpu")), gpus), resolved.model, weights(resolved.model, kind), layout, load
    )
