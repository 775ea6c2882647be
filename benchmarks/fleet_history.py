"""How often a change of speed is found, and how often one is claimed that is none; and how long a large round takes.

    python benchmarks/fleet_history.py [SERIES] [NODES]

Written series of a week in buckets of ten minutes: noise of 3 % that holds on (autocorrelation 0.6), a load that swings
between one and fifteen requests, and a fault of 12 % in half of them. Then a round over NODES exporters (one real
server, asked under that many names) and the history over them.
"""

from __future__ import annotations

import math
import random
import resource
import sys
import tempfile
import time
from pathlib import Path
from statistics import median

from wellfed.fleet.exporters import Exporter as Where
from wellfed.fleet.level import Point, shifts, slope
from wellfed.verbs.fleet_watching import KeepOptions, history, keep

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/fleet"))

from written_exporters import Clock, nodes


def series(count: int, fault: float, at: int, seed: int) -> list[Point]:
    """Speeds of one running sequence."""
    chance, drift, found = random.Random(seed), 0.0, []
    for number in range(count):
        drift = 0.6 * drift + chance.gauss(0, 0.03)
        running = 1 + 6 * (1 + math.sin(number / 23)) + 2 * chance.random()
        speed = 60 * math.exp(drift) * running**-0.3 * (fault if number >= at else 1)
        found.append(Point(number * 600.0, speed, running))
    return found


def statistics(count: int) -> None:
    """False alarms, hits, and where."""
    start = time.perf_counter()
    false = sum(bool(shifts(points, slope(points))) for points in (series(1000, 1, 0, seed) for seed in range(count)))
    each = (time.perf_counter() - start) / count
    hits = [found for seed in range(count) if (found := shifts(points := series(1000, 0.88, 700, seed), slope(points)))]
    off = sorted(abs(found[0].at / 600 - 700) for found in hits)
    share = median(found[0].ratio for found in hits)
    print(f"{count} series of 1000: {false} false alarms, {len(hits)} of {count} changes of 12 % found, "
          f"off by {median(off):.0f} buckets (at most {off[-1]:.0f}), "
          f"told as {100 * (1 - share):.1f} %; {1000 * each:.0f} ms each")  # fmt: skip


def rounds(count: int, number: int = 40) -> None:
    """Seconds of a round, and of the comparison."""
    with tempfile.TemporaryDirectory() as folder, nodes(1) as fleet:
        fleet[0].tell(random.Random(1))
        where = [Where(f"node{place}", fleet[0].where.address) for place in range(count)]
        clock = Clock()
        took = []
        start = time.perf_counter()
        for _ in keep(where, KeepOptions(Path(folder) / "h", every_s=300, rounds=number), clock, clock.sleep):
            took.append(time.perf_counter() - start)
            fleet[0].tell(random.Random(len(took)))
            start = time.perf_counter()
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        start = time.perf_counter()
        found = history(Path(folder) / "h", 86400, (), clock.now)
        compared = time.perf_counter() - start
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
    print(f"{count} exporters: a round {median(took):.1f} s, {number} rounds {size / 1e6:.1f} MB, "
          f"the history of {len(found.replicas)} replicas {compared:.1f} s, peak {peak:.0f} MiB")  # fmt: skip


if __name__ == "__main__":
    statistics(int(sys.argv[1]) if len(sys.argv) > 1 else 300)
    rounds(int(sys.argv[2]) if len(sys.argv) > 2 else 1000)
