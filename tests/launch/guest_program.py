"""Runs in the two-node guest: binds processes in every way, starts the engine, and prints where everything is."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

from wellfed.engines.spec import Binding, MemoryPolicy
from wellfed.launch import state
from wellfed.launch.process import bound_prefix
from wellfed.launch.proof import placement
from wellfed.launch.service import end, serve
from wellfed.nouns.layout import NumaPolicy
from wellfed.verbs import as_started, inputs, running

_HOLD = "import time; held = bytearray(b'x') * (64 << 20); print('up', flush=True); time.sleep(60)"


def held(binding: Binding) -> dict[str, Any]:
    """Where a bound process with 64 MiB of its own is."""
    words = [*bound_prefix(binding, detach=False), sys.executable, "-c", _HOLD]
    process = subprocess.Popen(words, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None and process.stdout.readline() == "up\n"
    found = where(process.pid)
    process.kill()
    return found


def where(pid: int) -> dict[str, Any]:
    """CPUs, and anonymous pages by node."""
    found = placement(pid)
    anonymous: dict[int, int] = {}
    for line in Path(f"/proc/{pid}/numa_maps").read_text().splitlines():
        words = dict(word.partition("=")[::2] for word in line.split())
        if "anon" in words:
            for node in (0, 1):
                anonymous[node] = anonymous.get(node, 0) + int(words.get(f"N{node}", 0)) * 4096
    return {"cpus": found.cpus, "pages": dict(found.pages), "anonymous": anonymous}


def engine(model: str) -> dict[str, Any]:
    """`wellfed run`, and where its engine is."""
    command = [sys.executable, "-m", "wellfed", "run", model, "-d", "--context", "4096", "--threads", "2"]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        return {"error": done.stderr}
    (running,) = state.listed()
    found = {**where(running.pid), "said": done.stderr, "command": running.command}
    end(running)
    return found


def on_one_socket(model: str) -> dict[str, Any]:
    """The same plan kept to one socket."""
    prepared = running.prepare(model, running.RunOptions(context=4096, threads=2, port=8081))
    plan = as_started.estimated(prepared.plan, replace(prepared.plan.layout, numa=NumaPolicy.ONE_SOCKET))
    spec = running.launch_spec(plan, prepared.program, model, prepared.spec.endpoint)
    service = serve(spec, "one-socket", 120)
    found = {**where(service.engine.pid), "nodes": spec.binding.nodes, "command": spec.command_line()}
    end(service.running)
    return found


def main() -> None:
    """Everything, as one line of JSON."""
    begin = time.monotonic()
    machine = inputs.machine()
    found = {
        "nodes": [[node.os_index, list(node.cpus)] for node in machine.numa_nodes],
        "bound": [held(Binding((2 * n, 2 * n + 1), (n,), MemoryPolicy.BIND)) for n in (0, 1)],
        "interleaved": held(Binding((0, 1, 2, 3), (0, 1), MemoryPolicy.INTERLEAVE)),
        "engine": engine(sys.argv[1]),
        "one socket": on_one_socket(sys.argv[1]),
        "seconds": time.monotonic() - begin,
    }
    print("RESULT " + json.dumps(found))


main()
