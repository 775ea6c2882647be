"""The attack in its long form: `python benchmarks/attack.py [KIND ...]` prints tried, sound and failed by kind.

Inputs (tests/attack/inputs.py) are run one at a time in a process each and judged by what may be said of them: no
traceback, no hang over 5 s, no peak over 300 MB, no wrong claim. Lives (kills at each act, any order, crowds, clocks,
disks, homes) are the tests of these, in their long form. The short form of both runs with the other tests.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests"))
LIVES = {
    "liars": "tests/attack/test_liars.py",
    "kills": "tests/attack/test_kills.py",
    "any order": "tests/attack/test_machine.py",
    "crowds": "tests/attack/test_crowds.py",
    "clocks, disks": "tests/attack/test_places.py",
    "lives": "tests/sound/test_lifecycle.py",
    "doors": "tests/sound/test_doors.py",
    "hubs' files": "tests/launch/test_hub.py",
    "safe exports": "tests/engines/test_export_safety.py",
}
_SHOWN = 400


def tested(path: str) -> tuple[int, int, list[str], float]:
    """Tried, sound, the names of what failed, and seconds."""
    begin = time.monotonic()
    done = subprocess.run(
        [sys.executable, "-m", "pytest", path, "-q", "-rf", "-p", "no:cacheprovider", "-o", "addopts="],
        cwd=ROOT, env={**os.environ, "WELLFED_ATTACK": "long"}, capture_output=True, text=True, check=False,
    )  # fmt: skip
    count = {what: int(number) for number, what in re.findall(r"(\d+) (passed|failed|error)", done.stdout)}
    failed = re.findall(r"^(?:FAILED|ERROR) (\S+)", done.stdout, re.MULTILINE)
    return sum(count.values()), count.get("passed", 0), failed, time.monotonic() - begin


def line(kind: str, tried: int, sound: int, seconds: float, slowest_s: float = 0.0, peak_bytes: int = 0) -> str:
    """A row of the table."""
    most = f"{slowest_s:>11.1f}{peak_bytes / 1e6:>10.0f}" if peak_bytes else ""
    return f"{kind:<14}{tried:>7}{sound:>7}{tried - sound:>8}{seconds:>7.0f}{most}"


def main(kinds: list[str]) -> int:
    """A line a kind; 1 when anything failed."""
    from attack.inputs import KINDS, run

    print(f"{'kind':<14}{'tried':>7}{'sound':>7}{'failed':>8}{'s':>7}{'slowest s':>11}{'peak MB':>10}")
    bad = every = 0
    for kind in kinds or [*KINDS, *LIVES]:
        if kind in LIVES:
            tried, sound, failed, seconds = tested(LIVES[kind])
            print(line(kind, tried, sound, seconds), flush=True)
        else:
            begin = time.monotonic()
            verdicts = list(run(KINDS[kind](), workers=os.cpu_count() or 1))
            wrong = [verdict for verdict in verdicts if verdict.wrong]
            tried, sound = len(verdicts), len(verdicts) - len(wrong)
            failed = [f"{verdict.name}: {verdict.wrong[:_SHOWN]}" for verdict in wrong]
            slowest = max(verdict.seconds for verdict in verdicts)
            peak = max(verdict.peak_bytes for verdict in verdicts)
            print(line(kind, tried, sound, time.monotonic() - begin, slowest, peak), flush=True)
        every += tried
        bad += tried - sound + (tried == 0)
        for name in failed:
            print(f"  {name}")
    print(f"{every} tried, {bad} failed")
    return 1 if bad else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
