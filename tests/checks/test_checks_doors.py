"""`wellfed check` as people call it on what others posted: refusals, what is said above the findings, prices."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import dump_paths  # noqa: F401  puts the samples on the path
import dump_samples as basic
import dump_samples_more as more
import pytest
from check_machines import board, chain, healthy, plan, with_link, with_os
from click.testing import CliRunner

from wellfed.checks.pricing import NOTHING, Priced, price
from wellfed.checks.registry import ALL, check
from wellfed.checks.run import run_check, run_checks
from wellfed.checks.setting import setting_of
from wellfed.cli import main as program
from wellfed.cli.check import command
from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.finding import Finding, Safety, Verdict

ENVIRONMENT = {"COLUMNS": "160", "NO_COLOR": "1"}


def run(*arguments: str, stdin: str | None = None):
    return CliRunner().invoke(command, list(arguments), env=ENVIRONMENT, input=stdin)


def whole(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    """Through `main`, as the console script does."""
    monkeypatch.setattr("sys.argv", ["wellfed", "check", *arguments])
    with pytest.raises(SystemExit) as ended:
        program.main()
    return int(ended.value.code or 0)


@pytest.fixture
def note(tmp_path: Path) -> Path:
    path = tmp_path / "note.txt"
    path.write_text("My GPU is slow. Please help!\n", encoding="utf-8")
    return path


def test_what_is_not_understood_is_an_error_that_leads_on(note, monkeypatch, capsys):
    assert whole(monkeypatch, "--from", str(note)) == 2
    said = capsys.readouterr()
    assert said.out == ""
    for words in ("note.txt", "nvidia-smi -q", "lscpu", "environment report", "npu-smi info"):
        assert words in said.err


def test_under_json_it_is_an_object(note, monkeypatch, capsys):
    assert whole(monkeypatch, "--from", str(note), "--json") == 2
    error = json.loads(capsys.readouterr().out)["error"]
    assert error["kind"] == "not-understood" and "note.txt" in error["message"] and "nvidia-smi" in error["hint"]


@pytest.mark.parametrize("text", ["", "hello\n"])
def test_in_junit_it_is_an_error(text, tmp_path):
    path, report = tmp_path / "x.txt", tmp_path / "report.xml"
    path.write_text(text, encoding="utf-8")
    assert run("--from", str(path), "--junit", str(report)).exit_code != 0
    suite = ElementTree.parse(report).getroot()
    assert suite.get("errors") == "1"
    assert suite.find("testcase/error").get("type") == "not-understood"


def test_a_paste_comes_through_standard_input():
    answer = run("--from", "-", "--json", stdin=more.SMI_TABLE)
    document = json.loads(answer.stdout)
    assert document["machine"]["counts"]["gpus"] == 2
    assert document["machine"]["kinds_read"] == ["nvidia-smi"]
    assert answer.exit_code == 1


def test_a_dump_without_gpu_keeps_its_verdicts_and_says_what_is_missing(tmp_path):
    path = tmp_path / "slots.txt"
    path.write_text(basic.DMIDECODE, encoding="utf-8")
    answer = run("--from", str(path))
    assert answer.exit_code == 1 and "mem-channels" in answer.stdout
    assert "no GPU is in this dump" in answer.stdout and "nvidia-smi -q" in answer.stdout
    assert "no GPU," not in answer.stdout


def test_no_command_is_proposed_for_a_strangers_machine(tmp_path):
    path = tmp_path / "lspci.txt"
    path.write_text(basic.LSPCI.replace("\tCapabilities: [220 v1] Access Control", "\tCapabilities: [220 v1] Other"))
    said = run("--from", str(path), "--all").stdout
    assert "sudo wellfed" not in said and "wellfed check --load" not in said


def test_a_machine_without_data_sheet_has_no_price(tmp_path):
    path = tmp_path / "card.txt"
    path.write_text(more.MTHREADS.replace("MTT S4000", "MTT S9990"), encoding="utf-8")
    document = json.loads(run("--from", str(path), "-m", "qwen3-8b", "--json").stdout)
    assert document["plan"] is None and "data sheet" in document["no_price"]["text"]
    table = tmp_path / "table.txt"
    table.write_text(more.SMI_TABLE, encoding="utf-8")
    document = json.loads(run("--from", str(table), "-m", "qwen3-8b", "--json").stdout)
    assert "RAM" in document["no_price"]["text"]
    assert all(
        f["cost"]["note"].startswith("not priced") for f in document["findings"] if f["verdict"] in ("warn", "fail")
    )


def test_half_the_channels_have_a_price_in_a_dump_too(tmp_path):
    path = tmp_path / "server.txt"
    slots = "".join(
        f"Handle 0x{n:04X}, DMI type 17, 92 bytes\nMemory Device\n\tTotal Width: 72 bits\n\tData Width: 64 bits\n"
        f"\tSize: {'32 GB' if n < 4 else 'No Module Installed'}\n\tLocator: SLOT {n}\n\tType: DDR4\n\tSpeed: 3200 MT/s\n"
        "\tConfigured Memory Speed: 3200 MT/s\n\n"
        for n in range(8)
    )
    cpu = "Handle 0x0100, DMI type 4, 48 bytes\nProcessor Information\n\tType: Central Processor\n\tStatus: Populated, Enabled\n"
    path.write_text(cpu + "\tVersion: AMD EPYC 7443 24-Core Processor\n\tCore Count: 24\n\n" + slots, encoding="utf-8")
    document = json.loads(run("--from", str(path), "-m", "qwen3-8b", "--json").stdout)
    cost = next(f["cost"] for f in document["findings"] if f["id"] == "mem-channels")
    assert cost["decode_tok_s"] > 0.3 * document["plan"]["decode_tok_s"]


def test_users_and_nodes_change_the_price(tmp_path):
    line = ["--on", "8x h100 sxm, 2x epyc 9654, 24x64GB ddr5-4800", "-m", "llama-3.3-70b", "--json"]
    one, many = (json.loads(run(*line, *more).stdout)["plan"] for more in ([], ["--users", "64"]))
    assert one["decode_tok_s"] > many["decode_tok_s"]  # of one user
    assert run(*line, "--nodes", "2", "--network", "400Gb").exit_code in (0, 1)


def priced(machine: Machine) -> Priced:
    return price(machine, run_checks(machine, ALL, plan()), ALL, lambda machine: plan())


def test_a_fault_that_costs_nothing_says_so_first_and_does_not_count():
    found = priced(with_link(0, PcieLink(4, 4))(healthy())).findings
    width = next(f for f in found if f.id == "pcie-width" and f.verdict is not Verdict.PASS)
    assert width.cost.message == NOTHING and width.why.startswith("costs nothing") and not width.counts


def test_a_broken_part_counts_whatever_it_costs():
    from dataclasses import replace

    machine = healthy()
    sick = replace(machine, gpus=(replace(machine.gpus[0], ecc_uncorrected=3), *machine.gpus[1:]))
    ecc = next(f for f in priced(sick).findings if f.id == "gpu-ecc" and f.verdict is Verdict.FAIL)
    assert ecc.counts


def of(id: str, machine: Machine) -> Finding:
    return next(f for f in run_check(machine, check(id)) if f.verdict in (Verdict.WARN, Verdict.FAIL, Verdict.UNKNOWN))


NARROW = with_link(0, PcieLink(4, 4))


def test_remedies_fit_the_machine():
    bare = of("pcie-width", NARROW(healthy()))
    assert "reseat" in bare.fix[0] and bare.remedies[0].safety is Safety.BY_HAND
    guest = of("pcie-width", chain(NARROW, with_os(virtualised=True))(healthy()))
    assert "host decides" in guest.fix[0]
    laptop = of("pcie-width", chain(NARROW, with_os(chassis="laptop"))(healthy()))
    assert "laptop" in laptop.fix[0]
    module = of("pcie-width", NARROW(board()))
    assert "one board" in module.fix[0]
    inside = of("thp", with_os(transparent_huge_pages="never", container=True)(healthy()))
    assert "on its host" in inside.fix[0] and inside.fix[1].startswith("echo madvise")


def test_settings_are_known_and_said():
    from dataclasses import replace

    guest = replace(with_os(virtualised=True, hypervisor="amazon ec2", container=True)(healthy()), origin=Origin.DUMP)
    setting = setting_of(guest)
    assert (setting.guest, setting.cloud, setting.container, setting.stranger) == (True, "Amazon EC2", True, True)
    assert [str(words) for words in setting.words] == ["a virtual machine", "in Amazon EC2", "a container"]
    assert setting_of(with_os(wsl=True, virtualised=True)(healthy())).wsl
    assert setting_of(board()).baseboard and not setting_of(healthy()).baseboard


def test_commands_that_stop_programs_are_not_run_by_the_script():
    from dataclasses import replace

    from wellfed.checks.outputs.script import fix_script

    machine = healthy()
    sick = replace(machine, gpus=(replace(machine.gpus[0], mig=True), *machine.gpus[1:]))
    lines = fix_script(run_checks(with_os(numa_balancing=True)(sick))).splitlines()
    assert "sysctl -w kernel.numa_balancing=0" in lines
    assert not any(line.startswith("nvidia-smi") and "-mig 0" in line for line in lines)
    assert any(line.startswith("#") and "-mig 0" in line for line in lines)
