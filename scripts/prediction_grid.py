"""The grid of predictions: what the product says of about 200 models, machines, engines and layouts, number by number.

    python scripts/prediction_grid.py --diff     what has changed against tests/grid/predictions.json
    python scripts/prediction_grid.py --write    take today's predictions as the new grid

A test holds the grid at 1e-4, so that no change of a prediction goes unseen: whoever changes one shows the differences.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

from wellfed.catalog.calibration import bundled
from wellfed.catalog.model_names import model
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.layout import CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.verbs import inputs

GRID = Path(__file__).resolve().parents[1] / "tests" / "grid" / "predictions.json"
TOLERANCE = 1e-4
_LLAMA, _IK, _KT = Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.KTRANSFORMERS
_VLLM, _SGLANG, _TRT = Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM
_CHAT = Workload("chat", prompt_tokens=1024, output_tokens=256)


@dataclass(frozen=True, slots=True)
class GridCase:
    """One point: a machine as people write it, a model, a type of weights, how it is laid out and what is asked."""

    machine: str
    model: str
    weights: str
    layout: Layout
    workload: Workload = _CHAT
    note: str = ""

    @property
    def label(self) -> str:
        """What the grid's file calls it."""
        words = (self.layout.engine.value, self.model, self.weights, self.machine, self.workload.name, self.note)
        return " | ".join(word for word in words if word)


def cases() -> tuple[GridCase, ...]:
    """Every point, in the order of the file."""
    return (*_gpu_cases(), *_switch_cases(), *_cpu_cases(), *_hybrid_cases(), *_serving_cases(), *_serving_switches())


_CARDS = (
    "rtx 4090, ryzen 9 7950x", "rtx 3090, epyc 7551", "rtx 5090, core i9-14900k", "rtx 4060 ti 16gb, ryzen 7 5800x",
    "gtx 1080 ti, core i7-8700k", "rtx 2080 ti, ryzen 9 5950x", "a100 80gb pcie, epyc 7543", "h100 pcie, epyc 9654",
    "rtx pro 6000, epyc 9575f", "tesla p40, xeon gold 6248", "rx 7900 xtx, ryzen 9 7950x", "rx 9070 xt, ryzen 9 9950x",
    "rx 6800 xt, ryzen 7 5800x", "arc b580, core i5-13600k", "mi300x, epyc 9654", "mi50 32gb, epyc 7551",
    "m2 max", "m4 max", "gb10",
)  # fmt: skip
_SMALL = (("llama-3.1-8b", "q4_k_m"), ("gpt-oss-20b", "mxfp4_moe"), ("gemma-3-4b", "q8_0"))
_DEEP = Workload("deep", prompt_tokens=512, output_tokens=64, depth_tokens=16384)


def _gpu_cases() -> Iterator[GridCase]:
    for card in _CARDS:
        for name, kind in _SMALL:
            yield GridCase(card, name, kind, Layout(_LLAMA, kind))
    for card in _CARDS[:4] + _CARDS[10:13] + _CARDS[16:18]:
        yield GridCase(card, "llama-3.1-8b", "f16", Layout(_LLAMA, "f16"))
        yield GridCase(card, "llama-3.1-8b", "q4_0", Layout(_LLAMA, "q4_0"), _DEEP)
        yield GridCase(card, "llama-3.2-1b", "q8_0", Layout(_LLAMA, "q8_0"))
    for card in ("rtx 4090, ryzen 9 7950x", "rtx 3090, epyc 7551"):
        yield GridCase(card, "llama-3.1-8b", "iq4_xs", Layout(_IK, "iq4_xs"))
        yield GridCase(card, "deepseek-v2-lite", "q4_k_m", Layout(_IK, "q4_k_m"))
        yield GridCase(card, "deepseek-v2-lite", "q4_k_m", Layout(_LLAMA, "q4_k_m"))
    for count, card in ((2, "rtx 3090"), (4, "rtx 3090"), (2, "rx 7900 xtx"), (8, "rtx 4090")):
        layout = Layout(_LLAMA, "q4_k_m", gpus=count)
        yield GridCase(f"{count}x {card}, epyc 7543", "llama-3.3-70b", "q4_k_m", layout)
    uneven = Layout(_LLAMA, "q6_k", gpus=2, split=(40, 25))
    yield GridCase("rtx 4090 + rtx 3090, epyc 7543", "qwen3-32b", "q6_k", uneven, note="split")


