"""Write an example trace of requests: `python scripts/example_trace.py conversation|coding [COUNT] [RATE] > trace.csv`.

Lengths follow published moments of two production services (P. Patel et al., "Splitwise: Efficient Generative LLM
Inference Using Phase Splitting", ISCA 2024, figure 3: median prompt 1,020 and answer 129 tokens in conversations, 1,500
and 13 in coding; 90th percentiles read off the same figure, *rounded*). The rate is yours; gaps are more bursty than
random ones (coefficient of variation 1.5, *assumed*). The same seed gives the same file.
"""

from __future__ import annotations

import sys

from wellfed.fleet.trace import Moments, drawn, written

SERVICES = {
    "conversation": (1020.0, 3500.0, 129.0, 450.0),
    "coding": (1500.0, 5000.0, 13.0, 70.0),
}


def main() -> None:
    """Print the file."""
    words = [*sys.argv[1:], "", "", ""]
    if words[0] not in SERVICES:
        raise SystemExit(__doc__)
    count, rate = int(words[1] or 5000), float(words[2] or 2.0)
    print(written(drawn(Moments(rate, 1.5, *SERVICES[words[0]]), count, seed=19)), end="")


if __name__ == "__main__":
    main()
