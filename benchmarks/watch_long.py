"""A long watch: `python benchmarks/watch_long.py` replays a recorded hour, then watches a day at a hundredfold pace.

Prints seconds and memory: of `watch --replay` of the hour (a sample a second) by a process of its own, for a small
machine and for a server; and resident memory in the course of the day (86,400 samples through window, diagnosis, page
for Prometheus and recorder), which must stay flat.
"""

# ruff: noqa: E402  the tests' scenes are found first
from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT), str(ROOT / "tests")]

from tests.watch.scenes import QUIET, Scene, T

from wellfed.watching.export import prometheus_text
from wellfed.watching.sample import Sample
from wellfed.watching.trace import Recorder
from wellfed.watching.watcher import Sliding

_HOUR, _DAY = 3600, 86_400
_PACE = 100.0
_FLAT = 0.05


def server(cpus: int) -> Scene:
    """A machine of many CPUs, with forty threads of an engine."""
    return replace(QUIET, cpus=cpus, threads=tuple(T(0.1, cpu=number % cpus) for number in range(40)))


def resident_bytes() -> int:
    """Of this process, now."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * resource.getpagesize()


def hour(name: str, scene: Scene) -> None:
    """Record one, and replay it."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "hour.jsonl"
        with path.open("w") as file:
            recorder = Recorder(file, name)
            for second in range(_HOUR):
                recorder.write(*scene.samples(1, 1000.0 + second))
        size = path.stat().st_size
        begin, before = time.monotonic(), resource.getrusage(resource.RUSAGE_CHILDREN)
        words = [sys.executable, "-m", "wellfed", "watch", "--replay", str(path), "--json"]
        subprocess.run(words, stdout=subprocess.DEVNULL, check=False)
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = used.ru_utime + used.ru_stime - before.ru_utime - before.ru_stime
        print(
            f"an hour of {name} ({size / 1e6:.0f} MB): {time.monotonic() - begin:.1f} s, {cpu:.1f} s of a core, "
            f"{used.ru_maxrss / 1024:.0f} MiB"
        )


def day(pace: float | None) -> bool:
    """A day of samples, no faster than `pace` times real time; whether memory stayed flat after the first hour."""
    sliding, seen = Sliding(21), []
    begin = time.monotonic()
    with tempfile.TemporaryFile("w") as file:
        recorder = Recorder(file, "day")
        for number, sample in enumerate(_samples()):
            sliding.add(sample)
            diagnosis = sliding.diagnose()
            recorder.write(sample)
            prometheus_text("day", diagnosis)
            if number % _HOUR == _HOUR - 1:
                seen.append(resident_bytes())
                file.seek(0)
                file.truncate()
            if pace is not None and number % 100 == 0:
                time.sleep(max(0.0, number / pace - (time.monotonic() - begin)))
    growth = max(seen) / seen[0] - 1
    print(
        f"a day in {time.monotonic() - begin:.0f} s: {seen[0] / 1e6:.1f} MB after an hour, {max(seen) / 1e6:.1f} MB "
        f"at most later, {seen[-1] / 1e6:.1f} MB at the end ({100 * growth:+.1f} %)"
    )
    return growth <= _FLAT


def _samples() -> Iterator[Sample]:
    for second in range(_DAY):
        yield from QUIET.samples(1, 1000.0 + second)


if __name__ == "__main__":
    hour("a small machine", QUIET)
    hour("a server of 64 CPUs", server(64))
    hour("a server of 128 CPUs", server(128))
    sys.exit(not day(None if "--fast" in sys.argv else _PACE))
