"""The library: its verbs are always functions, their keywords are the commands' options, their documents `--json`'s."""

from __future__ import annotations

import inspect
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import click
import pytest
from click.testing import CliRunner

import wellfed
from samples import few
from wellfed.cli.main import cli
from wellfed.errors import BadInput, Misuse, UnknownName, WellfedError
from wellfed.library.result import Result
from wellfed.nouns.layout import Engine
from wellfed.planner.goal import Objective

MACHINE = "rtx 4090, ryzen 9 7950x, 64gb"
VERBS = ("plan", "fit", "compare", "check", "run", "watch", "resolve", "machine", "model")


def test_no_module_takes_a_verbs_place() -> None:
    """Every module is imported first; then each verb is still a function that answers."""
    code = f"""
import pkgutil, importlib, wellfed
for module in pkgutil.walk_packages(wellfed.__path__, "wellfed."):
    if not module.name.endswith("__main__"):
        try:
            importlib.import_module(module.name)
        except ModuleNotFoundError as error:  # of an extra that is not installed here
            assert not str(error.name).startswith("wellfed"), error
machine = {MACHINE!r}
print(wellfed.plan("qwen3-0.6b", on=machine), wellfed.fit(machine, top=1), wellfed.check(machine))
print(wellfed.compare([machine], model="qwen3-0.6b"), wellfed.resolve("qwen3-0.6b"))
print(wellfed.machine(machine), wellfed.model("qwen3-0.6b"), wellfed.run("qwen3-0.6b", dry_run=True))
try:
    wellfed.watch("nobody-of-this-name")
except wellfed.errors.WellfedError as error:
    print("watch", error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<wellfed: ") == 8 and "watch" in done.stdout


def test_importing_it_imports_nothing() -> None:
    code = "import sys; before = set(sys.modules); import wellfed; print(sorted(set(sys.modules) - before))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    new = set(ast_names(done.stdout))
    assert {name for name in new if name.startswith("wellfed")} == {"wellfed"}
    assert not new & {"click", "rich", "httpx", "fastapi", "pydantic"}


def ast_names(text: str) -> list[str]:
    return [str(name) for name in json.loads(text.replace("'", '"'))]


def test_what_is_not_a_verb_is_told() -> None:
    with pytest.raises(AttributeError, match="plann"):
        wellfed.plann  # noqa: B018
    assert set(VERBS) <= set(dir(wellfed)) and all(callable(getattr(wellfed, verb)) for verb in VERBS)


# What the command line has for a terminal alone, and what the library has instead.
_TERMINAL = {
    "plan": {
        "from_command",
        "buy",
        "budget",
        "power",
        "report",
        "save",
        "use",
        "chart",
        "explain",
        "json",
        "train",
        "sequence",
        "batch",
        "micro_batch",
        "optimizer",
        "precision",
        "rank",
        "train_embeddings",
        "train_experts",
        "shard",
        "checkpointing",
        "offload",
        "chunked_loss",
        "trainer",
        "recipe",
        "dora",
        "train_layers",
        "offload_activations",
        "update_in_backward",
        "whole_loading",
        "divide",
        "gpus",
    },
    "fit": {"json"},
    "compare": {"svg", "png", "json"},
    "check": {"load", "all", "list", "fix", "junit", "prometheus", "json"},
    "resolve": {"json"},
    "watch": {"json", "record", "export", "insecure", "once", "api_key_file"},
}
_OWN = {"check": {"paste"}, "watch": {"told"}}


@pytest.mark.parametrize("verb", _TERMINAL)
def test_keywords_are_the_long_options(verb: str) -> None:
    """One vocabulary: a new option of a command that the library lacks, or the reverse, is seen here."""
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    options = {_long(parameter) for parameter in command.params} - _TERMINAL[verb]
    keywords = {name.rstrip("_") for name in inspect.signature(getattr(wellfed, verb)).parameters}
    assert keywords == options | _OWN.get(verb, set())


def _long(parameter: click.Parameter) -> str:
    return max(parameter.opts, key=len).lstrip("-").replace("-", "_")


@pytest.mark.parametrize("verb", ["plan", "fit", "compare", "check"])
def test_defaults_are_the_commands(verb: str) -> None:
    command = cli.get_command(click.Context(cli), verb)
    assert command is not None
    own = {
        name.rstrip("_"): value.default for name, value in inspect.signature(getattr(wellfed, verb)).parameters.items()
    }
    for parameter in command.params:
        name = _long(parameter)
        default = parameter.get_default(click.Context(command))
        if name in own and own[name] is not inspect.Parameter.empty and isinstance(default, (str, int, float)):
            assert str(own[name]) == str(default), name


GRID: list[tuple[str, tuple[Any, ...], dict[str, Any], list[str]]] = [
    ("plan", ("qwen3-8b",), {"on": MACHINE}, ["plan", "qwen3-8b", "--on", MACHINE]),
    ("plan", ("deepseek-r1",), {"on": MACHINE, "top": 2}, ["plan", "deepseek-r1", "--on", MACHINE, "--top", "2"]),
    ("plan", ("qwen3-32b",), {"on": "2x a100 80gb, epyc 7543", "for_": Objective.THROUGHPUT, "engine": [Engine.VLLM, "sglang"]},
     ["plan", "qwen3-32b", "--on", "2x a100 80gb, epyc 7543", "--for", "throughput", "-e", "vllm", "-e", "sglang"]),
    ("plan", ("qwen3-8b",), {"on": MACHINE, "kv_type": "q8_0", "max_users": True, "tpot": 40.0},
     ["plan", "qwen3-8b", "--on", MACHINE, "--kv-type", "q8_0", "--max-users", "--tpot", "40"]),
    ("fit", (MACHINE,), {"for_": "code", "top": 3}, ["fit", "--on", MACHINE, "--for", "code", "--top", "3"]),
    ("compare", ([MACHINE, "rtx 3060 12gb"],), {"model": "qwen3-32b", "concurrency": 4}, ["compare", "-m", "qwen3-32b", "-c", "4", MACHINE, "rtx 3060 12gb"]),
    ("check", (MACHINE,), {"model": "qwen3-8b", "users": 4, "select": "pcie-*"}, ["check", "--on", MACHINE, "-m", "qwen3-8b", "-u", "4", "-s", "pcie-*"]),
    ("resolve", ("qwen3-8b", "nonsense-9000"), {}, ["resolve", "qwen3-8b", "nonsense-9000"]),
    ("machine", (MACHINE,), {}, ["topology", "--on", MACHINE]),
]  # fmt: skip


@pytest.mark.parametrize("number", few(range(len(GRID)), 4))
def test_its_document_is_that_of_json(number: int) -> None:
    verb, positional, keywords, words = GRID[number]
    result = getattr(wellfed, verb)(*positional, **keywords)
    printed = CliRunner().invoke(cli, [*words, "--json"]).stdout
    assert json.loads(json.dumps(result.to_dict(), default=sorted)) == json.loads(printed)


@pytest.mark.parametrize("number", few(range(len(GRID)), 4))
def test_a_result_shows_itself(number: int) -> None:
    """One line, a small table, flat rows of equal columns."""
    verb, positional, keywords, _ = GRID[number]
    result: Result = getattr(wellfed, verb)(*positional, **keywords)
    assert repr(result).startswith("<wellfed: ") and len(repr(result)) < 300 and "\n" not in repr(result)
    assert len({tuple(row) for row in result.rows()}) == (0 if "does not fit" in repr(result) else 1)
    values = {type(value) for row in result.rows() for value in row.values()}
    assert values <= {str, int, float, bool, type(None)}
    assert ("<table>" in result._repr_html_()) == bool(result.rows()) and len(result._repr_html_()) < 60_000


def test_html_of_strangers_words_is_escaped() -> None:
    assert "<b>x" not in wellfed.resolve("<b>x</b>")._repr_html_().replace("<p><b>", "")


WRONG: list[tuple[str, tuple[Any, ...], dict[str, Any], type[WellfedError], str]] = [
    ("plan", ("qwen3-8b",), {"engine": "vlm"}, Misuse, "vllm"),
    ("plan", ("qwen3-8b",), {"for_": "sped"}, Misuse, "speed" if "speed" in list(Objective) else "one of"),
    ("plan", ("qwen3-8b",), {"workload": "chatt"}, Misuse, "chat"),
    ("plan", ("qwen3-8b",), {"quality": "q99"}, Misuse, "one of"),
    ("plan", ("qwen3-8b",), {"os": "beos"}, Misuse, "linux"),
    ("plan", ("qwen3-8b",), {"concurrency": 0}, Misuse, "from 1"),
    ("plan", ("qwen3-8b",), {"rate": 0.0}, Misuse, "above 0"),
    ("plan", ("qwen3-8b",), {"ttft": float("nan")}, Misuse, "above 0"),
    ("plan", ("qwen3-8b",), {"top": 0}, Misuse, "1 or more"),
    ("plan", ("qwen3-8b",), {"max_users": True}, Misuse, "--ttft"),
    ("plan", ("qwen3-8b",), {"context": 10}, Misuse, "too short"),
    ("plan", ("qwen3-9000b",), {"on": MACHINE}, UnknownName, ""),
    ("fit", (MACHINE,), {"for_": "sleep"}, Misuse, "chat"),
    ("compare", (MACHINE,), {"model": "qwen3-8b"}, Misuse, "list"),
    ("machine", (MACHINE,), {"paste": "x"}, Misuse, "one of them"),
    ("machine", (), {"paste": "nothing that any tool prints"}, BadInput, ""),
    ("resolve", ("x",), {"hub": "elsewhere"}, Misuse, "huggingface"),
    ("watch", (), {"interval": 0.0, "url": "http://127.0.0.1:1"}, Misuse, "from 0.1"),
]


@pytest.mark.parametrize("number", range(len(WRONG)))
def test_wrong_ones_say_what_there_is(number: int) -> None:
    verb, positional, keywords, kind, words = WRONG[number]
    with pytest.raises(kind) as raised:
        getattr(wellfed, verb)(*positional, **keywords)
    assert words in f"{raised.value.message} {raised.value.hint}"


def test_a_recording_is_watched(tmp_path: Path) -> None:
    recordings = sorted((Path(__file__).resolve().parents[1] / "watch" / "traces").glob("*.jsonl"))
    looks = list(wellfed.watch(replay=recordings[0])) if recordings else []
    if not recordings:
        pytest.skip("no recording is here")
    assert looks and looks[-1].to_dict()["schema"] == "wellfed.watch/1" and repr(looks[-1]).startswith("<wellfed: ")
