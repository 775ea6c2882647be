"""Cold start and planning speed, whole processes, beside peers where they are installed.

python benchmarks/plan_speed.py [--runs 5] [--peer "COMMAND"]...

Prints the median wall time of each command over the runs (after one that is not counted), in turn A B C A B C, and the
ratio of each peer to `wellfed plan`. Without --peer, peers found on PATH are tried.
"""

from __future__ import annotations

import argparse
import json
import shlex
import shutil
import statistics
import subprocess
import sys
import time

WELLFED = [sys.executable, "-m", "wellfed"]
COMMANDS = {
    "wellfed --help": [*WELLFED, "--help"],
    "plan 7B on RTX 4090": [*WELLFED, "plan", "deepseek-r1:7b", "--on", "rtx 4090", "--json"],
    "plan 70B on this machine": [*WELLFED, "plan", "deepseek-r1:70b", "--json"],
    "plan R1 on 8x H200, one user": [*WELLFED, "plan", "deepseek-r1", "--on", "dgx h200", "--json"],
    "plan R1 on 8x H200, all batch sizes": [
        *WELLFED, "plan", "deepseek-r1", "--on", "dgx h200", "--for", "throughput", "--workload", "batch", "--json",
    ],
    "plan 70B --buy": [*WELLFED, "plan", "deepseek-r1:70b", "--buy", "--json"],
}  # fmt: skip
PEERS = {"llmfit": "llmfit --help", "hf-mem": "hf-mem --help", "aiconfigurator": "aiconfigurator --help"}


def run(words: list[str]) -> tuple[float, str]:
    """Wall seconds and stdout of one run."""
    begin = time.perf_counter()
    done = subprocess.run(words, capture_output=True, text=True, check=False)
    return time.perf_counter() - begin, done.stdout


def layouts(output: str) -> str:
    """How many layouts or machines a JSON answer looked at."""
    try:
        answer = json.loads(output)
    except ValueError:
        return ""
    count = answer.get("considered") or answer.get("machines")
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
    base = statistics.median(times["plan 7B on RTX 4090"])
    print(f"{'command':44} {'median s':>9} {'min':>7} {'max':>7} {'layouts':>8} {'/ plan 7B':>10}")
    for name, found in times.items():
        middle = statistics.median(found)
        print(f"{name:44} {middle:9.3f} {min(found):7.3f} {max(found):7.3f} {looked[name]:>8} {middle / base:10.2f}")


if __name__ == "__main__":
    main()
