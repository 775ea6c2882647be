"""Gathering by SSH from two virtual machines, whose only shell and programs are busybox's."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest
from ssh_guests import started

from wellfed.verbs import inputs

pytestmark = pytest.mark.qemu

# Two sockets with a NUMA node each, and one socket: what qemu is told is what the snapshots must say.
KINDS = {
    "wide": ("-m", "1024", "-smp", "4,sockets=2,cores=2", "-object", "memory-backend-ram,id=m0,size=512M", "-object",
             "memory-backend-ram,id=m1,size=512M", "-numa", "node,nodeid=0,cpus=0-1,memdev=m0", "-numa",
             "node,nodeid=1,cpus=2-3,memdev=m1"),
    "small": ("-m", "512", "-smp", "2,sockets=1,cores=2"),
}  # fmt: skip


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, str]]:
    with ExitStack() as stack:
        place = started(tmp_path_factory.mktemp("guests"), KINDS, stack)
        yield {**os.environ, "PATH": f"{place}{os.pathsep}{os.environ['PATH']}"}


def wellfed(environment: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    argv = [sys.executable, "-m", "wellfed", "fleet", *words]
    return subprocess.run(argv, env=environment, capture_output=True, text=True, check=False)


def test_two_guests_are_gathered_as_they_are(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = wellfed(environment, "snapshot", *KINDS, "--names", "--out", str(out))
    assert done.returncode == 0, done.stdout + done.stderr
    wide, small = (inputs.captured(out / f"{name}.tar.gz") for name in KINDS)
    assert [len(machine.sockets) for machine in (wide, small)] == [2, 1]
    assert [len(machine.numa_nodes) for machine in (wide, small)] == [2, 1]
    assert [len(machine.cpus) for machine in (wide, small)] == [4, 2]
    assert wide.name.startswith("QEMU") and "QEMU" in small.name
    assert small.memory_bytes is not None and 0.8 * 512 * 2**20 < small.memory_bytes <= 512 * 2**20
    assert all(machine.pci for machine in (wide, small))


def test_they_are_checked_and_one_that_is_gone_costs_only_itself(environment: dict[str, str], tmp_path: Path) -> None:
    out = tmp_path / "out"
    done = wellfed(environment, "snapshot", *KINDS, "nowhere.invalid", "--out", str(out))
    assert done.returncode == 1 and "2 of 3 nodes" in done.stdout
    document = json.loads(wellfed(environment, "check", str(out), "--json").stdout)
    assert [node["read"] for node in document["nodes"]] == [True, True, False]
    (build,) = document["builds"]
    assert len(build["nodes"]) == 2 and build["product"].startswith("QEMU")
    assert {"system memory", "system sockets"} <= {f"{each['subject']} {each['trait']}" for each in build["mixed"]}
