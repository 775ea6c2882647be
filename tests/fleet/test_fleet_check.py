"""A fleet with faults put in: each is found, nothing else, and the same through every door."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest
from click.testing import CliRunner
from emulated_fleet import FAULTS, fleet, healthy, snapshot

from machines_builder import Box
from wellfed.cli.main import cli
from wellfed.fleet.kinds import Member, builds
from wellfed.fleet.traits import UNKNOWN, Trait, family, traits
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import save
from wellfed.verbs.fleets import fleet_check

RUN = CliRunner()
SOUND = 4


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("fleet")
    faults = dict(enumerate(FAULTS))
    for label, node in fleet(SOUND + len(faults), faults):
        save(node, path / f"{label}.tar.gz")
    return path


def test_every_fault_is_found_and_no_other(folder: Path) -> None:
    checked = fleet_check(folder)
    assert len(checked.builds) == 1
    odd = {odd.label: odd for odd in checked.builds[0].odd}
    assert sorted(odd) == [f"node-{number:04d}" for number in range(len(FAULTS))]
    wanted = {  # fault -> the trait that tells it
        "a slot that offers Gen3": ("gpu3", "link"),
        "a link of eight lanes": ("gpu5", "link"),
        "a card is gone": ("system", "gpus"),
        "seven of eight channels": ("socket0", "memory channels"),
        "slow memory": ("socket1", "memory speed"),
        "powersave": ("system", "governor"),
        "NUMA balancing": ("system", "NUMA balancing"),
        "huge pages off": ("system", "transparent huge pages"),
        "CPUs offline": ("system", "offline CPUs"),
        "another firmware": ("system", "firmware"),
    }
    for number, name in enumerate(FAULTS):
        told = {(d.trait.subject, d.trait.name) for d in odd[f"node-{number:04d}"].differences}
        assert wanted[name] in told, (name, told)


def test_processes_or_not_the_answer_is_one(tmp_path: Path) -> None:
    for label, node in fleet(4, {0: next(iter(FAULTS))}):
        save(node, tmp_path / f"{label}.tar.gz")
    assert fleet_check(tmp_path, workers=1) == fleet_check(tmp_path, workers=2)


def test_faults_have_a_price_and_the_slowest_is_named(folder: Path) -> None:
    checked = fleet_check(folder, "llama-3.3-70b")
    prices = {fault.id: fault.cost.decode_tok_s for fault in checked.faults if fault.cost}
    assert prices["pcie-width"] > 0
    rates = [node.decode_tok_s for node in checked.nodes if node.decode_tok_s]
    assert checked.slow[0].node.decode_tok_s == min(rates) < 0.99 * checked.slow[0].usual_tok_s


def test_the_doors(folder: Path, tmp_path: Path) -> None:
    junit, metrics = tmp_path / "f.xml", tmp_path / "f.prom"
    done = RUN.invoke(cli, ["fleet", "check", str(folder), "--junit", str(junit), "--prometheus", str(metrics)])
    assert done.exit_code == 1 and f"{SOUND} alike, {len(FAULTS)} odd" in done.output
    suite = ElementTree.parse(junit).getroot()
    assert suite.get("tests") == str(SOUND + len(FAULTS)) and suite.get("failures") == str(len(FAULTS))
    assert metrics.read_text().count('wellfed_fleet_node_odd{node="node-') == SOUND + len(FAULTS)
    document = json.loads(RUN.invoke(cli, ["fleet", "check", str(folder), "--json"]).output)
    assert document["schema"] == "wellfed.fleet/1"
    assert len(document["builds"][0]["odd"]) == len(FAULTS)


def test_equal_machines_pass(tmp_path: Path) -> None:
    for label, node in fleet(3, {}):
        save(node, tmp_path / f"{label}.tar.gz")
    done = RUN.invoke(cli, ["fleet", "check", str(tmp_path)])
    assert "3 alike" in done.output and "odd" not in done.output


def test_one_bad_file_costs_only_itself(tmp_path: Path) -> None:
    for label, node in fleet(2, {}):
        save(node, tmp_path / f"{label}.tar.gz")
    (tmp_path / "broken.tar.gz").write_bytes(b"\x1f\x8b nothing")
    checked = fleet_check(tmp_path)
    assert [node.label for node in checked.unread] == ["broken"]
    assert RUN.invoke(cli, ["fleet", "check", str(tmp_path)]).exit_code == 1


def _members(count: int, **changed: str) -> list[Member]:
    machine = parse(snapshot(healthy()))
    base = Member("x", family(machine, machine.name), traits(machine))
    return [replace(base, label=str(number)) for number in range(count)]


def test_what_is_not_told_is_no_difference() -> None:
    members = _members(4)
    trait = Trait("gpu0", "link")
    members[0] = replace(members[0], traits={**members[0].traits, trait: UNKNOWN})
    assert builds(members)[0].odd == ()


def test_without_a_usual_value_nobody_is_odd() -> None:
    members = _members(4)
    trait = Trait("system", "kernel")
    values = ["6.8", "6.8", "6.9", "6.9"]
    members = [replace(m, traits={**m.traits, trait: v}) for m, v in zip(members, values, strict=True)]
    build = builds(members)[0]
    assert build.odd == () and build.mixed == ((trait, (("6.8", 2), ("6.9", 2))),)


def test_machines_whose_firmware_tells_no_name_are_one_build(tmp_path: Path) -> None:
    """As virtual machines without DMI: each would be called as its own file is."""
    files = {f"/sys/class/dmi/id/{name}": None for name in ("sys_vendor", "product_name")}
    for number in range(3):
        save(snapshot(_changed(healthy(), files)), tmp_path / f"n{number}.tar.gz")
    (build,) = fleet_check(tmp_path).builds
    assert (build.product, build.equal) == ("", ("n0", "n1", "n2"))


def _changed(box: Box, files: Mapping[str, str | None]) -> Box:
    return replace(box, files={**box.files, **files}, slots=())


def test_what_came_in_part_is_told_and_is_no_kind_of_its_own(tmp_path: Path) -> None:
    for label, node in fleet(3, {}):
        save(node, tmp_path / f"{label}.tar.gz")
    whole = (tmp_path / "node-0002.tar.gz").read_bytes()
    (tmp_path / "node-0002.tar.gz").write_bytes(whole[: len(whole) // 2])
    checked = fleet_check(tmp_path)
    (build,) = checked.builds
    assert build.labels == ("node-0000", "node-0001", "node-0002")
    said = RUN.invoke(cli, ["fleet", "check", str(tmp_path)]).output
    assert "in part" in said and "damaged" in said


def test_a_snapshot_of_a_later_wellfed_says_so(tmp_path: Path) -> None:
    from wellfed.topology.snapshot import META

    for label, node in fleet(3, {}):
        if label == "node-0001":
            node = replace(node, files={**node.files, META: b'{"schema": 99}'})
        save(node, tmp_path / f"{label}.tar.gz")
    notes = {node.label: node.notes for node in fleet_check(tmp_path).nodes}
    assert "later wellfed" in notes["node-0001"][0]
    assert notes["node-0000"] == notes["node-0002"] == ()


def test_what_the_gathering_had_only_in_part_is_told(tmp_path: Path) -> None:
    for label, node in fleet(2, {}):
        save(node, tmp_path / f"{label}.tar.gz")
    nodes = [{"label": "node-0000", "file": "node-0000.tar.gz", "partial": True},
             {"label": "node-0007", "file": None, "why": {"text": "no answer"}}, "nothing", {"label": 3}]  # fmt: skip
    (tmp_path / "fleet.json").write_text(json.dumps({"nodes": nodes}))
    checked = {node.label: node for node in fleet_check(tmp_path).nodes}
    assert "only a part" in checked["node-0000"].notes[0] and checked["node-0001"].notes == ()
    assert "no answer" in str(checked["node-0007"].why)
