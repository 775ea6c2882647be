"""`wellfed serve` under load: so many clients ask for plans of a 7B, each as soon as its last answer came.

    python benchmarks/serve_load.py [--clients 50] [--seconds 30]

Prints errors, latencies, how much memory grows after the first third, and the time from starting the server to its
first answer, beside what is asked. Exits with 1 where any is missed. Clients share the machine's cores with the server.
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import json
import signal
import statistics
import subprocess
import sys
import time
import urllib.request
from dataclasses import dataclass, field
from urllib.parse import urlsplit

import psutil

MODEL = "deepseek-r1-distill-qwen-7b"
MACHINES = (
    "rtx 3060 12gb, ryzen 5 5600, 32gb", "rtx 4090, ryzen 9 7950x, 64gb", "rtx 4080, core i7-13700k, 64gb",
    "2x rtx 3090, ryzen 9 5950x, 128gb", "apple m2 max 64gb", "rx 7900 xtx, ryzen 7 7700x, 32gb",
    "a100 pcie 40gb, epyc 7543, 256gb", "core i5-13600k, 64gb",
)  # fmt: skip
MOST_P95_S, MOST_GROWTH, MOST_START_S = 5.0, 0.10, 1.5


@dataclass
class Seen:
    """What the clients met."""

    seconds: list[float] = field(default_factory=list)
    errors: list[str] = field(default_factory=list)


def started() -> tuple[subprocess.Popen[str], str, float]:
    """The server, its address, and the seconds from its start to its first answer."""
    begin = time.perf_counter()
    process = subprocess.Popen(
        [sys.executable, "-m", "wellfed", "serve", "--port", "0"], stdout=subprocess.PIPE, text=True
    )
    if process.stdout is None:
        raise SystemExit("the server prints nothing")
    url = process.stdout.readline().strip()
    with urllib.request.urlopen(f"{url}api/v1/plan", data=_body(0)) as answer:
        answer.read()
    return process, url, time.perf_counter() - begin


def _body(number: int) -> bytes:
    """A question: machines in turn, and so many users that answers differ."""
    asked = {"model": MODEL, "on": MACHINES[number % len(MACHINES)], "concurrency": 1 + number // len(MACHINES) % 16}
    return json.dumps(asked).encode()


def memory_bytes(process: psutil.Process) -> int:
    """Of the server and all its processes; what they share counts once."""
    total = 0
    for one in (process, *process.children(recursive=True)):
        try:
            total += one.memory_full_info().pss
        except psutil.Error:
            continue
    return total


async def client(url: str, numbers: itertools.count[int], end: float, seen: Seen) -> None:
    """One connection, kept."""
    parts = urlsplit(url)
    reader, writer = await asyncio.open_connection(parts.hostname, parts.port)
    while time.perf_counter() < end:
        body = _body(next(numbers))
        head = f"POST /api/v1/plan HTTP/1.1\r\nHost: {parts.netloc}\r\nContent-Length: {len(body)}\r\n\r\n"
        begin = time.perf_counter()
        writer.write(head.encode() + body)
        try:
            status = (await reader.readline()).split()[1]
            length = 0
            while (line := await reader.readline()) not in (b"\r\n", b""):
                name, _, value = line.partition(b":")
                length = int(value) if name.lower() == b"content-length" else length
            text = await reader.readexactly(length)
        except (OSError, IndexError, asyncio.IncompleteReadError) as error:
            seen.errors.append(repr(error))
            return
        seen.seconds.append(time.perf_counter() - begin)
        if status != b"200" or not text.startswith(b"{"):
            seen.errors.append(f"{status!r} {text[:80]!r}")
    writer.close()


async def load(url: str, server: psutil.Process, clients: int, seconds: float) -> tuple[Seen, list[int]]:
    """Ask for so long; memory each second."""
    seen, numbers, memory = Seen(), itertools.count(), []
    end = time.perf_counter() + seconds
    asking = [asyncio.create_task(client(url, numbers, end, seen)) for _ in range(clients)]
    while time.perf_counter() < end:
        await asyncio.sleep(1)
        memory.append(await asyncio.to_thread(memory_bytes, server))
    await asyncio.gather(*asking)
    return seen, memory


def main() -> None:
    """Measure and compare."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--clients", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=30.0)
    given = parser.parse_args()
    process, url, start_s = started()
    try:
        server = psutil.Process(process.pid)
        seen, memory = asyncio.run(load(url, server, given.clients, given.seconds))
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(20)
    p95 = statistics.quantiles(seen.seconds, n=20)[-1]
    early, late = memory[len(memory) // 3], max(memory[len(memory) // 3 :])
    growth = late / early - 1
    rows = (
        ("start to first answer, s", start_s, MOST_START_S, f"{start_s:.2f}"),
        ("errors", len(seen.errors), 0, str(len(seen.errors))),
        ("p95, s", p95, MOST_P95_S, f"{p95:.2f}"),
        ("memory growth after a third", growth, MOST_GROWTH, f"{growth:.1%}"),
    )
    print(
        f"{given.clients} clients, {given.seconds:.0f} s: {len(seen.seconds)} answers, "
        f"median {statistics.median(seen.seconds):.2f} s, memory {early / 1e6:.0f} to {late / 1e6:.0f} MB"
    )
    for name, value, most, shown in rows:
        print(f"{'ok    ' if value <= most else 'MISSED'} {name:30} {shown:>8}   asked <= {most:g}")
    for error in seen.errors[:3]:
        print(error, file=sys.stderr)
    sys.exit(any(value > most for _, value, most, _ in rows))


if __name__ == "__main__":
    main()
