"""What hwloc says of this machine, where it is installed: a second pair of eyes on the counts."""

from __future__ import annotations

import shutil
import subprocess

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import sentence
from wellfed.topology.machine import parse
from wellfed.topology.snapshot import Snapshot
from wellfed.topology.to_json import counts

_PROGRAMS = ("lstopo-no-graphics", "lstopo")
_COMPARED = ("packages", "cores", "pus", "numa_nodes")
_TIMEOUT_S = 10  # seconds for one command: a limit of ours


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """Counts that differ: name -> (ours, hwloc's). `reason` tells why there was no comparison."""

    differences: dict[str, tuple[int, int]]
    reason: str | None = None


def cross_check(machine: Machine) -> CrossCheck:
    """Compare a live machine's counts with lstopo's. Never raises: what cannot be compared has its reason."""
    program = next((path for name in _PROGRAMS if (path := shutil.which(name))), None)
    if program is None:
        return CrossCheck({}, sentence("crosscheck.hwloc-installed", "hwloc is not installed"))
    try:
        process = subprocess.run(
            [program, "--of", "xml", "-"], capture_output=True, text=True, timeout=_TIMEOUT_S, check=False
        )
        snapshot = Snapshot("lstopo", Origin.DUMP, dumps={"lstopo.xml": process.stdout})
        theirs = counts(parse(snapshot))
    except (OSError, subprocess.TimeoutExpired, WellfedError) as error:
        return CrossCheck({}, sentence("crosscheck.lstopo-failed", "lstopo failed: {error}", error=error))
    ours = counts(machine)
    return CrossCheck({name: pair for name in _COMPARED if (pair := _pair(ours[name], theirs[name])) is not None})


def _pair(ours: int | None, theirs: int | None) -> tuple[int, int] | None:
    return (ours, theirs) if ours and theirs and ours != theirs else None
