"""Faults that this machine cannot have, made on the real engine in a virtual machine of two NUMA nodes.

Its kernel has control groups of version 2 only, so that quotas and limits are read from those, too. Emulated CPUs know
no remote memory: what is proven is that the placement is seen and named, not what it costs.
"""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest

from launch.guest import boot
from make_gguf import write
from wellfed.watching.trace import read
from wellfed.watching.watcher import replay

pytestmark = [pytest.mark.qemu, pytest.mark.engine]

WANTED = {
    "numa-remote": "numa-remote",  # threads on node 0, pages on node 1
    "numa-cached": "numa-remote",  # bound, but the file was in the page cache of the other node
    "numa-one-node": "numa-remote",  # threads on both, pages on one
    "numa-local": "cpu-bound",
    "numa-even": "cpu-bound",
    "cpu-quota": "cpu-quota",
    "paging": "paging",
}


@pytest.fixture(scope="module")
def guest(tmp_path_factory: pytest.TempPathFactory) -> str:
    """What the guest printed."""
    if importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("the embedded engine is not installed")
    folder = tmp_path_factory.mktemp("guest")
    model = write(folder / "small.gguf", "small", "q8_0")
    return boot(folder, Path(__file__).with_name("guest_watch.py"), str(model), *WANTED, "command")


def said(guest: str, name: str) -> dict[str, Any]:
    """The diagnosis of a fault."""
    lines = [line for line in guest.splitlines() if line.startswith(f"SAID {name} ")]
    assert lines, guest[-3000:]
    found: dict[str, Any] = json.loads(lines[0].removeprefix(f"SAID {name} "))
    return found


@pytest.mark.parametrize("name", WANTED)
def test_each_fault_is_told_from_the_others(guest: str, name: str) -> None:
    found = said(guest, name)
    if "missing" in found:
        pytest.skip(found["missing"])
    assert found["id"] == WANTED[name], found


def test_the_evidence_is_where_threads_and_pages_are(guest: str) -> None:
    first, *_ = said(guest, "numa-remote")["evidence"]
    assert first.startswith("threads run on node 0; pages: node 0 ")
    assert int(first.split("node 1 ")[1].split()[0]) > 80


def test_a_recording_says_the_same_elsewhere(guest: str, tmp_path: Path) -> None:
    start = "TRACE numa-remote "
    lines = [line.removeprefix(start) for line in guest.splitlines() if line.startswith(start)]
    trace = tmp_path / "trace.jsonl"
    trace.write_text("\n".join(lines) + "\n")
    samples = read(trace).samples
    assert [found.id for _, found in replay(samples, len(samples))][-1] == "numa-remote"


def test_the_command_names_it_with_its_fix(guest: str) -> None:
    found = said(guest, "command")
    assert "error" not in found, found["error"]
    assert (found["id"], found["code"]) == ("numa-remote", 1)
    assert any("numactl" in line for line in found["finding"]["fix"])
