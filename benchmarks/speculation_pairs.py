"""What drafting tokens is predicted to do, held against measured pairs.

python benchmarks/speculation_pairs.py TABLE.csv

The table has a row a pair: engine, model, quant, gpu, gpu_count, method, draft_tokens, acceptance, tok_s_off, tok_s_on,
concurrency. Nothing was fitted to it. Printed: rows read, the median error of the ratio on/off, the bias, how often
"faster" and "slower" are told rightly, each by method; rows that cannot be asked with the reason.
"""

from __future__ import annotations

import csv
import math
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from statistics import median

from wellfed.errors import WellfedError
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS
from wellfed.planner import speculate
from wellfed.verbs import inputs, planning

_METHODS = {"suffix": "ngram", "ngram": "ngram", "mtp": "mtp", "eagle": "eagle", "eagle3": "eagle", "nextn": "mtp"}


def engine_of(text: str) -> Engine | None:
    """The engine of a row."""
    names = {
        "vllm": Engine.VLLM,
        "sglang": Engine.SGLANG,
        "llama.cpp": Engine.LLAMA_CPP,
        "ik_llama": Engine.IK_LLAMA_CPP,
    }
    return next((engine for name, engine in names.items() if name in text.lower()), None)


def acceptance_of(text: str) -> float | None:
    """The chance of one drafted token, where a share is told."""
    share = float(text.rstrip("%")) / 100 if text.endswith("%") else float(text) if text else 0.0
    return share if 0 < share <= 1 else None


def predicted(row: dict[str, str]) -> float:
    """Tokens/s with drafts against without. Raises WellfedError, or ValueError with a reason, where there is none."""
    engine, method = engine_of(row["engine"]), row["method"].lower()
    if engine is None:
        raise ValueError(f"engine {row['engine']}")
    kind = next((name for key, name in _METHODS.items() if method.startswith(key)), None)
    if kind is None:
        raise ValueError(f"method {method}")
    count, users = int(row["gpu_count"] or 1), int(row["concurrency"] or 1)
    tokens = int(float(row["draft_tokens"] or 3))
    host = "2x xeon 8480, 1tb" if count > 2 else "ryzen 9 7950x, 128gb"
    on = f"{count}x {row['gpu']}, {host}"
    load = replace(PRESETS["chat"], concurrency=users)
    pins = (f"tp={count}",) if count > 1 and engine in (Engine.VLLM, Engine.SGLANG) else ()
    options = planning.PlanOptions(
        on=on, engines=(engine,), quantisations=(row["quant"],) if row["quant"] else (), workload=load, pins=pins,
        speculate="none", least_quality_bits=0.0,
    )  # fmt: skip
    search, _ = planning.search(row["model"], options, inputs.machine(on))
    plain = search.run().best
    if plain is None:
        raise ValueError("does not fit")
    guess = speculate.read(f"{kind}@{tokens}")
    if guess is None:
        raise ValueError("nothing drafts")
    told = acceptance_of(row["acceptance"])
    layout = replace(plain.layout, speculation=speculate.completed(guess, plain.model, plain.weights, None, told))
    from wellfed.nouns.plan import Request

    drafted = search.estimate(Request(plain.machine, plain.model, plain.weights, layout, plain.workload))
    return plain.estimate.tpot_s.value / drafted.tpot_s.value


def pairs(path: Path) -> Iterator[tuple[str, float, float] | str]:
    """(method, predicted, measured), or why not."""
    with path.open() as lines:
        for row in csv.DictReader(lines):
            if not row["tok_s_off"] or not row["tok_s_on"]:
                yield "no pair"
                continue
            try:
                yield row["method"], predicted(row), float(row["tok_s_on"]) / float(row["tok_s_off"])
            except (WellfedError, ValueError) as error:
                yield str(error)[:70]


def main(path: Path) -> None:
    """Errors by method, and what could not be asked."""
    found: dict[str, list[tuple[float, float]]] = defaultdict(list)
    skipped: Counter[str] = Counter()
    for pair in pairs(path):
        if isinstance(pair, str):
            skipped[pair] += 1
        else:
            found[pair[0]].append(pair[1:])
            found["all"].append(pair[1:])
    for method, values in found.items():
        errors = [math.log(a / b) for a, b in values]
        right = sum((a > 1) == (b > 1) for a, b in values) / len(values)
        off = math.exp(median(abs(error) for error in errors)) - 1
        print(f"{method:24} {len(values):4} pairs  median error {off:6.1%}  bias {math.exp(median(errors)) - 1:+6.1%}  "
              f"faster or slower right {right:5.0%}")  # fmt: skip
    for reason, count in skipped.most_common():
        print(f"  {count:3} not asked: {reason}")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
