"""Predicted against measured on the embedded engine: buffers, resident memory, prefill and decode.

    python benchmarks/embedded_engine.py [--folder FOLDER] [--models smollm2,qwen2-1.5b,...] [--json OUT]

Models of real shapes with random weights are written once to FOLDER (about 15 GB for all). Speeds are predicted three
times: from this machine's memory bandwidth alone, with the machine's calibration fitted on the other models, and with
one fitted on all of them. Run it on an idle machine: engine threads that wait for a core stop all others.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from make_gguf import write
from wellfed.bench.calibrate import Measured, fitted
from wellfed.bench.memory import MemoryReport
from wellfed.catalog.calibration import bundled
from wellfed.launch.cores import idle_cores
from wellfed.launch.demo import demo_file
from wellfed.launch.logged import buffers
from wellfed.launch.process import free_port
from wellfed.launch.proof import placement
from wellfed.launch.service import end, serve
from wellfed.units import MIB, format_bandwidth
from wellfed.verbs import inputs, measuring
from wellfed.verbs.bringing_up import asked
from wellfed.verbs.calibrating import SCENARIOS, figures, observed, parameters
from wellfed.verbs.running import Prepared, RunOptions, prepare

RECIPES = {"qwen2-1.5b": "q8_0", "qwen2-7b": "q4_k_m", "deepseek-v2-lite": "q4_k_m"}
SHORT = ((32, 24), (256, 4))  # for models of which a long prompt takes minutes
TERMS = {"model": "weights", "KV": "kv", "compute": "compute", "output": "output"}


@dataclass(frozen=True)
class Seen:
    """One model's run."""

    name: str
    prepared: Prepared
    resident: int
    logged: dict[tuple[str, str], float]
    measured: tuple[Measured, ...]


def file_of(name: str, folder: Path) -> Path:
    """The model's file, written when it is not there."""
    if name == "smollm2":
        return demo_file()
    path = folder / f"{name}-{RECIPES[name]}.gguf"
    return path if path.exists() else write(path, name, RECIPES[name])


def run(name: str, path: Path, memory: MemoryReport, requests: int, threads: int | None, memory_only: bool) -> Seen:
    """Start as `wellfed run` does, with a verbose log, and ask."""
    options = RunOptions(context=4096, port=free_port(), threads=threads)
    prepared = prepare(str(path), options)
    machine = figures(memory).of(prepared.plan.machine)
    prepared = replace(
        prepared,
        plan=replace(prepared.plan, machine=machine),
        spec=replace(prepared.spec, argv=(*prepared.spec.argv, "--verbose")),
    )
    service = serve(prepared.spec, name, 600)
    try:
        found: list[Measured] = []
        asked(prepared, 600, 4)  # longer than a micro-batch: every buffer is touched, and few prompts are kept yet
        resident = placement(service.engine.pid).resident_bytes or 0
        scenarios = SHORT if path.stat().st_size > 3e9 else SCENARIOS
        for prompt, output in () if memory_only else scenarios:
            found += observed(prepared.plan, asked(prepared, prompt, output, requests))
        log = Path(service.running.log).read_text(errors="replace")
        return Seen(name, prepared, resident, buffers(log), tuple(found))
    finally:
        end(service.running)


def memory_rows(seen: Seen) -> list[tuple[str, float, float]]:
    """(what, predicted, measured) in bytes: every logged buffer, and the resident memory."""
    ram = next(d for d in seen.prepared.plan.estimate.memory.devices if d.device == "ram")
    by_name = {term.name: term for term in ram.terms}
    rows = [
        (f"{backend} {kind}", by_name[TERMS[kind]].bytes, size)
        for (backend, kind), size in seen.logged.items()
        if backend != "CPU_REPACK"
    ]
    repacked = seen.logged.get(("CPU_REPACK", "model"), 0.0)
    cached = sum(term.cached_bytes for term in ram.terms)
    return [*rows, ("CPU_REPACK model", cached, repacked), ("resident", ram.resident_bytes, seen.resident)]


def speed_rows(seen: Sequence[Seen]) -> list[tuple[str, float, float, float, float]]:
    """(what, measured, from memory alone, fitted on the other models, fitted on all)."""
    base = bundled()
    whole = base.with_parameters(_fit(seen))
    rows = []
    for one in seen:
        others = [other for other in seen if other is not one]
        unseen = base.with_parameters(_fit(others)) if others else base
        rows += [(m.what, m.value, m.predict(base), m.predict(unseen), m.predict(whole)) for m in one.measured]
    return rows


def _fit(seen: Sequence[Seen]) -> dict[str, float]:
    keys: dict[str, float] = {}
    for one in seen:
        keys |= parameters(one.prepared.plan, bundled())
    return fitted(bundled(), keys, [m for one in seen for m in one.measured])


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--folder", type=Path, default=Path("models"))
    parser.add_argument("--models", default="smollm2,qwen2-1.5b,qwen2-7b,deepseek-v2-lite")
    parser.add_argument("--requests", type=int, default=2)
    parser.add_argument("--threads", type=int)
    parser.add_argument("--memory", action="store_true", help="One prompt longer than a ubatch, and no speeds.")
    parser.add_argument("--json", type=Path)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    print(f"idle cores before: {idle_cores():.1f}")
    report = measuring.memory(inputs.machine(), 256 * 2**20)
    small = format_bandwidth(report.small_pages_bytes_per_s)
    print(f"read {format_bandwidth(report.best())}, small pages {small}; {(report.clock_hz or 0) / 1e9:.2f} GHz")
    seen, memory = [], []
    for name in arguments.models.split(","):
        path = file_of(name, arguments.folder)
        print(f"{name}: idle cores {idle_cores():.1f}", flush=True)
        seen.append(run(name, path, report, arguments.requests, arguments.threads, arguments.memory))
        for what, predicted, measured in memory_rows(seen[-1]):
            memory.append((name, what, predicted, measured))
            off = predicted / measured - 1 if measured else 0.0
            print(f"  {what:<22} {predicted / MIB:10.2f} {measured / MIB:10.2f} MiB {off:+8.2%}", flush=True)
    if arguments.memory:
        return
    print(f"{'':<64} {'measured':>9} {'memory':>15} {'others':>15} {'all':>15}")
    speeds = speed_rows(seen)
    for what, measured, *predicted in speeds:
        print(f"{what:<64} {measured:9.1f} " + " ".join(f"{p:8.1f} {p / measured - 1:+6.0%}" for p in predicted))
    if arguments.json:
        arguments.json.write_text(
            json.dumps({"figures": asdict(figures(report)), "memory": memory, "speed": speeds}, indent=1)
        )


if __name__ == "__main__":
    main()
