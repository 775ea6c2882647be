"""A model over several nodes: who drags the group down, by its cards or by its network, and by how much."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from click.testing import CliRunner
from emulated_fleet import FAULTS, healthy, snapshot

from machines_builder import Box, gpu, root_port
from samples import few
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.fleet.checked import Group
from wellfed.fleet.network import network
from wellfed.topology.snapshot_io import save
from wellfed.verbs.fleets import fleet_check

RUN = CliRunner()
MODEL = "deepseek-ai/DeepSeek-R1"  # too large for four cards of 80 GB in any form that is served
_PLACE = "/sys/devices/pci0000:d0/0000:d0:01.0/0000:d1:00.0/infiniband/mlx5_0"


def node(rate: str = "400 Gb/sec (4X NDR)", state: str = "4: ACTIVE") -> Box:
    """Four A100s and one InfiniBand port."""
    card = gpu("0000:d1:00.0", ids=(0x15B3, 0x1021), class_code=0x020700, now=(5, 16), best=(5, 16))
    port = root_port("0000:d0:01.0", numa=0, below=(card,), now=(5, 16), best=(5, 16))
    files = {
        f"{_PLACE}/ports/1/rate": f"{rate}\n",
        f"{_PLACE}/ports/1/state": f"{state}\n",
        f"{_PLACE}/ports/1/link_layer": "InfiniBand\n",
    }
    links = {
        f"{_PLACE}/device": "../..",
        "/sys/class/infiniband/mlx5_0": f"../../{_PLACE.removeprefix('/sys/')}",
    }
    box = healthy()
    return replace(box, pci=(*box.pci[:4], port), files={**box.files, **files}, links=links)


@pytest.fixture(scope="module")
def fleet_of(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """A folder of nodes n0, n1, ... as they were given."""

    def made(*boxes: Box) -> Path:
        folder = tmp_path_factory.mktemp("group")
        for number, box in enumerate(boxes):
            save(snapshot(box), folder / f"n{number}.tar.gz")
        return folder

    return made


@pytest.fixture(scope="module")
def one_slow_port(fleet_of: Callable[..., Path]) -> Path:
    return fleet_of(node(), node(), node("100 Gb/sec (4X EDR)"), node())


@pytest.mark.slow
def test_alone_a_slow_port_slows_nothing(one_slow_port: Path) -> None:
    checked = fleet_check(one_slow_port, MODEL, workers=1)
    assert [odd.label for odd in checked.builds[0].odd] == ["n2"]
    assert checked.slow == ()


@pytest.mark.parametrize("told", few([None, "400Gb"], 2))
def test_a_slow_port_drags_its_group_down(one_slow_port: Path, told: str | None) -> None:
    group = Group(2, network(told) if told else None)
    checked = fleet_check(one_slow_port, MODEL, workers=1, group=group)
    (slow,) = checked.slow
    assert slow.node.label == "n2"
    assert slow.node.decode_tok_s is not None and slow.node.decode_tok_s < 0.99 * slow.usual_tok_s
    others = {each.decode_tok_s for each in checked.nodes if each.label != "n2"}
    assert others == {slow.usual_tok_s}


@pytest.mark.slow
def test_a_network_that_is_told_is_what_the_sound_ones_have(one_slow_port: Path) -> None:
    rates = [
        fleet_check(one_slow_port, MODEL, workers=1, group=Group(2, network(rate))).nodes[0].decode_tok_s or 0.0
        for rate in ("100Gb", "400Gb", "1600Gb")
    ]
    assert rates[0] < rates[1] < rates[2]


def test_a_fault_costs_what_its_node_is_below_its_build(fleet_of: Callable[..., Path]) -> None:
    """All nodes run one plan, the usual machine's; a node's own best plan would hide a part of the loss."""
    folder = fleet_of(healthy(), FAULTS["a link of eight lanes"](healthy()), healthy())
    checked = fleet_check(folder, MODEL, workers=1)
    (slow,) = checked.slow
    assert slow.node.label == "n1"
    costs = {fault.id: fault.cost.decode_tok_s for fault in checked.faults if fault.cost}
    assert costs["pcie-width"] == pytest.approx(slow.usual_tok_s - (slow.node.decode_tok_s or 0.0), rel=0.01)


def test_from_the_command_line(one_slow_port: Path) -> None:
    words = ["fleet", "check", str(one_slow_port), "--model", MODEL, "--group", "2"]
    done = RUN.invoke(cli, words)
    assert done.exit_code == 1, done.output
    said = " ".join(done.output.split())
    assert "a group of 2 nodes waits at each step for its slowest" in said
    assert "n2: " in said and "its build usually" in said
    document = json.loads(RUN.invoke(cli, [*words, "--json"]).stdout)
    assert document["group_nodes"] == 2
    assert [slow["label"] for slow in document["slow"]] == ["n2"] and document["slowest"] == "n2"


def test_without_any_network_it_is_asked_for(fleet_of: Callable[..., Path]) -> None:
    bare = replace(node(), files=healthy().files, links={}, pci=healthy().pci[:4])
    with pytest.raises(BadInput, match="needs a network"):
        fleet_check(fleet_of(bare, bare), MODEL, workers=1, group=Group(2))


@pytest.mark.parametrize(
    ("words", "says"), [(("--group", "2"), "--model"), (("--network", "400Gb"), "--group"), (("--group", "1"), "1")]
)
def test_options_that_need_each_other(one_slow_port: Path, words: tuple[str, ...], says: str) -> None:
    done = RUN.invoke(cli, ["fleet", "check", str(one_slow_port), *words])
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
    assert says in f"{done.exception} {done.output}"
