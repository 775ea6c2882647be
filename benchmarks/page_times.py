"""How long the page takes to answer on a warm worker: a new question, and a slider that is moved.

    python benchmarks/page_times.py

Prints the best of three beside what is asked: 200 ms for one or two GPUs, 500 ms for eight. No network and no browser:
what a worker computes and writes.
"""

from __future__ import annotations

import html
import re
import time
from collections.abc import Callable
from typing import Any

import wellfed.serve.preload  # noqa: F401 - as the workers have it
from wellfed.serve.worker import Answer, Job, run

CASES: tuple[tuple[str, str, dict[str, Any], int], ...] = (
    ("qwen3-8b", "rtx 4090, ryzen 9 7950x, 64gb", {}, 200),
    ("llama-3.1-8b", "rtx 3060 12gb, core i5-13600k, 32gb", {}, 200),
    ("qwen3-32b", "2x rtx 4090, ryzen 9 7950x, 64gb", {}, 200),
    ("qwen3-32b", "2x a100 pcie 40gb, epyc 7543, 256gb", {"concurrency": 20}, 200),
    ("qwen3-32b", "8x h100, 2x xeon platinum 8480+, 1tb", {}, 500),
    ("deepseek-r1", "8x h200, 2x xeon platinum 8480+, 2tb", {}, 500),
    ("glm-4.5-air", "8x rtx 3090, 2x epyc 7543, 512gb", {}, 500),
)


def ask(model: str, on: str, task: str = "ask", **more: Any) -> Answer:
    """A worker's page for a query."""
    query = {name.replace("_", "-"): [str(value)] for name, value in {"model": model, "on": on, **more}.items()}
    given = {"query": query, "local": True, "part": "answer", "pages": ()}
    return run(Job((), "en", {}, f"wellfed.serve.page.views:{task}", given))


def best_ms(asked: Callable[[int], Answer]) -> float:
    """The quickest of three questions that were not asked before."""
    times = []
    for number in range(3):
        begin = time.perf_counter()
        answer = asked(number)
        times.append(time.perf_counter() - begin)
        if answer.code != 200:
            raise SystemExit(answer)
    return min(times) * 1e3


def main() -> None:
    """Measure each case."""
    print(f"{'model':14} {'machine':40} {'question':>9} {'slider':>8}   asked <=")
    for model, on, more, most in CASES:
        text = ask(model, on, **more).text
        chosen = {
            name: html.unescape(found[1])
            for name in ("with-engine", "with-weights")
            if (found := re.search(rf'name="{name}" value="([^"]*)"', text))
        }
        question = best_ms(lambda n, m=model, o=on, q=more: ask(m, o, **q, prompt=600 + n))  # type: ignore[misc]
        moved = {**more, **chosen}
        slider = best_ms(lambda n, m=model, o=on, q=moved: ask(m, o, "what_if", **{**q, "clock-at": 70 + 10 * n}))  # type: ignore[misc]
        shown = "".join(f"{value:>7.0f}{' ' if value <= most else '!'} " for value in (question, slider))
        print(f"{model:14} {on:40} {shown}  {most} ms")


if __name__ == "__main__":
    main()
