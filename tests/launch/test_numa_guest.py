"""Placement proven on two real NUMA nodes, those of a virtual machine, from numa_maps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launch.guest import boot

_INHERITED = 2**20  # the stack that the program was started with lies where its parent ran

pytestmark = [pytest.mark.qemu, pytest.mark.engine]


def test_threads_and_pages_are_where_the_binding_says(tmp_path: Path, tiny: Path) -> None:
    said = boot(tmp_path, Path(__file__).with_name("guest_program.py"), str(tiny))
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    found = json.loads(lines[0].removeprefix("RESULT "))
    assert found["nodes"] == [[0, [0, 1]], [1, [2, 3]]]
    for node, place in enumerate(found["bound"]):
        assert place["cpus"] == [2 * node, 2 * node + 1]
        assert place["anonymous"][str(1 - node)] < _INHERITED
        assert place["anonymous"][str(node)] > 60 * 2**20
    assert even(found["interleaved"]["anonymous"])
    engine = found["engine"]  # so small a model is faster on both sockets, says the estimate
    assert "error" not in engine, engine["error"]
    assert engine["cpus"] == [0, 1, 2, 3] and even(engine["anonymous"])
    assert "--interleave=0-1" in engine["command"] and "on node 0-1" in engine["said"]
    bound = found["one socket"]
    (node,) = bound["nodes"]
    assert bound["cpus"] == [2 * node, 2 * node + 1]
    assert bound["anonymous"][str(1 - node)] < _INHERITED
    assert f"--membind={node}" in bound["command"] and "--numa numactl" in bound["command"]


def even(pages: dict[str, int]) -> bool:
    """Whether two nodes hold about the same."""
    return abs(pages["0"] - pages["1"]) < 0.2 * sum(pages.values())