def _switch_cases() -> Iterator[GridCase]:
    """One switch at a time, from one point."""
    base = GridCase("2x rtx 3090, epyc 7543", "llama-3.1-8b", "q4_k_m", Layout(_LLAMA, "q4_k_m", gpus=1))
    changes: Mapping[str, Mapping[str, Any]] = {
        "no flash attention": {"flash_attention": False},
        "no graphs": {"cuda_graphs": False},
        "kv q8_0": {"kv_type": "q8_0"},
        "ubatch 2048": {"ubatch_tokens": 2048},
        "two by layers": {"gpus": 2},
        "two by rows": {"gpus": 2, "tensor_parallel": 2},
        "may 2024": {"options": (("build", "b2824"),), "flash_attention": False},
        "december 2023": {"options": (("build", "b1600"),), "flash_attention": False},
    }
    for note, change in changes.items():
        yield replace(base, layout=replace(base.layout, **change), note=note)
    for users in (2, 8, 32):
        load = Workload(f"{users} users", users, 1024, 256)
        yield replace(base, layout=replace(base.layout, max_sequences=32), workload=load)
    rate = Workload("0.5 requests/s", prompt_tokens=1024, output_tokens=256, request_rate=0.5)
    yield replace(base, layout=replace(base.layout, max_sequences=8), workload=rate)


_HOSTS = (
    "ryzen 9 7950x, 2x32GB ddr5-5200", "core i9-14900k, 2x32GB ddr5-5600", "epyc 7551, 8x32GB ddr4-2666",
    "epyc 9654, 12x64GB ddr5-4800", "2x xeon platinum 8480+, 16x64GB ddr5-4800",
    "threadripper pro 5975wx, 8x32GB ddr4-3200",
    "xeon e5-2690 v4, 4x32GB ddr4-2400", "raspberry pi 5",
)  # fmt: skip


def _cpu_cases() -> Iterator[GridCase]:
    layout = Layout(_LLAMA, "q4_k_m", gpus=0, offload=CPU_ONLY)
    for host in _HOSTS:
        for name, kind in (("llama-3.1-8b", "q4_k_m"), ("llama-3.2-1b", "q4_0"), ("qwen3-30b-a3b", "q4_k_m")):
            yield GridCase(host, name, kind, replace(layout, quantisation=kind))
    for engine in (_IK, _KT):
        for host in _HOSTS[:1] + _HOSTS[3:5]:
            yield GridCase(host, "deepseek-v2-lite", "q4_k_m", replace(layout, engine=engine))
    two = _HOSTS[4]
    for policy in (NumaPolicy.INTERLEAVE, NumaPolicy.DUPLICATE, NumaPolicy.UNBOUND_MEMORY):
        yield GridCase(two, "llama-3.1-8b", "q4_k_m", replace(layout, numa=policy), note=policy.value)
    for threads in (4, 16, 200):
        yield GridCase(two, "llama-3.1-8b", "q4_k_m", replace(layout, threads=threads), note=f"{threads} threads")
    yield GridCase(two, "llama-3.1-8b", "q4_k_m", replace(layout, huge_pages=True), note="huge pages")
    yield GridCase(two, "llama-3.1-8b", "q4_k_m", layout, _DEEP)
    yield GridCase(two, "llama-3.1-8b", "bf16", replace(layout, engine=_VLLM, quantisation="bf16"), note="served")


def _hybrid_cases() -> Iterator[GridCase]:
    machine = "rtx 4090, 2x xeon platinum 8480+, 16x64GB ddr5-4800"
    small = "rtx 4090, ryzen 9 7950x, 4x48GB ddr5-3600"
    experts = Layout(_LLAMA, "q4_k_m", offload=EXPERTS_ON_CPU)
    for engine in (_LLAMA, _IK, _KT):
        for name in ("deepseek-r1", "qwen3-235b-a22b"):
            yield GridCase(machine, name, "q4_k_m", replace(experts, engine=engine))
            yield GridCase(
                machine, name, "q4_k_m", replace(experts, engine=engine, ubatch_tokens=4096), note="ubatch 4096"
            )
        yield GridCase(small, "gpt-oss-120b", "mxfp4_moe", replace(experts, engine=engine, quantisation="mxfp4_moe"))
    for slot in ("pcie 3.0 x16", "pcie 4.0 x4", "pcie 5.0 x16"):
        line = f"rtx 5090 {slot}, epyc 9654, 12x64GB ddr5-4800"
        yield GridCase(line, "deepseek-r1", "q4_k_m", experts)
    for layers in (8, 40):
        offload = Offload(gpu_layers=layers)
        yield GridCase(
            small, "llama-3.3-70b", "q4_k_m", Layout(_LLAMA, "q4_k_m", offload=offload), note=f"{layers} layers"
        )
    some = Offload(cpu_expert_layers=20)
    yield GridCase(
        small, "gpt-oss-120b", "mxfp4_moe", Layout(_LLAMA, "mxfp4_moe", offload=some), note="20 expert layers"
    )


