"""Hostile machines: damaged dumps, lines and tables of machines, archives; each with what may be said of it."""

from __future__ import annotations

import io
import json
import random
import sys
import tarfile
from collections.abc import Callable, Iterator
from functools import lru_cache
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from attack.judges import either, refused
from attack.sandbox import Input

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "topology"))

from dump_samples import SAMPLES
from dump_samples_more import MORE

_CHECK = ("check", "--from", "{}", "--json")
DUMPS = {**SAMPLES, **MORE}
_STRANGE = (
    "\x1b[2J\x1b]0;owned\x07", "\u202eevil", "9" * 400, "-1", "NaN", "1e999", "\0", "\ufeff", "\ud7ff", "%s%n",
    "{" * 50, "<!ENTITY a '&a;'>", "x" * 100_000, "\n" * 5000,
)  # fmt: skip


def _text(name: str, content: str | bytes) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / name
        path.write_bytes(content if isinstance(content, bytes) else content.encode("utf-8", "surrogatepass"))
        return path

    return make


@lru_cache(maxsize=64)
def _seen(text: str) -> tuple[int, frozenset[str]]:
    """How many GPUs a dump has, and which checks find a fault in it."""
    from wellfed.checks.run import run_checks
    from wellfed.nouns.finding import Verdict
    from wellfed.verbs.checking import read_machine

    with TemporaryDirectory() as folder:
        machine = read_machine(path=_text("dump.txt", text)(Path(folder)))
    faults = frozenset(finding.id for finding in run_checks(machine) if finding.verdict in (Verdict.WARN, Verdict.FAIL))
    return len(machine.gpus), faults


def _no_more_than(text: str, whole: bool) -> Callable[[Any], str]:
    """What is left of a dump shows no GPU that was not there; with `whole` lines, no fault either."""

    def may(found: dict[str, Any]) -> str:
        gpus, faults = _seen(text)
        if found["machine"]["counts"]["gpus"] > gpus:
            return f"{found['machine']['counts']['gpus']} GPUs of {gpus}"
        new = {finding["id"] for finding in found["findings"] if finding["verdict"] in ("warn", "fail")}
        new -= faults | {"pcie-shared-uplink"}  # true of what is left where the lines of the NVLinks beside it are gone
        return f"faults that nobody has seen: {sorted(new)}" if whole and new else ""

    return may


