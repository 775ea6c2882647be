"""A machine that was recorded gives the same findings as the machine itself: nothing is lost on the way to disk."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from machines_builder import Box, build, two_socket_box
from wellfed.checks.run import run_checks
from wellfed.hardware.machine import Machine, Origin
from wellfed.nouns.finding import Finding
from wellfed.topology.collect import collect
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import load, save
from wellfed.topology.to_json import counts


def verdicts(machine: Machine) -> list[tuple[str, str, str, str | None]]:
    return [(f.id, f.subject, f.verdict.value, f.measured) for f in run_checks(machine) if _keeps(f)]


def _keeps(finding: Finding) -> bool:
    """What changes between two looks at a machine that works: how much memory is free."""
    return finding.id not in ("ram-free", "swap")


def recorded(machine_root: Path, folder: Path) -> Machine:
    save(collect(machine_root), folder / "box.tar.gz")
    return parse(load(folder / "box.tar.gz"))


def test_this_machine_recorded_has_the_findings_of_this_machine(tmp_path: Path) -> None:
    live = parse(collect(Path("/"), redacted=False))
    again = recorded(Path("/"), tmp_path)
    assert again.origin is Origin.SNAPSHOT
    assert verdicts(again) == verdicts(live)
    assert (again.os.cpus_allowed, again.os.cpu_quota, again.os.memory_limit_bytes, again.os.memlock_bytes) == (
        live.os.cpus_allowed, live.os.cpu_quota, live.os.memory_limit_bytes, live.os.memlock_bytes,
    )  # fmt: skip
    assert again.os.cpus_allowed is not None


@pytest.mark.parametrize("process", [None, "4711"])
def test_a_built_machine_recorded_has_its_findings(tmp_path: Path, process: str | None) -> None:
    status = "Name:\tx\nCpus_allowed_list:\t0-7,16-23\nMems_allowed_list:\t0-1\n"
    box: Box = replace(two_socket_box(), files={"/proc/self/status": status})
    root = build(box, tmp_path / "root")
    if process:
        own = root / "proc" / "self"
        own.rename(root / "proc" / process)
        own.symlink_to(process)
    bare = parse(collect(root, redacted=False))
    assert verdicts(recorded(root, tmp_path)) == verdicts(bare)
    assert bare.os.cpus_allowed is not None


def test_what_a_partial_capture_lacks_is_not_offline(tmp_path: Path) -> None:
    """Directories of half the CPUs: the others are not captured, which is no fault of theirs."""
    root = build(two_socket_box(), tmp_path / "root")
    cpus = root / "sys" / "devices" / "system" / "cpu"
    for folder in cpus.glob("cpu[0-9]*"):
        if int(folder.name[3:]) % 16 >= 4:
            shutil.rmtree(folder)
    machine = parse(collect(root, redacted=False))
    assert counts(machine)["pus"] == len(machine.cpus) == 8
    assert machine.os.cpus_offline == ()
    assert not [f for f in run_checks(machine) if f.id == "cpu-offline" and f.verdict.value != "pass"]


def test_a_cpuset_of_cpus_that_were_not_captured_hides_nothing(tmp_path: Path) -> None:
    group = "/sys/fs/cgroup"
    files = {
        "/proc/self/cgroup": "0::/\n", "/proc/mounts": f"cgroup2 {group} cgroup2 rw 0 0\n",
        f"{group}/cpuset.cpus.effective": "200-207\n", f"{group}/cpuset.mems.effective": "7\n",
    }  # fmt: skip
    machine = parse(collect(build(replace(two_socket_box(), files=files), tmp_path / "root"), redacted=False))
    assert (counts(machine)["packages"], counts(machine)["numa_nodes"]) == (2, 2)
    assert counts(machine)["cores"] == 16
