"""The engine as wellfed starts it against the same engine started by hand, in pairs.

    python benchmarks/bound_start.py [MODEL.gguf] [--pairs 5]

By hand: the printed command, without a binding. Each pair runs one after the other, its order turned every time; the
ratio of decode rates is what counts. 0.99 or more is the aim: wellfed adds no process on the request path.
"""

from __future__ import annotations

import argparse
import subprocess
from dataclasses import replace
from pathlib import Path
from statistics import median

from wellfed.engines.spec import Binding
from wellfed.launch.demo import demo_file
from wellfed.launch.process import EngineProcess, free_port, stop, wait_ready
from wellfed.launch.service import end, serve
from wellfed.verbs import running
from wellfed.verbs.bringing_up import asked


def by_wellfed(prepared: running.Prepared, requests: int) -> float:
    """Decode rate under `run`."""
    service = serve(prepared.spec, "bound", 600)
    try:
        return asked(prepared, 32, 64, requests).decode_tok_s or 0.0
    finally:
        end(service.running)


def by_hand(prepared: running.Prepared, requests: int) -> float:
    """Decode rate of the same words in a plain process."""
    spec = replace(prepared.spec, binding=Binding())
    with subprocess.Popen(
        spec.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
    ) as own:
        try:
            wait_ready(EngineProcess(spec, own, Path("/dev/null")), 600)
            return asked(prepared, 32, 64, requests).decode_tok_s or 0.0
        finally:
            stop(own.pid)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("model", nargs="?")
    parser.add_argument("--pairs", type=int, default=5)
    parser.add_argument("--requests", type=int, default=4)
    parser.add_argument("--threads", type=int)
    arguments = parser.parse_args()
    ratios = []
    for pair in range(arguments.pairs):
        options = running.RunOptions(context=2048, port=free_port(), threads=arguments.threads)
        prepared = running.prepare(arguments.model or str(demo_file()), options)
        order = [by_wellfed, by_hand] if pair % 2 == 0 else [by_hand, by_wellfed]
        rates = {way: way(prepared, arguments.requests) for way in order}
        ratios.append(rates[by_wellfed] / rates[by_hand])
        print(f"wellfed {rates[by_wellfed]:.1f}, by hand {rates[by_hand]:.1f} tok/s: {ratios[-1]:.3f}", flush=True)
    print(f"median ratio {median(ratios):.3f}")


if __name__ == "__main__":
    main()
