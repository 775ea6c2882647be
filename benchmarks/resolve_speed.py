"""How long 200 names take: `wellfed resolve -` as a user starts it, start-up included, against the promised 2 s.

    python benchmarks/resolve_speed.py [--names 200] [--repeats 5]

Names are those of the catalogue's entries in the ways people write them, and unknown ones. Prints the median of the
repeats and its ratio to the promise (below 1 is kept).
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
from statistics import median
from time import perf_counter

from wellfed.catalog.model_tables import entry_ids
from wellfed.catalog.models import entry

PROMISED_S = 2.0
FORMS = ("{repo}", "{id} Q4_K_M", "unsloth/{name}-GGUF:UD-Q4_K_XL", "{name}-IQ3_M.gguf", "{id}", "{name}-of-nobody")


def names(count: int) -> list[str]:
    """`count` names, spread over the catalogue and over the ways of writing them."""
    identities = entry_ids()
    chosen = [entry(identities[index * len(identities) // count]) for index in range(count)]
    return [
        FORMS[index % len(FORMS)].format(repo=facts.repository or facts.id, id=facts.id, name=facts.name)
        for index, facts in enumerate(chosen)
    ]


def once(lines: list[str]) -> tuple[float, int]:
    """Seconds of one run, and how many answers came."""
    begun = perf_counter()
    command = [sys.executable, "-m", "wellfed", "resolve", "-", "--json"]
    done = subprocess.run(command, input="\n".join(lines), capture_output=True, text=True, check=False)
    return perf_counter() - begun, len(json.loads(done.stdout)["names"])


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--names", type=int, default=200)
    parser.add_argument("--repeats", type=int, default=5)
    settings = parser.parse_args()
    lines = names(settings.names)
    once(lines[:1])  # the compiled catalogue is written
    runs = [once(lines) for _ in range(settings.repeats)]
    taken, answered = median(seconds for seconds, _ in runs), min(answers for _, answers in runs)
    promise = PROMISED_S * settings.names / 200
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    cpu = (used.ru_utime + used.ru_stime) / (settings.repeats + 1)
    print(f"{answered} of {settings.names} names in {taken:.2f} s (median of {settings.repeats}; {cpu:.2f} s of CPU)")
    print(f"ratio to the promise of {promise:g} s: {taken / promise:.2f}")
    return 0 if answered == settings.names and taken <= promise else 1


if __name__ == "__main__":
    sys.exit(main())