def dumps(count: int) -> Iterator[Input]:
    """Cut, with lines left out, with lines twice, with strange words in between, of every kind that is read."""
    names = sorted(DUMPS)
    for number in range(count):
        dice = random.Random(number)
        name = names[number % len(names)]
        text, way = DUMPS[name], ("cut", "without", "twice", "strange", "head")[number // len(names) % 5]
        lines = text.splitlines(keepends=True)
        if way == "cut":
            damaged = text[: dice.randrange(len(text))]
        elif way == "head":
            damaged = "".join(lines[dice.randrange(len(lines)) :])
        elif way == "without":
            gone = set(dice.sample(range(len(lines)), dice.randint(1, max(1, len(lines) // 2))))
            damaged = "".join(line for at, line in enumerate(lines) if at not in gone)
        elif way == "twice":
            damaged = text + "\n" + "".join(lines[: dice.randrange(len(lines))])
        else:
            at = dice.randrange(len(text))
            damaged = text[:at] + dice.choice(_STRANGE) + text[at:]
        may = _no_more_than(text, way in ("cut", "without", "head"))
        judge = either(may if way != "strange" else lambda found: "")
        yield Input("dump", f"{name} {way} {number}", _CHECK, _text("dump.txt", damaged), judge)


_PARTS = ("rtx 4090", "h100", "a100 80gb", "rtx 3090", "mi300x")
_HOSTILE_LINES = (
    "", " ", "0x rtx 4090", "-1x rtx 4090", "2.5x rtx 4090", "1e9x rtx 4090", "99999999999999999999x rtx 4090",
    "rtx 4090, -64gb", "rtx 4090, 0gb", "rtx 4090, 1e400gb", "rtx 4090, 64zb", "\x1b[31mrtx 4090", "rtx 4090\u202e",
    "gtx 9999 ultra", "rtx", "a graphics card", "64gb", "rtx 4090; rm -rf /", "$(reboot)", "rtx 4090, " * 3000,
    "x" * 100_000, "🦙", "rtx 4090, 64gb ddr9", "rtx 4090 with 0x 64GB DDR5-4800", "4090x rtx", "NaNx rtx 4090",
    "rtx 4090, 10**9 gb", "\ud800", "\0rtx 4090", "build:../../etc/passwd", "build:", "[]", "{}", "%s%s%n",
)  # fmt: skip


def lines() -> Iterator[Input]:
    """Machines in a line: as many GPUs as are written, or refused."""
    words = ("topology", "--on", "{}", "--json")
    for line in _HOSTILE_LINES:
        yield Input("line", repr(line[:40]), words, lambda folder, line=line: (line,), either(_at_most(1)))
    for number in range(150):
        dice = random.Random(number)
        gpus, part = dice.choice((1, 2, 3, 4, 6, 8, 10, 16)), dice.choice(_PARTS)
        noise = dice.choice(("", ", 64gb", ", epyc 9654", ", 128gb ddr4", ", 512 gb ram", ", ryzen 9 7950x, 64gb"))
        line = f"{gpus}{dice.choice(('x ', ' x ', '× ', ' '))}{part}{noise}"
        yield Input("line", line, words, lambda folder, line=line: (line,), either(_exactly(gpus)))


def _gpus(found: dict[str, Any]) -> int:
    counts = found.get("counts") or found.get("machine", {}).get("counts") or {}
    return int(counts.get("gpus", len(found.get("gpus", ()))))


def _exactly(gpus: int) -> Callable[[Any], str]:
    return lambda found: "" if _gpus(found) == gpus else f"{_gpus(found)} GPUs of {gpus}"


def _at_most(gpus: int) -> Callable[[Any], str]:
    return lambda found: "" if _gpus(found) <= gpus else f"{_gpus(found)} GPUs of {gpus}"


_TOML = """\
name = "box"
gpus = ["2x rtx 4090"]
cpu = "ryzen 9 7950x"
memory = "64gb ddr5"
"""
_NO_TOML = (
    "", "[", "a", "= 1", "gpus = 3", "[[gpus]]", '[[gpus]]\nmodel = "rtx 4090"\ncount = -1\n', "[gpus]\n" * 3,
    '[[gpus]]\nmodel = 3\n', '[[gpus]]\nmodel = "rtx 4090"\ncount = 1e400\n', "\0", "a = " + "9" * 100_000,
    'a = "' + "x" * 10**6 + '"', "[a]\n" * 50_000, "[" * 5000, '[[gpus]]\nmodel = "\\u001b[31m"\n', "﻿[[gpus]]\n",
    "a.b." * 2000 + "c = 1", "x = nan\n", "d = 1979-05-27T07:32:00Z\n", "caf\udce9 = 1\n",
)  # fmt: skip


def tables(count: int) -> Iterator[Input]:
    """Machines and prices in TOML: refused, or read within bounds."""
    kinds = {
        "machine": ("topology", "--on", "{}", "--json"),
        "prices": ("plan", "qwen3-8b", "--on", "rtx 4090", "--buy", "--prices", "{}", "--json"),
    }
    for kind, words in kinds.items():
        for number, text in enumerate(_NO_TOML):
            yield Input(
                kind, f"text {number}", words, _text("file.toml", text.encode("utf-8", "replace")), either(_any)
            )
    for number in range(count):
        dice = random.Random(number)
        text = _TOML
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(text))
            text = text[:at] + dice.choice((*_STRANGE, "[", '"', "=", "", "-", "0")) + text[at + dice.randint(0, 6) :]
        words = kinds["machine"]
        yield Input("machine", f"damaged {number}", words, _text("file.toml", text), either(_at_most(1000)))


def _any(found: Any) -> str:
    return ""


def _member(name: str, content: bytes = b"1\n", kind: bytes = tarfile.REGTYPE, link: str = "") -> tarfile.TarInfo:
    member = tarfile.TarInfo(name)
    member.type, member.linkname, member.size = kind, link, len(content) if kind == tarfile.REGTYPE else 0
    return member


def _archive(members: Callable[[], Iterator[tuple[tarfile.TarInfo, bytes]]]) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / "box.tar.gz"
        with tarfile.open(path, "w:gz") as tar:
            for member, content in members():
                tar.members = []  # it would keep them all
                tar.addfile(member, io.BytesIO(content))
        return path

    return make


def _repeated(times: int) -> Callable[[Path], Path]:
    """A thousand empty members, so many times over."""

    def make(folder: Path) -> Path:
        path = folder / "box.tar"
        members = b"".join(_member(f"sys/{number}", b"").tobuf() for number in range(1000))
        with path.open("wb") as file:
            for _ in range(times):
                file.write(members)
            file.write(bytes(2 * tarfile.BLOCKSIZE))
        return path

    return make


def _writes_nothing_outside(path: Path) -> Callable[[Any], str]:
    return lambda found: f"{path} was written" if path.exists() else ""


def archives(long: bool) -> Iterator[Input]:
    """Tar archives whose members point elsewhere, are devices, are a million, are a bomb."""
    words = ("topology", "--from", "{}", "--json")
    outside = Path("/tmp/wellfed-attack-outside")
    shapes: dict[str, list[tuple[tarfile.TarInfo, bytes]]] = {
        "absolute": [(_member(str(outside)), b"1\n")],
        "above": [(_member("../" * 9 + "tmp/wellfed-attack-outside"), b"1\n")],
        "link out": [(_member("sys", b"", tarfile.SYMTYPE, "/"), b""), (_member("sys/tmp/wellfed-attack-outside"), b"1\n")],
        "hard link": [(_member("sys/a", b"", tarfile.LNKTYPE, "/etc/passwd"), b"")],
        "device": [(_member("sys/a", b"", tarfile.CHRTYPE), b"")],
        "fifo": [(_member("proc/meminfo", b"", tarfile.FIFOTYPE), b"")],
        "loop": [(_member("sys", b"", tarfile.SYMTYPE, "sys"), b"")],
        "twice": [(_member("proc/meminfo", b"MemTotal: 1 kB\n"), b"MemTotal: 1 kB\n")] * 50,
        "control": [(_member("sys/\x1b[31m\x07"), b"1\n")],
        "long name": [(_member("sys/" + "x/" * 20_000 + "a"), b"1\n")],
        "nothing": [],
    }  # fmt: skip
    for name, members in shapes.items():
        judge = either(_writes_nothing_outside(outside))
        yield Input("archive", name, words, _archive(lambda members=members: iter(members)), judge)

    def bomb() -> Iterator[tuple[tarfile.TarInfo, bytes]]:
        content = bytes(2**20)
        for number in range(400):
            yield _member(f"sys/{number}", content), content

    yield Input("archive", "a million", words, _repeated(1000 if long else 120), refused)
    yield Input("archive", "bomb", words, _archive(bomb), either(_any))
    whole = io.BytesIO()
    with tarfile.open(fileobj=whole, mode="w:gz") as tar:
        for number in range(60):
            tar.addfile(_member(f"proc/{number}", b"x" * 50), io.BytesIO(b"x" * 50))
    for number in range(60):
        dice = random.Random(number)
        content = bytearray(whole.getvalue())
        for _ in range(dice.randint(1, 5)):
            content[dice.randrange(len(content))] = dice.randrange(256)
        cut = bytes(content[: dice.randrange(len(content))] if number % 2 else content)
        yield Input("archive", f"damaged {number}", words, _text("box.tar.gz", cut), either(_any))


_TRACE = json.dumps({"schema": "wellfed.trace/1", "target": "t"}) + "\n"
_VALUES: tuple[Any, ...] = (
    -1, 0, 2**70, 1e308, float("nan"), float("inf"), None, True, "", "x" * 5000, [], {}, [None], "\x1b[2J", -0.0, [[]],
)  # fmt: skip


def _spoilt(value: Any, dice: random.Random, left: list[int]) -> Any:
    """The same, with values here and there replaced."""
    if left[0] and dice.random() < 0.02:
        left[0] -= 1
        return dice.choice(_VALUES)
    if isinstance(value, dict):
        return {key: _spoilt(item, dice, left) for key, item in value.items()}
    if isinstance(value, list):
        return [_spoilt(item, dice, left) for item in value]
    return value


def traces(count: int) -> Iterator[Input]:
    """Recordings with values that cannot be, lines out of order, halves of lines."""
    folder = Path(__file__).resolve().parents[1] / "watch" / "traces"
    recordings = sorted(folder.glob("*.jsonl"))
    words = ("watch", "--replay", "{}", "--json")
    for number in range(count):
        dice = random.Random(number)
        head, *rest = recordings[number % len(recordings)].read_text().splitlines()
        way = ("values", "order", "cut", "twice", "header")[number % 5]
        if way == "values":
            left = [6]
            rest = [json.dumps(_spoilt(json.loads(line), dice, left)) for line in rest]
        elif way == "order":
            dice.shuffle(rest)
        elif way == "cut":
            rest = [*rest[:-1], rest[-1][: dice.randrange(len(rest[-1]))]]
        elif way == "twice":
            rest = [line for line in rest for _ in range(2)]
        else:
            head = json.dumps(_spoilt(json.loads(head) | {"promise": {"a": 1}}, dice, [3]))
        yield Input("trace", f"{way} {number}", words, _text("t.jsonl", "\n".join((head, *rest))), either(_rates))


def _rates(found: dict[str, Any]) -> str:
    """No engine makes a million tokens a second, nor fewer than none."""
    rate = (found.get("engine") or {}).get("tok_s")
    return "" if rate is None or 0 <= rate < 1e6 else f"{rate} tokens/s"


_COLUMNS = "model,quant,gpu,gpu_count,cpu,engine,prompt_tokens,output_tokens,concurrency,decode_tok_s\n"
_ROW = ["qwen3-8b", "q4_k_m", "rtx 4090", "1", "", "llama.cpp", "1024", "128", "1", "100"]


def rows(count: int) -> Iterator[Input]:
    """Tables of measurements."""
    words = ("accuracy", "{}", "--json")
    hostile = (
        "",
        "-1",
        "0",
        "1e999",
        "nan",
        "inf",
        "9" * 300,
        "\x1b[31m",
        "=cmd()",
        '"',
        "x" * 200_000,
        "\0",
        "½",
        "1,5",
    )
    for number in range(count):
        dice = random.Random(number)
        row = list(_ROW)
        for _ in range(dice.randint(1, 3)):
            row[dice.randrange(len(row))] = dice.choice(hostile)
        text = _COLUMNS + ",".join(row) + "\n"
        yield Input("table", str(number), words, _text("t.csv", text), either(_any))
