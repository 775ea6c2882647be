"""How long the first sentence in another language takes: its catalogue read, in a fresh interpreter, against 5 ms.

    python benchmarks/catalogue_load.py [--language zh] [--repeats 20]

The clock runs inside the interpreter, around the first translation: the catalogue's file, its index, one text. What
English pays for the same sentence is printed beside it, and what a later sentence costs. Compile the catalogues first
(`python scripts/messages.py compile`).
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
from statistics import median

PROMISED_MS = 5.0
# a fresh interpreter prints the seconds of its first translation and of the 200 that follow it, each
_TIMED = """
from time import perf_counter
from wellfed.message import message
from wellfed.messages.words import words
said = message("limit.memory-bandwidth", "memory bandwidth")
begun = perf_counter()
text = words(said)
first = perf_counter() - begun
for _ in range(200):
    words(said)
print(first, (perf_counter() - begun - first) / 200, text != str(said))
"""


def once(language: str) -> tuple[float, float, bool]:
    """Milliseconds of the first sentence and of a later one, and whether it was translated."""
    done = subprocess.run(
        [sys.executable, "-c", _TIMED],
        env=os.environ | {"WELLFED_LANG": language},
        capture_output=True,
        text=True,
        check=True,
    )
    first, later, translated = done.stdout.split()
    return float(first) * 1e3, float(later) * 1e3, translated == "True"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--language", default="zh")
    parser.add_argument("--repeats", type=int, default=20)
    settings = parser.parse_args()
    once(settings.language)  # files are in the page cache, modules are compiled
    runs = [once(settings.language) for _ in range(settings.repeats)]
    english = median(once("en")[0] for _ in range(settings.repeats))
    taken = sorted(first for first, _, _ in runs)
    print(
        f"first sentence in {settings.language}: {median(taken):.2f} ms (median of {len(taken)}; "
        f"{taken[0]:.2f} to {taken[-1]:.2f}), in en {english:.2f} ms"
    )
    print(f"a later sentence: {median(later for _, later, _ in runs) * 1e3:.1f} us")
    print(f"ratio to the promise of {PROMISED_MS:g} ms: {median(taken) / PROMISED_MS:.2f}")
    return 0 if median(taken) < PROMISED_MS and all(translated for _, _, translated in runs) else 1


if __name__ == "__main__":
    sys.exit(main())
