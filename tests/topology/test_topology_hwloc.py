"""Counts, memory and cpusets of hwloc's captured machines equal lstopo's."""

from __future__ import annotations

import os
import shutil
import subprocess
import tarfile
from pathlib import Path
from xml.etree import ElementTree

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines_builder import Box, build
from samples import few
from wellfed.topology.collect import collect
from wellfed.topology.lists import cpu_mask
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import load
from wellfed.topology.to_json import counts, topology_json

LSTOPO = shutil.which("lstopo-no-graphics") or shutil.which("lstopo")
pytestmark = [pytest.mark.hwloc, pytest.mark.skipif(LSTOPO is None, reason="needs lstopo (Debian package hwloc)")]
CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "machines" / "hwloc"


def _by_size() -> list[str]:
    """The captures' names, the smallest first."""
    return [path.name for path in sorted(CAPTURES.glob("*.tar.*"), key=lambda path: (path.stat().st_size, path.name))]


def oracle(root: Path) -> ElementTree.Element | None:
    """lstopo's XML of the tree, None where lstopo cannot read it."""
    assert LSTOPO is not None
    environment = {**os.environ, "HWLOC_FSROOT": str(root), "HWLOC_COMPONENTS": "linux,stop"}
    done = subprocess.run([LSTOPO, "--of", "xml"], env=environment, capture_output=True, check=False)
    return ElementTree.fromstring(done.stdout) if done.returncode == 0 and done.stdout else None


def facts_of(xml: ElementTree.Element) -> dict[str, object]:
    kinds = [element.get("type") for element in xml.iter("object")]
    nodes = [element for element in xml.iter("object") if element.get("type") == "NUMANode"]
    return {
        "packages": kinds.count("Package"),
        "cores": kinds.count("Core"),
        "pus": kinds.count("PU"),
        "numa": {
            int(node.get("os_index") or 0): (int(node.get("local_memory") or 0), _cpus(node.get("cpuset")))
            for node in nodes
        },
    }


def _cpus(mask: str | None) -> tuple[int, ...] | None:
    return cpu_mask(mask)


def ours(found: dict[str, object]) -> dict[str, object]:
    nodes = found["numa_nodes"]
    assert isinstance(nodes, list)
    numbers = found["counts"]
    assert isinstance(numbers, dict)
    return {
        **{key: numbers[key] for key in ("packages", "cores", "pus")},
        "numa": {node["os_index"]: (node["memory_bytes"] or 0, tuple(node["cpus"])) for node in nodes},
    }


@pytest.mark.shared
@pytest.mark.parametrize("name", few(_by_size() or ["absent"], 4))
def test_captured_machine_equals_lstopo(name: str, shared: Path, tmp_path: Path) -> None:
    archive = shared / "machines" / "hwloc" / name
    with tarfile.open(archive) as members:
        members.extraction_filter = getattr(tarfile, "tar_filter", None)  # Python before 3.11.4 has none
        members.extractall(tmp_path)
    root = tmp_path if (tmp_path / "sys").is_dir() else next(tmp_path.iterdir())
    xml = oracle(root)
    if xml is None:
        pytest.skip("lstopo does not read this one")
    expected = facts_of(xml)
    assert ours(topology_json(parse(load(archive)))) == expected
    assert ours(topology_json(parse(collect(root)))) == expected


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    sockets=st.integers(1, 3),
    nodes=st.sampled_from([1, 2]),
    cores=st.sampled_from([2, 4]),
    threads=st.integers(1, 2),
    offline=st.sets(st.integers(1, 20), max_size=4),
)
def test_built_machine_equals_lstopo(
    tmp_path_factory: pytest.TempPathFactory, sockets: int, nodes: int, cores: int, threads: int, offline: set[int]
) -> None:
    gone = frozenset(cpu for cpu in offline if cpu < sockets * cores * threads)
    root = build(
        Box(sockets=sockets, cores=cores, threads=threads, nodes=nodes, offline=gone), tmp_path_factory.mktemp("box")
    )
    xml = oracle(root)
    assert xml is not None
    machine = parse(collect(root))
    assert ours(topology_json(machine)) == facts_of(xml)
    assert counts(machine)["pus"] == sockets * cores * threads - len(gone)
