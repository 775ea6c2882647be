"""What watching costs: `python benchmarks/watch_overhead.py MODEL.gguf [--seconds 30] [--pairs 6]`.

CPU time of the watch at 1 Hz as a share of a core, by part; and tokens/s of the same engine with the watch on and off,
in alternating stretches. Exits with 1 above 1 % of a core.
"""

from __future__ import annotations

import argparse
import contextlib
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

from watch_faults import Lab, get

from wellfed.watching.samplers.cgroup import CgroupSampler
from wellfed.watching.samplers.host import HostSampler
from wellfed.watching.samplers.proc import ProcessSampler
from wellfed.watching.samplers.prometheus import metrics
from wellfed.watching.samplers.sockets import SocketSampler
from wellfed.watching.target import Target
from wellfed.watching.watcher import Sampler, Sliding


def main() -> int:
    """Measure both."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model", type=Path)
    parser.add_argument("--seconds", type=float, default=30.0)
    parser.add_argument("--pairs", type=int, default=6)
    parser.add_argument("--priority", type=int, default=0)
    options = parser.parse_args()
    with contextlib.closing(Lab(options.model, options.priority).start()) as lab:
        lab.users_apart(1)
        time.sleep(2.0)
        _parts(lab)
        share = _share(lab, options.seconds)
        _pairs(lab, options.pairs)
    print(f"\nwatching at 1 Hz uses {share:.2%} of a core")
    return 0 if share <= 0.01 else 1


def _parts(lab: Lab) -> None:
    process, host, group = ProcessSampler(lab.pid), HostSampler(), CgroupSampler(lab.pid)
    parts: dict[str, Callable[[], object]] = {
        "process": process.sample,
        "host": host.sample,
        "cgroup": group.sample,
        "sockets": SocketSampler(lab.port, pid=lab.pid).sample,  # mostly too early to look
    }
    for name, part in parts.items():
        times = []
        for _ in range(30):
            begin = time.thread_time()
            part()
            times.append(time.thread_time() - begin)
            time.sleep(0.1)
        print(f"{name:8} {1e3 * statistics.mean(times):.2f} ms a sample")


def _share(lab: Lab, seconds: float) -> float:
    sliding, judged = Sliding(20), 0.0
    with Sampler(_target(lab), 1.0) as sampler:
        begin, used = time.monotonic(), time.process_time()
        for sample in sampler.every(1.0, seconds):
            sliding.add(sample)
            start = time.thread_time()
            sliding.diagnose()
            judged += time.thread_time() - start
        print(f"judging  {1e3 * judged / seconds:.2f} ms a sample")
        return (time.process_time() - used) / (time.monotonic() - begin)


def _pairs(lab: Lab, pairs: int, stretch_s: float = 5.0) -> None:
    gains = []
    for index in range(pairs):
        rates = {}
        for watched in (index % 2 == 0, index % 2 == 1):
            rates[watched] = _rate(lab, stretch_s, watched)
        gains.append(rates[True] / rates[False] - 1)
    spread = statistics.stdev(gains) if len(gains) > 1 else 0.0
    print(f"steps/s watched against unwatched: {statistics.mean(gains):+.2%} +- {spread / len(gains) ** 0.5:.2%}")


def _rate(lab: Lab, seconds: float, watched: bool) -> float:
    begin, before = time.monotonic(), _steps(lab)
    if watched:
        with Sampler(_target(lab), 1.0) as sampler:
            for _ in sampler.every(1.0, seconds):
                pass
    else:
        time.sleep(seconds)
    return (_steps(lab) - before) / (time.monotonic() - begin)


def _steps(lab: Lab) -> float:
    return metrics(get(lab.port, "/metrics")[1].decode())["llamacpp:n_decode_total"][0]


def _target(lab: Lab) -> Target:
    return Target("lab", lab.pid, f"http://127.0.0.1:{lab.port}", None, "llama.cpp")


if __name__ == "__main__":
    sys.exit(main())
