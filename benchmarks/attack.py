"""The attack in its long form: `python benchmarks/attack.py [KIND ...]` prints tried, sound and failed by kind.

The short form runs with the other tests (tests/attack); this one takes every input, act and client.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
KINDS = {
    "files": "tests/attack/test_files.py",
    "liars": "tests/attack/test_liars.py",
    "kills": "tests/attack/test_kills.py",
    "any order": "tests/attack/test_machine.py",
    "crowds": "tests/attack/test_crowds.py",
    "lives": "tests/sound/test_lifecycle.py",
    "doors": "tests/sound/test_doors.py",
    "hubs": "tests/launch/test_hub.py",
    "exports": "tests/engines/test_export_safety.py",
}


def attacked(path: str) -> tuple[int, int, list[str], float]:
    """Tried, sound, the names of what failed, and seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", path, "-q", "-rf", "-p", "no:cacheprovider", "-o", "addopts="],
        cwd=ROOT, env={**os.environ, "WELLFED_ATTACK": "long"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    count = {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return sum(count.values()), count.get("passed", 0), failed, time.monotonic() - begin


def main(kinds: list[str]) -> int:
    """A line a kind; 1 when anything failed."""
    print(f"{'kind':<12}{'tried':>7}{'sound':>7}{'failed':>8}{'s':>7}")
    bad = 0
    for kind in kinds or list(KINDS):
        tried, sound, failed, seconds = attacked(KINDS[kind])
        bad += tried - sound + (tried == 0)
        print(f"{kind:<12}{tried:>7}{sound:>7}{tried - sound:>8}{seconds:>7.0f}", flush=True)
        for name in failed:
            print(f"  {name}")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