_SERVED = (
    ("rtx 4090, ryzen 9 7950x", "llama-3.1-8b", "fp8", 1), ("l4, xeon gold 6248", "llama-3.1-8b", "fp8", 1),
    ("a100 80gb sxm, epyc 7543", "llama-3.1-8b", "bf16", 1),
    ("8x h100 sxm, 2x xeon platinum 8480+", "llama-3.3-70b", "fp8", 8),
    ("8x h200 sxm, 2x epyc 9575f", "deepseek-r1", "fp8", 8), ("8x h100 sxm, 2x epyc 7551", "llama-3.3-70b", "fp8", 4),
    ("8x b200, 2x xeon 6960p", "deepseek-r1", "fp4", 8), ("8x mi300x, 2x epyc 9654", "qwen3-235b-a22b", "fp8", 8),
    ("4x rtx 3090, epyc 7543", "qwen3-32b", "awq", 4), ("2x rtx pro 6000, epyc 9575f", "gpt-oss-120b", "mxfp4", 2),
)  # fmt: skip


def _serving_cases() -> Iterator[GridCase]:
    for machine, name, kind, ranks in _SERVED:
        layout = Layout(_VLLM, kind, "fp8", ranks, ranks, batch_tokens=8192, max_sequences=256)
        for load in (Workload("one user", 1, 1024, 256), Workload("64 users", 64, 1024, 256)):
            for engine in (_VLLM, _SGLANG):
                yield GridCase(machine, name, kind, replace(layout, engine=engine), load)
    for engine in (_TRT, _SGLANG):
        layout = Layout(engine, "fp8", "fp8", 8, 8, expert_parallel=8, batch_tokens=8192, max_sequences=512)
        yield GridCase(
            _SERVED[4][0], "deepseek-r1", "fp8", layout, Workload("256 users", 256, 4096, 512), "experts parallel"
        )


def _serving_switches() -> Iterator[GridCase]:
    machine, name, kind, ranks = _SERVED[3]
    base = Layout(_VLLM, kind, "fp8", ranks, ranks, batch_tokens=8192, max_sequences=256)
    load = Workload("32 users", 32, 2048, 512)
    changes: Mapping[str, Mapping[str, Any]] = {
        "tp 2": {"gpus": 2, "tensor_parallel": 2},
        "tp 4 pp 2": {"tensor_parallel": 4, "pipeline_parallel": 2},
        "tp 4 dp 2": {"tensor_parallel": 4, "data_parallel": 2},
        "attention dp 4": {"attention_data_parallel": 4},
        "kv f16": {"kv_type": "f16"},
        "chunks of 512": {"batch_tokens": 512},
        "speculation": {"options": (("acceptance", "0.7"), ("speculative_tokens", "3"))},
        "eager": {"cuda_graphs": False},
        "disaggregated": {"gpus": 8, "tensor_parallel": 4, "prefill_gpus": 4},
    }
    for note, change in changes.items():
        yield GridCase(machine, name, kind, replace(base, **change), load, note)
    rate = Workload("4 requests/s", 1, 2048, 512, request_rate=4.0)
    yield GridCase(machine, name, kind, base, rate)
    yield GridCase(machine, name, kind, base, replace(rate, name="400 requests/s", request_rate=400.0))
    yield GridCase(machine, name, kind, base, Workload("long", 64, 32768, 1024))
    moe = GridCase(_SERVED[4][0], "deepseek-r1", "fp8", replace(base, engine=_SGLANG), load)
    yield moe
    yield replace(
        moe, layout=replace(moe.layout, attention_data_parallel=8, expert_parallel=8), note="dp attention, ep"
    )


@lru_cache(maxsize=256)
def _machine(line: str) -> Any:
    return inputs.machine(line)


def request_of(case: GridCase) -> Request:
    """The question of a point."""
    built, kind = model(case.model), quantisation(case.weights)
    layout = replace(case.layout, quantisation=kind.id)
    return Request(_machine(case.machine), built, weights(built, kind), layout, case.workload)


def predictions() -> dict[str, dict[str, Any]]:
    """Every point's numbers, by label."""
    calibration = bundled()
    return {case.label: numbers(estimate(request_of(case), calibration)) for case in cases()}


