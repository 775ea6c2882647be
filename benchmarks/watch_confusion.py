"""The confusion matrix of `wellfed watch`: `python benchmarks/watch_confusion.py MODEL.gguf`.

Each fault is made on the real embedded engine, watched for some seconds, and diagnosed by the last window. Prints a
row per fault and run as it goes, and the matrix at the end; exits with 1 below 95 % right, or when healthy is called
ill.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from pathlib import Path

from watch_faults import FAULTS, expected, kept, missing

from wellfed.watching.diagnose import Diagnosis
from wellfed.watching.sample import Sample
from wellfed.watching.trace import Recorder
from wellfed.watching.watcher import replay


def main() -> int:
    """Run the faults."""
    options = _options()
    chosen = [name for name in FAULTS if not options.only or name in options.only]
    for name in chosen:
        if missing(name):
            print(f"left out: {name}: {missing(name)}", file=sys.stderr)
    chosen = [name for name in chosen if not missing(name)]
    matrix: Counter[tuple[str, str, str]] = Counter()
    for run in range(options.runs):
        for name in chosen:
            samples = FAULTS[name](options.model, options.priority, options.seconds)
            found = _diagnosed(samples, options.seconds)
            matrix[name, expected(name, samples), found.id] += 1
            why = "; ".join(found.causes[0].sign.evidence) if found.causes else found.why_unknown
            print(f"{run + 1} {name:18} -> {found.id:18} {[c.rule.id for c in found.causes[1:]]} {why}", flush=True)
            if name in ("memory-contention", "busy-neighbour"):
                print(f"  work per CPU second kept: {kept(samples):.0%}")
            if options.traces:
                _record(options.traces / f"{name}-{run + 1}.jsonl", name, samples)
    return _print(matrix, chosen)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--only", nargs="*", default=[])
    parser.add_argument("--priority", type=int, default=0, help="nice value of the engine; negative needs root")
    parser.add_argument("--traces", type=Path, help="keep each run's samples in this folder")
    return parser.parse_args()


def _diagnosed(samples: list[Sample], seconds: float) -> Diagnosis:
    window = round(seconds / 0.5)
    return [found for _, found in replay(samples, window)][-1]


def _record(path: Path, name: str, samples: list[Sample]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w", encoding="utf-8") as file:
        recorder = Recorder(file, name)
        for sample in samples:
            recorder.write(sample)


def _print(matrix: Counter[tuple[str, str, str]], chosen: list[str]) -> int:
    print(f"\n{'fault':18} {'right':18} said")
    for name in chosen:
        for (fault, wanted, found), count in sorted(matrix.items()):
            if fault == name:
                print(f"{fault:18} {wanted:18} {found} {count}")
    total = sum(matrix.values())
    right = sum(count for (_, wanted, found), count in matrix.items() if wanted == found)
    fine = ("cpu-bound", "no-demand", "unknown")
    ill = sum(count for (_, wanted, found), count in matrix.items() if wanted == "cpu-bound" and found not in fine)
    print(f"\nright: {right} of {total} ({right / total:.1%}); healthy called ill: {ill}")
    return 0 if right >= 0.95 * total and not ill else 1


if __name__ == "__main__":
    sys.exit(main())
