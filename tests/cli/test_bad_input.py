"""Bad input over all commands: one clear error, exit 2 (never a traceback, never silence), JSON where it was asked for."""

from __future__ import annotations

import json
import shlex

import click
import pytest
from click.testing import CliRunner

from wellfed.cli.main import COMMANDS, cli
from wellfed.errors import WellfedError

CARD = "'rtx 4090, ryzen 9 7950x'"
_MACHINES = ("''", "' '", "1000x", "'xyzzy 9000'", "/nonexistent.json", "/usr/bin", "/etc/hostname", "build:nothing", "'rtx 4090 plumbus'",
             "'rtx 4090, 64 parsecs'")  # fmt: skip
_NUMBERS = ("abc", "0", "-1", "nan", "inf", "1e99", "''", "١٢x", "0x10", "1,5")
_CHOICES = ("xyz", "''", "--")
_COUNTED = ("--concurrency", "--prompt", "--output", "--context", "--nodes", "--top")
_MEASURED = ("--ttft", "--tpot", "--rate", "--price-hour", "--electricity", "--machine-price", "--api-price")

LINES = [
    *(f"plan qwen3-8b --on {on}" for on in _MACHINES),
    *(f"{verb} --on {on}" for verb in ("fit", "check", "topology") for on in _MACHINES),
    *(f"compare qwen3-8b --on {on}" for on in _MACHINES),
    *(f"plan qwen3-8b --on {CARD} {flag} {value}" for flag in _COUNTED for value in _NUMBERS),
    *(f"plan qwen3-8b --on {CARD} {flag} {value}" for flag in _MEASURED for value in ("abc", "0", "-1", "nan", "inf", "''")),
    *(f"plan qwen3-8b --on {CARD} {flag} {value}" for flag in ("--for", "--workload", "--engine", "--quality", "--os")
      for value in _CHOICES),
    *(f"plan qwen3-8b --on {CARD} --quant {value}" for value in ("q99", "''", "fp7")),
    *(f"plan qwen3-8b --on {CARD} --kv-type {value}" for value in ("q99", "fp7")),
    *(f"plan qwen3-8b --on {CARD} --set {value}" for value in ("x", "=", "x=1", "ubatch-size=abc")),
    *(f"plan {name} --on {CARD}" for name in ("''", "no-such-model-x", "/", "/etc/hostname", "/nonexistent.gguf")),
    f"plan --on {CARD}",
    f"plan qwen3-8b --on {CARD} --budget 5",
    f"plan qwen3-8b --on {CARD} --max-users",
    f"plan qwen3-8b --buy --on {CARD}",
    "plan qwen3-8b --buy --prices example:xyz",
    "plan qwen3-8b --buy --prices /nonexistent.toml",
    "plan qwen3-8b --buy --budget 100",
    f"plan qwen3-8b --on {CARD} --prompt 999999999",
    f"plan qwen3-8b --on {CARD} --report /nonexistent/x.html",
    f"plan qwen3-8b --on {CARD} --report x.exe",
    *(f"fit --on {CARD} {words}" for words in ("--for xyz", "--top 0", "--top abc", "extra")),
    *(f"check --on {CARD} {words}" for words in ("--only xyz", "--ignore xyz", "--model no-such-model-x", "--users 0",
                                                 "--json --fix", "--from /nonexistent")),
    *(f"resolve {words}" for words in ("", "''", "no-such-model-x")),
    *(f"explain {words}" for words in ("xyzzy", "''")),
    *(f"accuracy {words}" for words in ("", "/nonexistent.csv", "/", "/etc/hostname")),
    *(f"stop {words}" for words in ("", "nobody", "nobody --all")),
    *(f"logs {words}" for words in ("nobody",)),
    *(f"watch {words}" for words in ("--url http://127.0.0.1:1", "--url ''", "--url xyz", "--interval abc")),
    *(f"topology --on {CARD} {words}" for words in ("--png x.jpg", "--svg /nonexistent/x.svg", "extra extra")),
    *(f"snapshot {words}" for words in ("/nonexistent/x.json",)),
    *(f"catalog {words}" for words in ("xyz",)),
    *(f"{name} --no-such-option" for name in COMMANDS),
    "help", "version", "plam qwen3-8b", "--no-such-option", "--jsn",
]  # fmt: skip


def _error(line: str) -> tuple[int, str]:
    """Exit code and message, as the door would show them."""
    done = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    match done.exception:
        case WellfedError() as error:
            return error.exit_code, error.message
        case click.ClickException() as error:
            return 2, error.format_message()
        case SystemExit() as error:
            return int(error.code or 0), done.output
        case None:
            return 0, done.output
        case error:
            return -1, f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("line", LINES)
def test_it_is_refused_in_words(line: str) -> None:
    code, said = _error(line)
    assert code in {1, 2}, said
    assert said.strip() and "Traceback" not in said


def test_there_are_enough_of_them() -> None:
    assert len(set(LINES)) >= 200
    assert {line.split()[0] for line in LINES} >= set(COMMANDS) - {"completion", "ps"}


def test_errors_under_json_are_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from wellfed.cli.main import main

    monkeypatch.setattr("sys.argv", ["wellfed", "plan", "no-such-model-x", "--on", "rtx 4090", "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and set(json.loads(capsys.readouterr().out)["error"]) == {"kind", "message", "hint"}
