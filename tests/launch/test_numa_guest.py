"""Placement proven on two real NUMA nodes, those of a virtual machine, from numa_maps."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from launch.guest import boot

pytestmark = [pytest.mark.qemu, pytest.mark.engine]


def test_threads_and_pages_are_where_the_binding_says(tmp_path: Path, tiny: Path) -> None:
    said = boot(tmp_path, Path(__file__).with_name("guest_program.py"), str(tiny))
    lines = [line for line in said.splitlines() if line.startswith("RESULT ")]
    assert lines, said[-3000:]
    found = json.loads(lines[0].removeprefix("RESULT "))
    assert found["nodes"] == [[0, [0, 1]], [1, [2, 3]]]
    for node, place in enumerate(found["bound"]):
        assert place["cpus"] == [2 * node, 2 * node + 1]
        assert place["anonymous"][str(1 - node)] == 0
        assert place["anonymous"][str(node)] > 60 * 2**20
    spread = found["interleaved"]["anonymous"]
    assert spread["0"] == pytest.approx(spread["1"], rel=0.1)
    engine = found["engine"]
    assert "error" not in engine, engine["error"]
    chosen = 0 if engine["cpus"] == [0, 1] else 1
    assert engine["cpus"] == [2 * chosen, 2 * chosen + 1]
    assert engine["anonymous"][str(1 - chosen)] == 0
    assert f"--membind={chosen}" in engine["command"] and "--numa numactl" in engine["command"]
    assert f"on node {chosen}" in engine["said"]
