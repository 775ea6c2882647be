"""`wellfed check`, `topology` and `snapshot` as users call them."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import pytest
from check_machines import board, chain, healthy, with_all_gpus, with_gpu, with_link, with_os
from click.testing import CliRunner

from wellfed.cli.check import command as check
from wellfed.cli.console import console, talk
from wellfed.cli.snapshot import command as snapshot
from wellfed.cli.topology import command as topology
from wellfed.documents.findings import check_document
from wellfed.errors import BadInput, UnknownName
from wellfed.hardware.pcie import PcieLink
from wellfed.verbs import checking

PLANNED = "2x rtx 4090, second gpu chipset x4, ryzen 9 7950x, 4x32GB ddr5-5600"


@pytest.fixture
def on(monkeypatch):
    """Run a command on a machine of ours as if it were this one."""

    def run(command, machine, *arguments):
        monkeypatch.setattr(checking, "read_machine", lambda on=None, path=None: machine)
        console.cache_clear()  # another test's may be narrower
        talk.cache_clear()
        return CliRunner().invoke(command, list(arguments), env={"COLUMNS": "100", "NO_COLOR": "1"})

    return run


BROKEN = chain(with_link(1, PcieLink(4, 4)), with_os(numa_balancing=True))


def test_a_healthy_machine_exits_with_0(on):
    result = on(check, healthy())
    assert result.exit_code == 0, result.output
    assert "passed" in result.output and "WARN" not in result.output and "FAIL" not in result.output


def test_faults_exit_with_1_and_are_named_with_their_fix(on):
    result = on(check, BROKEN(healthy()))
    assert result.exit_code == 1
    assert "FAIL pcie-width gpu1" in result.output and "$ sysctl -w kernel.numa_balancing=0" in result.output


def test_alike_findings_are_one_line(on):
    result = on(check, with_all_gpus(persistence=False)(healthy()))
    assert result.output.count("gpu-persistence") == 1 and "gpu0, gpu1, gpu2, gpu3" in result.output


def test_json(on):
    result = on(check, BROKEN(healthy()), "--json", "--ignore", "swap")
    document = json.loads(result.stdout)
    assert document["schema"] == 1
    assert document["machine"]["counts"] == {"packages": 2, "cores": 16, "pus": 32, "numa_nodes": 2, "gpus": 4}
    ids = {finding["id"] for finding in document["findings"]}
    assert "pcie-width" in ids and "swap" not in ids


def test_files_for_other_programs(on, tmp_path):
    result = on(check, BROKEN(healthy()), "--junit", str(tmp_path / "j.xml"), "--prometheus", str(tmp_path / "p.prom"))
    assert result.exit_code == 1
    assert ElementTree.parse(tmp_path / "j.xml").getroot().get("failures") == "2"
    assert 'wellfed_check{check="pcie-width",subject="gpu1",verdict="fail"} 1' in (tmp_path / "p.prom").read_text()
    assert on(check, healthy(), "--prometheus", "-").stdout.startswith("# HELP")
    assert on(check, healthy(), "--junit", str(tmp_path / "no" / "j.xml")).exit_code != 0


def test_fix_prints_a_script_and_changes_nothing(on):
    result = on(check, BROKEN(healthy()), "--fix")
    assert result.stdout.startswith("#!/usr/bin/env bash") and "kernel.numa_balancing=0" in result.stdout


def test_unknown_ids_are_errors_with_near_matches(on):
    result = on(check, healthy(), "--select", "pcie-widht")
    assert isinstance(result.exception, UnknownName) and "pcie-width" in result.exception.near


def test_load_needs_this_machine_and_a_gpu(on):
    assert CliRunner().invoke(check, ["--load", "--on", PLANNED]).exit_code == 2
    result = on(check, healthy(), "--load")
    assert result.exit_code == 0 and "not looked at under load" in result.stderr


def test_a_machine_is_described_or_read_but_not_both():
    with pytest.raises(BadInput):
        checking.read_machine("rtx 4090", Path("x"))
    with pytest.raises(BadInput):
        checking.read_machine(None, Path("/nonexistent/file"))


def test_a_planned_machine_is_checked_the_same_way():
    found = {(f.id, f.subject): f for f in checking.check(checking.read_machine(PLANNED)).findings}
    assert found["pcie-chipset", "gpu1"].verdict == "fail" and found["pcie-chipset", "gpu0"].verdict == "pass"
    assert found["pcie-width", "gpu1"].verdict == "warn"
    assert found["mem-speed", "socket0"].verdict == "warn" and "share a channel" in found["mem-speed", "socket0"].why
    assert found["mem-channels", "socket0"].verdict == "pass"


def test_a_model_prices_the_faults_of_a_planned_machine():
    checked = checking.check(checking.read_machine(PLANNED), "deepseek-r1")
    costs = {finding.id: finding.cost for finding in checked.findings if finding.cost}
    assert costs["mem-speed"].decode_tok_s > 0.5
    assert checked.together.decode_tok_s >= costs["mem-speed"].decode_tok_s * 0.99
    for cost in costs.values():
        assert min(cost.decode_tok_s, cost.prefill_tok_s, cost.ttft_s, cost.load_s) >= 0
        assert cost.note or max(cost.decode_tok_s, cost.prefill_tok_s, cost.ttft_s, cost.load_s) > 0
    assert check_document(checked)["plan"]["model"] == "deepseek-r1"


@pytest.mark.parametrize(
    "line",
    [
        "rtx 3090 x8, epyc 7302, 4x32GB ddr4-3200",
        "2x rtx 3090 x4, epyc 7302, 2x64GB ddr4-2133",
        "2x xeon gold 6230, 6x32GB ddr4-2666, rtx 4090 gen3 x8",
    ],
)
@pytest.mark.parametrize("model", ["qwen3 30b a3b", "deepseek-r1:70b"])
def test_no_fault_pays(line, model):
    checked = checking.check(checking.read_machine(line), model)
    costs = [finding.cost for finding in checked.findings if finding.cost] + [checked.together]
    assert all(
        cost is None or min(cost.decode_tok_s, cost.prefill_tok_s, cost.ttft_s, cost.load_s) >= 0 for cost in costs
    )


def test_topology_draws_what_is_there_and_marks_faults(on):
    result = on(topology, BROKEN(healthy()))
    assert result.exit_code == 0
    for word in ("socket0: Test CPU", "socket1", "8 of 8 channels", "gpu3 Test GPU", "mlx5_1", "root port"):
        assert word in result.output, word
    assert "✗ pcie-width" in result.output and "numa-balancing" in result.output
    assert "6 pairs" in on(topology, board()).output or "gpu0 - gpu1" in on(topology, board()).output


def test_topology_json_and_svg(on, tmp_path):
    assert json.loads(on(topology, healthy(), "--json").stdout)["counts"]["gpus"] == 4
    named = with_gpu(0, spec=None, name='<b>&"\x00')(BROKEN(healthy()))
    assert on(topology, named, "--svg", str(tmp_path / "m.svg")).exit_code == 0
    root = ElementTree.parse(tmp_path / "m.svg").getroot()
    texts = [element.text for element in root.iter("{http://www.w3.org/2000/svg}text")]
    assert any("gpu0 <b>&" in text for text in texts)
    red = [text for text in texts if "[pcie-width]" in text]
    assert red and any(e.get("stroke") == "#c62828" for e in root.iter("{http://www.w3.org/2000/svg}rect"))


def test_a_snapshot_of_this_machine_is_read_back(tmp_path):
    out = tmp_path / "here.tar.gz"
    result = CliRunner().invoke(snapshot, [str(out)])
    assert result.exit_code == 0 and out.stat().st_size > 0, result.output
    again = checking.read_machine(None, out)
    assert again.origin == "snapshot"
    assert checking.check(again).findings


def test_list_names_every_check():
    from wellfed.checks.registry import ALL

    lines = CliRunner().invoke(check, ["--list"]).output.splitlines()
    assert [line.split()[0] for line in lines] == [each.id for each in ALL]
