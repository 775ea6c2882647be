"""A new language needs a catalogue and nothing else: one that is made by rule reaches every sentence."""

from __future__ import annotations

import importlib.util
import re
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from types import ModuleType

import pytest
from click.testing import CliRunner

from wellfed.cli import console
from wellfed.cli.main import cli
from wellfed.message import Message
from wellfed.messages import catalogue, language, words

LANGUAGE = "qps"


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("babel")
    spec = importlib.util.spec_from_file_location(
        "messages_tool", Path(__file__).resolve().parents[2] / "scripts" / "messages.py"
    )
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["messages_tool"] = made
    spec.loader.exec_module(made)
    made.extracted = cache(made.extracted)  # the code does not change while it is tested
    return made


@pytest.fixture(scope="module")
def folder(tool: ModuleType, tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("locale")
    tool.pseudo(made)
    return made


@pytest.fixture
def speaking(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(language, "LOCALE", folder)
    monkeypatch.setenv("WELLFED_LANG", LANGUAGE)
    monkeypatch.setenv("COLUMNS", "200")
    _forget()
    yield
    monkeypatch.undo()
    _forget()


def _forget() -> None:
    for cached in (language.languages, language.language, catalogue.catalogue, console.console, console.talk):
        cached.cache_clear()


@pytest.mark.usefixtures("speaking")
def test_a_folder_is_a_language() -> None:
    assert language.languages() == ("en", LANGUAGE)
    assert language.language() == LANGUAGE


@pytest.mark.usefixtures("speaking")
@pytest.mark.filterwarnings("ignore")
def test_every_message_is_reached(tool: ModuleType) -> None:
    for entry in tool.extracted():
        if not entry.id or entry.context == "help":
            continue
        template = entry.id[0] if isinstance(entry.id, tuple) else entry.id
        plural = entry.id[1] if isinstance(entry.id, tuple) else None
        assert "~" in words.template_of(Message(entry.context, template, plural=plural, count=1), LANGUAGE)


# What stays as it is in every language: names of models, engines, types, presets and units.
_DATA = {
    "chat",
    "batch",
    "agent",
    "llama",
    "vllm",
    "sglang",
    "ktransformers",
    "tensorrt",
    "qwen",
    "python",
    "wellfed",
    "model",
    "option",
    "name",
    "true",
    "false",
    "hugepages",
    "numactl",
    "server",
    "unsloth",
    "pcie",
    "nvlink",
    "json",
    "text",
    "build",
    "file",
    "command",
    "core",
    "ryzen",
    "threadripper",
    "platinum",
    "xeon",
    "gold",
    "geforce",
    "radeon",
    "desktop",
    "quadro",
    "export",
    "script",
    "slurm",
    "systemd",
    "compose",
    "kubernetes",
    "entry",
    "code",
    "long",
    "plan",
    "check",
    "mebibytes",
    "level",
    "ddr",
    "standard",
    "tables",
    "pass",
    "warn",
    "fail",
    "skip",
    "help",
    "show",
    "version",
    "message",
    "exit",
    "usage",
    "options",
    "commands",
    "ascend",
    "memory",
    "channels",
    "width",
    "shared",
    "uplink",
    "driver",
    "bandwidth",
    "speed",
    "socket",
    "host",
    "chipset",
    "boost",
    "balancing",
    "hidden",
    "token",
    "tokens",
    "time",
    "cache",
    "duplicate",
    *[
        "system",
        "memlock",
        "swap",
        "iommu",
        "cpuset",
        "unknown",
        "cuda",
        "architecture",
        "dense",
        "pages",
        "product",
        "channel",
        "serving",
        "exact",
    ],
}


# Screens beyond those: what is read of dumps and traces, of a fleet, refusals, files for programs.
_MORE = (
    "check-",
    "topology-built",
    "watch-",
    "error-",
    "fleet-check",
    "fleet-history",
    "catalog-cpus",
    "resolve",
    "export-",
)
_NAMES = {  # of checks, rules, programs and their words
    *(
        "koboldcpp",
        "numa",
        "thp",
        "acs",
        "stopped",
        "paging",
        "queueing",
        "exec",
        "python",
        "lspci",
        "sudo",
        "dmidecode",
        "topo",
    ),
    *(
        "explain",
        "static",
        "studio",
        "test",
        "wait",
        "kill",
        "aux",
        "ngram",
        "echo",
        "root",
        "performance",
        "powersave",
        "desktop",
        "ollama",
        "none",
        "kubectl",
        "dump",
    ),
}
# a command that is asked for, a shell's own words, what another program or library says
_OTHERS = re.compile(
    r"öütpüt öf|Öñ thàt|^\s{5,7}[\w-]+[,~]|^\[ |^for |^set |^#!|^[A-Z#]\w+=|PARAMETER|^#SBATCH|^if |^fi|^exec|^export |^ray |^lms |"
    r"^trap|^until|^vllm|^  exec|^  -|^\s*[\"{}\[\]]|^models:|No such file|Expecting value|llama-swap|refused"
)


def _screens() -> list[tuple[str, list[str]]]:
    sys.path.insert(0, str(Path(__file__).parent))
    import screens

    return [(name, words) for name, words in screens.screens() if name.startswith(_MORE) and name != "check-list"]


@pytest.mark.slow
@pytest.mark.usefixtures("speaking")
def test_what_is_read_and_refused_is_all_in_words(vocabulary: set[str]) -> None:
    """In processes of their own, as a terminal has them."""
    found = {}
    for name, arguments in _screens():
        import screens

        lines = screens.shown(arguments, 200).splitlines()
        text = "\n".join(line for line in lines if not _QUOTED.search(line) and not _OTHERS.search(line))
        text = re.sub(r"`wellfed [^`]*`", "", text)
        if left := _plain_words(text, vocabulary) - _NAMES - set(arguments):
            found[name] = sorted(left)
    assert found == {}


# commands to type, and sources, which are quoted as their publishers have them
_QUOTED = re.compile(
    r"^\s*(wellfed |llama-server |numactl |hf download |\$ )|\(\d{4}-\d\d-\d\d\)$|: (NVIDIA|Intel|AMD) "
)


def _plain_words(text: str, vocabulary: set[str]) -> set[str]:
    """English words of our sentences that stand undisguised: not part of an id, a command, a path or an option."""
    found = re.findall(r"(?<![\w`'\"./:=#@{}<>~-])[a-z]{4,}(?![\w./:=@{}<>-]|\w)", text)
    return {word for word in found if word in vocabulary} - _DATA


@pytest.fixture(scope="module")
def vocabulary(tool: ModuleType) -> set[str]:
    """Words that the disguise changes, so that a plain one was not reached."""
    texts = [text for entry in tool.extracted() if entry.id for text in tool._texts(entry.id)]
    every = {word for text in texts for word in re.findall(r"\b[a-z]{4,}\b", text)}
    return {word for word in every if tool.disguised(word).rstrip("~") != word}


@pytest.mark.usefixtures("speaking")
@pytest.mark.parametrize(
    "arguments",
    [
        ["--help"],
        ["plan", "--help"],
        ["watch", "--help"],
        ["fleet", "snapshot", "--help"],
        ["plan", "qwen3-8b", "--on", "rtx 4090, ryzen 9 7950x, 64gb"],
        ["plan", "deepseek-r1", "--on", "rtx 4090, 2x xeon platinum 8480+, 1tb", "--explain"],
        ["plan", "qwen3-32b", "-q", "q8_0", "--on", "rtx 3060 12gb, core i5-13600k, 16gb"],
        ["fit", "--on", "rtx 3060 12gb, core i5-13600k, 32gb", "--top", "3"],
        ["check", "--on", "4x rtx 4090, 2x xeon platinum 8480+, 8x32GB ddr5", "--all"],
        ["topology", "--on", "2x h100 sxm, 2x xeon platinum 8480+"],
        ["compare", "rtx 4090, ryzen 9 7950x, 64gb", "rtx 3090, ryzen 9 5950x, 64gb", "-m", "qwen3-8b"],
        ["resolve", "qwen3-32b", "no-such-model-at-all"],
    ],
)
def test_nothing_but_data_is_left_in_english(arguments: list[str], vocabulary: set[str]) -> None:
    done = CliRunner().invoke(cli, arguments)
    assert done.output.count("~") >= 5
    if "--help" in arguments:
        assert "Show " not in done.output and "Usage" not in done.output and " the " not in done.output
        return
    lines = [line for line in done.output.splitlines() if not _QUOTED.search(line)]
    assert _plain_words("\n".join(lines), vocabulary) == set(), done.output
