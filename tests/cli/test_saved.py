"""Machines and loads kept by name, and charts of a plan's sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wellfed.cli.main import cli

CARD = "rtx 3060 12gb, ryzen 5 5600, 2x16GB ddr4-3200"


@pytest.fixture
def wellfed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[CliRunner]:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    monkeypatch.delenv("WELLFED_CONFIG", raising=False)
    monkeypatch.chdir(tmp_path)
    yield CliRunner()


def ask(runner: CliRunner, *words: str) -> Result:
    from wellfed.errors import WellfedError

    result = runner.invoke(cli, words)
    if isinstance(result.exception, WellfedError):
        raise result.exception
    return result


def test_what_is_saved_is_used(wellfed: CliRunner, tmp_path: Path) -> None:
    assert ask(wellfed, "plan", "--on", CARD, "-c", "3", "--save", "desk").exit_code == 0
    assert (tmp_path / "config" / "wellfed" / "wellfed.toml").read_text().startswith("[desk]")
    used = ask(wellfed, "plan", "qwen3-8b", "--use", "desk").output
    assert "RTX 3060" in used and "3 at a time" in used
    assert "1 at a time" in ask(wellfed, "plan", "qwen3-8b", "--on", "desk").output  # the machine alone
    assert "5 at a time" in ask(wellfed, "plan", "qwen3-8b", "--use", "desk", "-c", "5").output  # the line wins


def test_other_commands_know_it_and_other_names_stay(wellfed: CliRunner) -> None:
    ask(wellfed, "plan", "--on", CARD, "--save", "desk")
    ask(wellfed, "plan", "--on", "2x a100 40gb", "--nodes", "2", "--network", "100Gb", "--save", "lab")
    assert "--n-gpu-layers 999" in ask(wellfed, "run", "qwen3-8b", "--on", "desk", "--dry-run").output
    assert "A100" in ask(wellfed, "compare", "desk", "lab", "-m", "qwen3-8b").output
    assert "2 machines, each 2x A100" in ask(wellfed, "plan", "qwen3-32b", "--use", "lab").output


def test_an_unknown_name_leads_to_the_known(wellfed: CliRunner) -> None:
    from wellfed.errors import UnknownName

    ask(wellfed, "plan", "--on", CARD, "--save", "desk")
    with pytest.raises(UnknownName) as caught:
        ask(wellfed, "plan", "qwen3-8b", "--use", "desk2")
    assert caught.value.near == ("desk",)


def test_a_file_in_the_working_folder_goes_first(wellfed: CliRunner, tmp_path: Path) -> None:
    (tmp_path / "wellfed.toml").write_text(f'[ours]\non = "{CARD}"\n')
    assert "RTX 3060" in ask(wellfed, "plan", "qwen3-8b", "--on", "ours").output
    ask(wellfed, "plan", "--on", CARD, "--save", "mine")
    assert "[mine]" in (tmp_path / "wellfed.toml").read_text() and "[ours]" in (tmp_path / "wellfed.toml").read_text()


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (("plan", "qwen3-8b", "--use", "nowhere"), "nothing is kept"),
        (("plan", "--on", CARD, "--save", "../x"), "no name to keep"),
        (("plan", "--save", "desk"), "nothing to keep"),
        (("plan", "qwen3-8b", "--on", CARD, "--chart", "x.png"), "not .svg"),
        (("plan", "qwen3-8b", "--on", CARD, "--chart", "nowhere/x.svg"), "cannot write"),
    ],
)
def test_bad_names_and_places(wellfed: CliRunner, words: tuple[str, ...], said: str) -> None:
    from wellfed.errors import WellfedError

    with pytest.raises(WellfedError, match=said):
        ask(wellfed, *words)


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("x = [", "not TOML"),
        ("desk = 3", "no table"),
        ("[desk]\nonn = 'x'", "unknown key"),
        ("[desk]\non = true", "neither text nor a number"),
    ],
)
def test_a_damaged_file_is_one_error(wellfed: CliRunner, tmp_path: Path, content: str, said: str) -> None:
    from wellfed.errors import WellfedError

    (tmp_path / "wellfed.toml").write_text(content)
    with pytest.raises(WellfedError, match=said):
        ask(wellfed, "plan", "qwen3-8b", "--use", "desk")


def test_charts(wellfed: CliRunner, tmp_path: Path) -> None:
    pytest.importorskip("plotext")
    drawn = ask(wellfed, "plan", "qwen3-8b", "--on", CARD, "--chart").output
    assert "tokens/s over context" in drawn and "┤" in drawn and "1,536" in drawn and "\x1b" not in drawn
    ask(wellfed, "plan", "qwen3-8b", "--on", CARD, "--chart", "sweeps.svg")
    svg = (tmp_path / "sweeps.svg").read_text()
    assert svg.count("<polyline") == 2 and "tokens/s of all over users" in svg


def test_layers_pinned_onto_gpus_are_not_planned_on_cpus(wellfed: CliRunner) -> None:
    words = ("plan", "qwen3-32b", "--on", CARD, "-e", "llama.cpp", "-q", "q4_k_m", "--set", "n-gpu-layers=999")
    result = ask(wellfed, *words)
    assert (result.exit_code == 1 and "does not fit" in result.output) or "nothing fits" in result.output
