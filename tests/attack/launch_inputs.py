"""Hostile names, flags, records, keys and exports; each with what may be said of it."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from attack.judges import document, either, refused, sane
from attack.sandbox import Input, Said

_STRANGE_NAMES = (
    "", " ", "\x1b[31mqwen3-8b\x1b[0m", "../../../etc/passwd", "/dev/zero", "/dev/random", "/proc/self/mem",
    "$(reboot)", "`id`", "qwen3-8b; id", "a/b/c/d", "//", "owner/..", "owner/.", "x" * 100_000, "x/" * 5000, "%00", "\0",
    "hf.co/../../x", "file:///etc/passwd", "http://169.254.169.254/latest", "qwen3-8b@../../x", "qwen3-8b:../../x",
    "qwen3-999b", "llama-5-700b-ultra", "gpt-9", "deepseek-v99", "not a model at all", "<script>", "{{7*7}}", "%s%n",
    "-", "--", "~", "~root", "nul", "con", "*", "?", "[a-z]", "8b",
    "🦙", "qwen3-8b q99_k_m", "qwen3-8b " + "q" * 5000, "gguf", ".gguf", "a.gguf", "./", ".", "..",
)  # fmt: skip
_ODD_NAMES = {  # understood, and no more than is written: weights only where one format is named
    "qwen3-8b\u202e": True, "qwen3-8b qwen3-8b": True, "千问": True, "qwen3-8b q4_k_m q8_0 fp8": False,
    "qwen3-8b  Q4_K_M": True, "QWEN3-8B": True, "ｑｗｅｎ３－８ｂ": True,
}  # fmt: skip
_OFFLINE = {"HF_HUB_OFFLINE": "1", "HF_ENDPOINT": "http://127.0.0.1:9"}
_SYLLABLES = (
    "qwen",
    "llama",
    "deep",
    "seek",
    "mist",
    "ral",
    "gem",
    "ma",
    "phi",
    "glm",
    "-",
    "3",
    "8b",
    "70b",
    ".",
    "v2",
)


def _words(*words: str) -> Callable[[Path], tuple[str, ...]]:
    return lambda folder: words


def names(count: int) -> Iterator[Input]:
    """Names of no model: refused; and made of syllables of names: refused, or explained without a rest."""
    for number, name in enumerate(_STRANGE_NAMES):
        words = ("resolve", "--json", "--", "{}")
        judge = refused if name not in ("-",) else either(lambda found: "")
        yield Input("name", f"{number} {name[:30]!r}", words, _words(name), judge, _OFFLINE)
    for name, sized in _ODD_NAMES.items():

        def heavy(found: dict[str, Any], sized: bool = sized) -> str:
            return "" if (found["names"][0].get("weight_bytes") is not None) == sized else f"{found['names'][0]}"

        yield Input("name", name, ("resolve", "--json", "--", "{}"), _words(name), either(heavy), _OFFLINE)
    for number in range(count):
        dice = random.Random(number)
        name = "".join(dice.choice(_SYLLABLES) for _ in range(dice.randint(2, 9)))

        def may(found: dict[str, Any], name: str = name) -> str:
            one = found["names"][0]
            if "error" in one or one.get("parameters") is None:
                return ""
            return "" if _has_all_digits(name, one) else f"{name} taken for {one['id']}"

        yield Input("name", name, ("resolve", "--json", "--", "{}"), _words(name), either(may), _OFFLINE)


def _has_all_digits(name: str, found: dict[str, Any]) -> bool:
    """A number in the name is in what it was taken for: another size is another model."""
    import re

    told = " ".join(str(found.get(key, "")) for key in ("id", "name", "format"))
    return set(re.findall(r"\d+", name)) <= set(re.findall(r"\d+", told))


_OURS = (
    "--host",
    "--port",
    "--api-key",
    "--api-key-file",
    "--ssl-key-file",
    "--ssl-cert-file",
    "--config",
    "--api-prefix",
)


def _forms(flag: str) -> Iterator[tuple[str, ...]]:
    value = "0.0.0.0" if flag == "--host" else "1"
    yield (flag, value)
    yield (f"{flag}={value}",)
    yield (flag.upper(), value)
    yield (flag.replace("-", "_").replace("__", "--", 1), value)
    yield ("-" + flag.lstrip("-"), value)
    yield (f"{flag.upper()}={value}",)
    yield ("--ctx-size", "4096", flag, value)
    yield (flag, value, "--ctx-size", "4096")


def flags() -> Iterator[Input]:
    """What says where an engine listens, or which key it wants, behind `--`: refused, in each spelling."""
    for engine in ("llama.cpp", "vllm", "sglang"):
        for flag in _OURS:
            for form in _forms(flag):
                words = ("run", "qwen3-8b", "--on", "rtx 4090, 64gb", "-e", engine, "--dry-run", "--", *form)
                yield Input("flag", f"{engine} {' '.join(form)}", words, lambda folder: folder, refused, _OFFLINE)


_EXPORTS = ("systemd", "compose", "kubernetes", "slurm", "ray", "script", "ollama", "lmstudio", "llama-swap")
_CONTROLS = ("\n", "\r", "\x1b[31m", "\x85", "\u2028", "\x7f", "\x07", "\u202e")
_READABLE = ("$(HOME)", "${X}", "`id`", "'", '"', "\\", "%n %i", " #", "; rm -rf /", "🦙", "模型", "*", "--")


def exports() -> Iterator[Input]:
    """Names of files in what is written down: controls refused, the rest quoted."""
    for form in _EXPORTS:
        for control in _CONTROLS:
            yield Input("export", f"{form} {control!r}", _export(form), _gguf(f"a{control}b.gguf"), refused, _OFFLINE)
        for text in _READABLE:
            name = f"a{text.replace('/', '')}b.gguf"
            yield Input("export", f"{form} {text!r}", _export(form), _gguf(name), _quoted(form), _OFFLINE)


def _export(form: str) -> tuple[str, ...]:
    return ("run", "{}", "--on", "rtx 4090, 64gb", "-e", "llama.cpp", "--export", form)


def _gguf(name: str) -> Callable[[Path], Path]:
    from attack.model_inputs import _whole

    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(_whole(0))
        return path

    return make


def _quoted(form: str) -> Callable[[Said], str]:
    def judge(said: Said) -> str:
        if said.status == 2:
            return refused(said)
        if form in ("compose", "kubernetes"):
            text = "\n".join(line for line in said.out.splitlines() if not line.startswith("#"))
            for part in text.split("\n---\n"):
                json.loads(part)
        return "" if form != "systemd" or "\nUser=root" not in said.out else "runs as root"

    return judge


def _state(content: bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        place = folder / "state" / "wellfed"
        place.mkdir(parents=True)
        (place / "m.json").write_bytes(content)
        (place / "good.json").write_text(json.dumps({"name": "good", "boot": "earlier", "pid": 4242, "ticks": 1}))
        import os

        os.environ["XDG_STATE_HOME"] = str(folder / "state")
        return folder

    return make


_FIELDS = (
    "name", "pid", "started", "url", "model", "engine", "log", "shared", "phase", "since", "token", "ticks", "boot",
    "namespace", "machine", "keeper", "keeper_ticks", "health", "key_file",
)  # fmt: skip
_ODD: tuple[Any, ...] = (
    None, True, -1, 0, 1, 2**40, 1e400, "", "x" * 5000, "\x1b[2J", [], {}, [1], "/etc/passwd", "../x", "file:///etc/passwd",
)  # fmt: skip


def records(count: int) -> Iterator[Input]:
    """State files: `ps` lists what is good and says nothing lives that cannot be told; `stop` signals nobody."""
    turns = [(field, value) for field in _FIELDS for value in _ODD]
    random.Random(3).shuffle(turns)
    for number, (field, value) in enumerate(turns[:count]):
        content = json.dumps({"name": "m", "pid": 1_999_999_999, "ticks": 5, field: value}).encode()
        if number % 3:
            yield Input("record", f"ps {field}={str(value)[:20]!r}", ("ps", "--json"), _state(content), _nothing_lives)
        else:
            words = ("stop", "m")
            yield Input("record", f"stop {field}={str(value)[:20]!r}", words, _state(content), _nothing_stopped)


def _nothing_lives(said: Said) -> str:
    wrong = sane(said)
    if wrong:
        return wrong
    engines = document(said.out)["engines"]
    if [entry["name"] for entry in engines if entry["alive"]]:
        return "it is said to live"
    return "" if "good" in [entry["name"] for entry in engines] else "a good record is not listed"


def _nothing_stopped(said: Said) -> str:
    return "it is said to be stopped" if "stopped" in said.out and "had ended" not in said.out else ""


def keys() -> Iterator[Input]:
    """Files of keys."""
    words = ("run", "qwen3-8b", "--on", "rtx 4090, 64gb", "--dry-run", "--api-key-file", "{}")
    for number, content in enumerate(
        (b"", b"\n", b" \n", b"\xff\n", b"a\x1b[31mb\n", b"a\0b\n", b"x" * 10_000, b"\r\n")
    ):

        def make(folder: Path, content: bytes = content) -> Path:
            (folder / "key").write_bytes(content)
            return folder / "key"

        yield Input("key", str(number), words, make, refused, _OFFLINE)
