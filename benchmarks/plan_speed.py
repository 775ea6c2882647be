"""Cold start and planning speed, whole processes, beside peers where they are installed.

python benchmarks/plan_speed.py [--runs 5] [--peer "COMMAND"]...

Prints the median wall time of each command over the runs (after one that is not counted), in turn A B C A B C, and its
ratio to a bare interpreter that imports what every command line needs. Without --peer, peers found on PATH are tried.
"""

from __future__ import annotations

import argparse
import json
import os
import shlex
import shutil
import statistics
import subprocess
import sys
import time

WELLFED = [sys.executable, "-m", "wellfed"]
BARE = "bare click and rich"
COMMANDS = {
    BARE: [sys.executable, "-c", "import click, rich.table"],
    "wellfed --help": [*WELLFED, "--help"],
    "plan 7B on RTX 4090": [*WELLFED, "plan", "deepseek-r1:7b", "--on", "rtx 4090", "--json"],
    "plan R1 on 8x H200, one user": [*WELLFED, "plan", "deepseek-r1", "--on", "dgx h200", "--json"],
    "plan R1 on three nodes, 64 users": [
        *WELLFED, "plan", "deepseek-r1", "--on", "dgx h200", "--nodes", "3", "--network", "400Gb", "-c", "64", "--json",
    ],
    "fit, the whole catalogue": [*WELLFED, "fit", "--on", "rtx 3060 12gb", "--json"],
    "resolve": [*WELLFED, "resolve", "qwen3-8b", "--json"],
    "catalog gpus": [*WELLFED, "catalog", "gpus", "--json"],
    "run --dry-run": [*WELLFED, "run", "qwen3-8b", "--on", "rtx 4090", "--dry-run"],
    "plan R1 on 8x H200, all batch sizes": [
        *WELLFED, "plan", "deepseek-r1", "--on", "dgx h200", "--for", "throughput", "--workload", "batch", "--json",
    ],
    "plan 70B --buy": [*WELLFED, "plan", "deepseek-r1:70b", "--buy", "--json"],
}  # fmt: skip
# What is wanted, as a multiple of the bare interpreter with what every command line needs.
WANTED = {
    "plan 7B on RTX 4090": 1.8, "plan R1 on 8x H200, one user": 3.5, "plan R1 on three nodes, 64 users": 7.0,
    "fit, the whole catalogue": 17.0, "resolve": 2.5, "catalog gpus": 2.5, "run --dry-run": 2.5,
}  # fmt: skip
PEERS = {"llmfit": "llmfit --help", "hf-mem": "hf-mem --help", "aiconfigurator": "aiconfigurator --help"}


def run(words: list[str]) -> tuple[float, str]:
    """Wall seconds and stdout of one run."""
    begin = time.perf_counter()
    # as installed: compiled
    own = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    done = subprocess.run(words, capture_output=True, text=True, check=False, env=own)
    return time.perf_counter() - begin, done.stdout


def layouts(output: str) -> str:
    """How many layouts or machines a JSON answer looked at."""
    try:
        answer = json.loads(output)
    except ValueError:
        return ""
    count = answer.get("considered") if isinstance(answer, dict) else None
    return "" if count is None else str(count)


def main() -> None:
    """Time everything in turn and print medians and ratios."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--peer", action="append", default=[])
    arguments = parser.parse_args()
    peers = arguments.peer or [command for name, command in PEERS.items() if shutil.which(name)]
    commands = COMMANDS | {f"peer: {command}": shlex.split(command) for command in peers}
    times: dict[str, list[float]] = {name: [] for name in commands}
    looked: dict[str, str] = {}
    for turn in range(arguments.runs + 1):
        for name, words in commands.items():
            seconds, output = run(words)
            looked[name] = layouts(output)
            if turn:
                times[name].append(seconds)
    base = statistics.median(times[BARE])
    print(f"{'command':44} {'median s':>9} {'min':>7} {'max':>7} {'layouts':>8} {'/ bare':>7} {'wanted':>7}")
    for name, found in times.items():
        middle = statistics.median(found)
        wanted = f"{WANTED[name]:.1f}" if name in WANTED else ""
        times_told = f"{middle:9.3f} {min(found):7.3f} {max(found):7.3f}"
        print(f"{name:44} {times_told} {looked[name]:>8} {middle / base:7.1f} {wanted:>7}")


if __name__ == "__main__":
    main()
