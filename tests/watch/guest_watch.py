"""Runs in the two-node guest: makes the faults that are named, watches them, and prints what was seen and said.

    guest_watch.py MODEL.gguf FAULT ...

A line `TRACE FAULT {...}` for each line of a recording, and a line `SAID FAULT {...}` for each diagnosis. The fault
`command` is numa-remote again, watched by the command line.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import watch_faults as lab
from watch_lab import Lab

from wellfed.engines.spec import Binding, MemoryPolicy
from wellfed.watching.sample import Sample
from wellfed.watching.trace import Recorder
from wellfed.watching.watcher import replay

SECONDS = 12.0


def said(name: str, model: Path) -> dict[str, Any]:
    """What is diagnosed of a fault."""
    if lab.missing(name):
        return {"missing": lab.missing(name)}
    samples = lab.paging_of(model, 0, SECONDS) if name == "paging" else lab.FAULTS[name](model, 0, SECONDS)
    for line in recorded(name, samples).splitlines():
        print(f"TRACE {name} {line}")
    *_, (_, found) = replay(samples, len(samples))
    engine = found.view.engine
    return {
        "id": found.id,
        "evidence": [text for cause in found.causes[:1] for text in cause.sign.evidence],
        "why": found.why_unknown or [cause.rule.id for cause in found.causes[1:]],
        "tok_s": engine.tok_s if engine else None,
        "samples": len(samples),
    }


def recorded(name: str, samples: list[Sample]) -> str:
    """The samples as a trace."""
    file = io.StringIO()
    recorder = Recorder(file, name)
    for sample in samples:
        recorder.write(sample)
    return file.getvalue()


def command(model: Path) -> dict[str, Any]:
    """`wellfed watch --pid` on an engine whose pages are on the wrong node."""
    (_, cpus), (there, _) = lab.nodes()[:2]
    binding = Binding(cpus, (there,), MemoryPolicy.BIND)
    with contextlib.closing(Lab(model, binding=binding, words=("--no-mmap",)).start()) as engine:
        engine.users(1)
        words = [sys.executable, "-m", "wellfed", "watch", "--pid", str(engine.pid), "--for", "12s", "--json"]
        done = subprocess.run(words, capture_output=True, text=True, check=False)
    if done.returncode > 1 or not done.stdout:
        return {"error": done.stderr}
    answer = json.loads(done.stdout.splitlines()[-1])
    return {"id": answer["diagnosis"], "finding": answer["findings"][0], "code": done.returncode}


def main() -> None:
    """Each fault in turn. This process, its users and its watch stay off the first node, where the threads run."""
    os.sched_setaffinity(0, lab.nodes()[-1][1])
    model = Path(sys.argv[1])
    for name in sys.argv[2:]:
        begin = time.monotonic()
        found = command(model) if name == "command" else said(name, model)
        print(f"SAID {name} {json.dumps({**found, 'seconds': round(time.monotonic() - begin, 1)})}", flush=True)


main()
