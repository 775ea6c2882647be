"""A `wellfed serve` of its own, in a process."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def started(workers: int = 2) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """Where it answers, and the process; it is interrupted at the end."""
    process = subprocess.Popen(
        [sys.executable, "-m", "wellfed", "serve", "--port", "0", "--workers", str(workers)],
        stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True,
    )  # fmt: skip
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip(), process
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
