"""Cut recorded traces to what a test needs: `python benchmarks/watch_trim.py FROM.jsonl TO.jsonl`.

Threads that never ran for 50 ms are left out, and the machine's name of the target is replaced.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

from wellfed.watching.sample import Sample, Thread
from wellfed.watching.trace import Recorder, read


def trimmed(samples: tuple[Sample, ...]) -> list[Sample]:
    """The samples without idle threads."""
    seen: dict[int, list[float]] = {}
    for sample in samples:
        for thread in _threads(sample):
            seen.setdefault(thread.tid, []).append(thread.cpu_s or 0.0)
    hot = {tid for tid, values in seen.items() if max(values) - min(values) >= 0.05}
    return [_only(sample, hot) for sample in samples]


def _threads(sample: Sample) -> tuple[Thread, ...]:
    return (sample.process.threads if sample.process else None) or ()


def _only(sample: Sample, hot: set[int]) -> Sample:
    kept = tuple(thread for i, thread in enumerate(_threads(sample)) if thread.tid in hot or i == 0)
    return replace(sample, process=replace(sample.process, threads=kept)) if sample.process and kept else sample


def main() -> int:
    """Trim one file."""
    source, target = Path(sys.argv[1]), Path(sys.argv[2])
    trace = read(source)
    with target.open("w", encoding="utf-8") as file:
        recorder = Recorder(file, target.stem, trace.header.promise)
        for sample in trimmed(trace.samples):
            recorder.write(sample)
    return 0


if __name__ == "__main__":
    sys.exit(main())