def numbers(found: Estimate) -> dict[str, Any]:
    """What the grid holds of an estimate: rates with intervals, parts by name, memory by device."""
    rates = {
        name: [_short(getattr(found, name).value), _short(getattr(found, name).high / getattr(found, name).low)]
        for name in ("decode_tok_s", "prefill_tok_s", "ttft_s", "total_tok_s")
    }
    memory = {device.device: _short(device.needed_bytes) for device in found.memory.devices}
    return {
        **rates,
        "limited_by": str(found.limited_by),
        "decode": _parts(found.decode),
        "prefill": _parts(found.prefill),
        "memory": memory,
    }


def _parts(terms: Any) -> dict[str, float]:
    parts: dict[str, float] = {}
    for term in terms:
        parts[term.name] = parts.get(term.name, 0.0) + term.seconds
    return {name: _short(seconds) for name, seconds in parts.items()}


def _short(value: float) -> float:
    return float(f"{value:.6g}")


@dataclass(frozen=True, slots=True)
class Difference:
    """One number, or word, that is not as the grid has it. `before` or `now` is None where it is new or gone."""

    label: str
    path: str
    before: Any
    now: Any

    @property
    def ratio(self) -> float | None:
        """Now over before, where both are numbers."""
        if isinstance(self.before, float | int) and isinstance(self.now, float | int) and self.before:
            return self.now / self.before
        return None

    def __str__(self) -> str:
        ratio = self.ratio
        factor = "" if ratio is None else f"  x{ratio:.3f}"
        return f"{self.label}: {self.path} {self.before} -> {self.now}{factor}"


def differences(before: Mapping[str, Any], now: Mapping[str, Any]) -> list[Difference]:
    """Numbers that differ by more than `TOLERANCE`, words that differ, points that are new or gone."""
    found = []
    for label in dict.fromkeys((*before, *now)):
        old, new = _flat(before.get(label, {})), _flat(now.get(label, {}))
        for path in dict.fromkeys((*old, *new)):
            if not _same(old.get(path), new.get(path)):
                found.append(Difference(label, path, old.get(path), new.get(path)))
    return found


def _flat(value: Any, path: str = "") -> dict[str, Any]:
    if isinstance(value, Mapping):
        items = value.items()
    elif isinstance(value, list):
        items = dict(zip(("value", "interval"), value, strict=True)).items()
    else:
        return {path: value}
    return {key: leaf for name, part in items for key, leaf in _flat(part, f"{path}.{name}" if path else name).items()}


def _same(before: Any, now: Any) -> bool:
    if isinstance(before, float | int) and isinstance(now, float | int):
        return abs(now - before) <= TOLERANCE * max(abs(before), abs(now))
    return bool(before == now)


def load() -> dict[str, Any]:
    """The committed grid."""
    return dict(json.loads(GRID.read_text()))


def dumped(found: Mapping[str, Any]) -> str:
    """The file's text: one point a paragraph, one group of numbers a line."""
    blocks = []
    for label, point in found.items():
        lines = [f"  {json.dumps(name)}: {json.dumps(value)}" for name, value in point.items()]
        blocks.append(f" {json.dumps(label)}: {{\n" + ",\n".join(lines) + "\n }")
    return "{\n" + ",\n".join(blocks) + "\n}\n"


def summary(changes: list[Difference]) -> list[str]:
    """How many points moved and by how much, by engine and rate."""
    ratios: dict[str, list[float]] = {}
    for one in changes:
        rate = one.path.removesuffix(".value")
        if one.ratio is not None and rate in ("decode_tok_s", "prefill_tok_s", "ttft_s"):
            ratios.setdefault(f"{one.label.partition(' | ')[0]} {rate}", []).append(one.ratio)
    return [
        f"{name}: {len(found)} points, x{min(found):.2f} .. x{max(found):.2f}, median x{statistics.median(found):.2f}"
        for name, found in sorted(ratios.items())
    ]


def main() -> int:
    """Write the grid, or print what has changed; 1 where something has."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--write", action="store_true", help="take today's predictions as the grid")
    parser.add_argument("--diff", action="store_true", help="print every number that differs")
    parser.add_argument("--summary", action="store_true", help="print only how far rates moved, by engine")
    args = parser.parse_args()
    now = predictions()
    found = differences(load() if GRID.exists() else {}, now)
    lines = summary(found) if args.summary or args.write else [str(one) for one in found]
    sys.stdout.write("".join(f"{line}\n" for line in lines))
    if args.write:
        GRID.parent.mkdir(exist_ok=True)
        GRID.write_text(dumped(now))
    return 1 if found and not args.write else 0


if __name__ == "__main__":
    sys.exit(main())
