"""A fleet of a thousand written machines with twenty faults of ten kinds: are all found, nothing else, and how fast?

    python benchmarks/fleet_scale.py [COUNT] [MODEL]

Aims: 1,000 snapshots on two cores within a minute, memory flat. Prints seconds, peak memory of the parent and of its
workers, and what was found against what was put in.
"""

from __future__ import annotations

import random
import resource
import sys
import tempfile
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests/fleet"))
sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from emulated_fleet import FAULTS, fleet

from wellfed.topology.snapshot_io import save
from wellfed.verbs.fleets import fleet_check


def main() -> None:
    """Measure and print."""
    count = int(sys.argv[1]) if len(sys.argv) > 1 else 1000
    model = sys.argv[2] if len(sys.argv) > 2 else None
    chosen = random.Random(19).sample(range(count), 2 * len(FAULTS))
    faults = dict(zip(chosen, list(FAULTS) * 2, strict=True))
    with tempfile.TemporaryDirectory() as folder:
        packed: dict[int, bytes] = {}
        for label, node in fleet(count, faults):
            path = Path(folder) / f"{label}.tar.gz"
            if id(node) not in packed:
                save(node, path)
                packed[id(node)] = path.read_bytes()
            path.write_bytes(packed[id(node)])
        size = sum(path.stat().st_size for path in Path(folder).iterdir())
        start = time.perf_counter()
        checked = fleet_check(Path(folder), model)
        wall = time.perf_counter() - start
    odd = {o.label for b in checked.builds for o in b.odd}
    wanted = {f"node-{number:04d}" for number in faults}
    own, children = (
        resource.getrusage(who).ru_maxrss / 1024 for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)
    )
    print(f"{count} machines ({size / 1e6:.1f} MB): {wall:.1f} s; peak {own:.0f} MiB, a worker {children:.0f} MiB")
    print(f"builds: {len(checked.builds)}; odd: {len(odd)}; put in: {len(wanted)}")
    print(f"found: {len(odd & wanted)}, missed: {sorted(wanted - odd)}, false: {sorted(odd - wanted)}")


if __name__ == "__main__":
    main()
