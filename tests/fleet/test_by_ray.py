"""Gathering through a Ray cluster of several nodes in one machine."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.fleet.by_ray import gather_by_ray
from wellfed.fleet.gather import Gathering
from wellfed.topology.snapshot_io import load

pytestmark = [
    pytest.mark.ray,
    pytest.mark.skipif(
        os.environ.get("WELLFED_RAY") != "1",
        reason="starts a Ray cluster, whose driver a busy machine may end: WELLFED_RAY=1 pytest tests/fleet/test_by_ray.py",
    ),
]


@pytest.fixture(scope="module")
def cluster() -> Iterator[Any]:
    pytest.importorskip("ray", reason="needs the ray package")
    from ray.cluster_utils import Cluster

    made = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "include_dashboard": False})
    for _ in range(2):
        made.add_node(num_cpus=1)
    made.connect()
    yield made
    import ray

    ray.shutdown()
    made.shutdown()


def test_one_task_a_node(cluster: Any, tmp_path: Path) -> None:
    outcomes = gather_by_ray((), Gathering(tmp_path, at_a_time=2))
    assert len(outcomes) == 3
    for outcome in outcomes:
        assert outcome.file is not None and not outcome.partial
        assert load(outcome.file).files
    assert all(outcome.from_before for outcome in gather_by_ray((), Gathering(tmp_path)))


def test_a_node_that_hangs_costs_only_itself(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellfed.fleet.by_ray.script", lambda: "sleep 30\n")
    outcomes = gather_by_ray((), Gathering(tmp_path, timeout_s=2.0))
    assert [outcome.file for outcome in outcomes] == [None] * 3
    assert all("no answer within" in str(outcome.why) for outcome in outcomes)


def test_a_node_that_floods_costs_only_itself(cluster: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("wellfed.fleet.by_ray.script", lambda: "cat /dev/zero\n")
    monkeypatch.setattr("wellfed.fleet.by_ray.MOST_BYTES", 1_000_000)
    outcomes = gather_by_ray((), Gathering(tmp_path, timeout_s=30.0))
    assert ["sent more than" in str(outcome.why) for outcome in outcomes] == [True] * 3


def test_from_the_command_line(cluster: Any, tmp_path: Path) -> None:
    words = ["fleet", "snapshot", "--ray", "--out", str(tmp_path / "out")]
    done = CliRunner().invoke(cli, words)
    assert done.exit_code == 0, done.output
    assert "3 of 3 nodes" in done.output
    again = CliRunner().invoke(cli, words)
    assert "3 from before" in again.output
    assert CliRunner().invoke(cli, ["fleet", "check", str(tmp_path / "out")]).exit_code in (0, 1)


def test_an_unknown_node_is_refused(cluster: Any, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no living node"):
        gather_by_ray(("elsewhere",), Gathering(tmp_path))
