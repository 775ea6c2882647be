"""How long reading machines takes: this one, and a made-up one of 8 sockets, 1,024 CPUs and 16 GPUs.

python benchmarks/topology_scale.py
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from machines_builder import Box, build, channel_slots, downstream, gpu, root_port, switch
from wellfed.topology.collect import collect
from wellfed.topology.machine import live, parse
from wellfed.topology.snapshot_io import load, save
from wellfed.topology.to_json import counts, topology_json

T = TypeVar("T")


def timed(what: str, action: Callable[[], T], repeats: int = 3) -> T:
    """Print the best of some runs."""
    best = float("inf")
    for _ in range(repeats):
        start = time.perf_counter()
        result = action()
        best = min(best, time.perf_counter() - start)
    print(f"{what:<44}{best * 1e3:9.1f} ms")
    return result


def large_box() -> Box:
    """Two GPUs below a switch on each of eight sockets."""
    ports = []
    for socket in range(8):
        bus = socket * 16 + 8
        pair = tuple(downstream(f"0000:{bus + 2:02x}:0{n}.0", gpu(f"0000:{bus + 3 + n:02x}:00.0")) for n in range(2))
        below = (switch(f"0000:{bus + 1:02x}:00.0", pair),)
        ports.append(root_port(f"0000:{bus:02x}:01.0", numa=socket * 2, below=below))
    return Box(8, 64, 2, 2, pci=tuple(ports), slots=channel_slots(8, "ABCDEFGH", 2))


def main() -> None:
    """Print the times."""
    timed("live machine", live, 5)
    with tempfile.TemporaryDirectory() as folder:
        root = build(large_box(), Path(folder) / "root")
        snapshot = timed("large machine: collect and redact", lambda: collect(root))
        machine = timed("large machine: parse", lambda: parse(snapshot))
        timed("large machine: to JSON", lambda: topology_json(machine))
        timed("large machine: save", lambda: save(snapshot, Path(folder) / "large.tar.gz"))
        timed("large machine: load and parse", lambda: parse(load(Path(folder) / "large.tar.gz")))
        size = (Path(folder) / "large.tar.gz").stat().st_size
        print(f"{counts(machine)}, {len(snapshot.files)} files, {size / 1e6:.2f} MB packed")


if __name__ == "__main__":
    main()
