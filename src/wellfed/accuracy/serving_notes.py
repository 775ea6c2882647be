"""The parallelism that tables of serving measurements write into their notes."""

from __future__ import annotations

import re

from wellfed.frozen import dataclass

_DEGREE = re.compile(r"\b(tp|pp|attn_dp|moe_tp|moe_ep)=(\d+)")
_POOL = re.compile(r"(prefill|decode) (\d+) workers x (\d+) GPU \(tp=(\d*) dp=(\d*) ep=(\d*) bs=(\d*)\)")
_FORMAT = re.compile(r"\bgemm=([\w.]+)")
_WITHIN = "--enable-dp-attention"
_WIDE = 8  # beyond a baseboard, published tensor-parallel degrees of MoE models are sums over an expert-parallel group


@dataclass(frozen=True, slots=True)
class Degrees:
    """How one replica is spread: GPUs of a stage, stages, attention groups, experts' ranks."""

    tensor: int
    pipeline: int = 1
    groups: int = 1
    experts: int = 1


@dataclass(frozen=True, slots=True)
class Pool:
    """`workers` replicas of a disaggregated deployment's half; `batch` per rank or worker, None when not told."""

    workers: int
    degrees: Degrees
    batch: int | None


def weight_format(notes: str) -> str | None:
    """The format of the weights as noted: fp8, nvfp4 ..."""
    match = _FORMAT.search(notes)
    return match[1] if match else None


def degrees(notes: str, gpus: int, moe: bool) -> Degrees:
    """The spread of an aggregated row over `gpus` GPUs.

    Where the noted degrees multiply to more (counts were corrected: the source wrote tensor x expert parallelism), the
    number of GPUs is right and the degrees say which kinds of parallelism there were. Attention groups are counted
    beside tensor parallelism, or within it (SGLang's flags --dp-size and --enable-dp-attention).
    """
    noted = {name: int(value) for name, value in _DEGREE.findall(notes)}
    tensor, groups = noted.get("tp", gpus), noted.get("attn_dp", 1)
    pipeline = noted.get("pp", 1)
    pipeline = pipeline if pipeline > 1 and gpus % pipeline == 0 else 1
    stage = gpus // pipeline
    experts = noted.get("moe_ep", 1)
    if moe and stage > _WIDE:
        return Degrees(stage, pipeline, stage, stage)
    within = _WITHIN in notes and stage % groups == 0
    if groups > 1 and tensor * groups != stage and not within:
        groups = stage if tensor == 1 else 1
    if experts > 1:
        experts = experts if noted.get("moe_tp", 1) * experts == stage else stage
    return Degrees(stage, pipeline, max(1, groups), max(1, experts))


def pools(notes: str, moe: bool) -> dict[str, Pool]:
    """The halves of a disaggregated deployment by name (prefill, decode); empty for aggregated rows."""
    return {match[1]: _pool(match, moe) for match in _POOL.finditer(notes)}


def _pool(match: re.Match[str], moe: bool) -> Pool:
    workers, gpus = int(match[2]), int(match[3])
    tensor, data, experts = (int(match[index] or 1) for index in (4, 5, 6))
    batch = int(match[7]) if match[7] else None
    spread = gpus if data > 1 and tensor == 1 else 1
    if moe and batch is None and gpus > 2 * _WIDE:
        spread = experts = gpus
    return Pool(workers, Degrees(gpus, 1, spread, gpus if experts > 1 else 1), batch)
