"""However a dump is wrapped, it reads as the bare one; whatever is thrown at the readers, they end and do not crash."""

from __future__ import annotations

import json

import dump_samples_more as more
import pytest
from dump_samples import LSCPU, NUMACTL, SAMPLES, TOPO
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from wellfed.hardware.machine import Machine, Origin
from wellfed.topology.machine import parse
from wellfed.topology.readers import READERS, read_dumps
from wellfed.topology.readers.pasted import pieces
from wellfed.topology.snapshot import Snapshot

ALL = {**SAMPLES, **more.MORE}
PLAIN = [name for name in ALL if "XML" not in name and "-x" not in name]


def machine_of(*texts: str) -> Machine:
    return parse(Snapshot("pasted", Origin.DUMP, dumps={f"{n}.txt": text for n, text in enumerate(texts)}))


def quoted(text: str) -> str:
    return "\n".join(f"> {line}" for line in text.splitlines())


def fenced(text: str) -> str:
    return f"Some words before.\n\n```console\n{text}\n```\nand after.\n"


def stamped(text: str) -> str:
    return "\n".join(f"2026-03-04T05:06:07.{n:03d}Z {line}" for n, line in enumerate(text.splitlines()))


def composed(text: str) -> str:
    return "\n".join(f"worker-0  | {line}" for line in text.splitlines())


def as_body(text: str) -> str:
    return json.dumps({"title": "slow", "body": fenced(text), "comments": [{"body": "me too"}]})


def escaped(text: str) -> str:
    return json.dumps(fenced(text))[1:-1]


def as_html(text: str) -> str:
    return "<pre>" + text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;") + "</pre>"


def unclosed(text: str) -> str:
    return f"see below\n```\n{text}"


def in_details(text: str) -> str:
    return f"<details>\n<summary>output</summary>\n\n~~~text\n{text}\n~~~\n</details>\n"


@pytest.mark.parametrize("wrap", [quoted, fenced, as_body, escaped, as_html, unclosed, in_details])
@pytest.mark.parametrize("name", PLAIN)
def test_a_wrapped_dump_reads_as_the_bare_one(name: str, wrap) -> None:
    if name == "/proc/cmdline" and wrap in (escaped, quoted):
        pytest.skip("a single line is no quote and has no line ends to escape")
    bare = machine_of(ALL[name])
    assert bare.kinds_read
    assert machine_of(wrap(ALL[name])) == bare


@pytest.mark.parametrize("wrap", [stamped, composed])
@pytest.mark.parametrize(
    "name", ["nvidia-smi topo -m", "lscpu", "numactl -H", "nvidia-smi", "environment report", "rocm-smi"]
)
def test_what_a_log_puts_before_each_line_is_no_part_of_it(name: str, wrap) -> None:
    assert machine_of(wrap(ALL[name])) == machine_of(ALL[name])


def test_text_outside_fences_counts_too() -> None:
    machine = machine_of(f"{NUMACTL}\nand the topology:\n```\n{TOPO}\n```\n{LSCPU}")
    assert set(machine.kinds_read) == {"numactl -H", "nvidia-smi topo -m", "lscpu"}


def test_several_dumps_of_one_paste_without_fences() -> None:
    machine = machine_of("\n".join([more.SMI_TABLE, TOPO, LSCPU, more.FREE]))
    assert {"nvidia-smi", "nvidia-smi topo -m", "lscpu", "free"} <= set(machine.kinds_read)
    assert machine.gpus[0].numa_node == 0 and machine.memory_bytes


def test_a_csv_with_its_command_needs_no_header() -> None:
    text = (
        "$ nvidia-smi --query-gpu=index,name,memory.total,pcie.link.width.current --format=csv,noheader\n"
        "0, NVIDIA L4, 23034 MiB, 8\n1, NVIDIA L4, 23034 MiB, 16\n"
    )
    assert [(gpu.index, gpu.name, gpu.memory_bytes) for gpu in machine_of(text).gpus] == [
        (0, "NVIDIA L4", 23034 << 20), (1, "NVIDIA L4", 23034 << 20),
    ]  # fmt: skip


def test_an_unreadable_part_is_named_and_the_rest_is_read() -> None:
    broken = ALL["nvidia-smi -q -x"][:300]
    machine = machine_of(f"```\n{broken}\n```\n```\n{LSCPU}```")
    assert any("nvidia-smi -q -x" in key for key in machine.unknown)
    assert machine.sockets


@pytest.mark.parametrize(
    "text", ["", "   \n\n", "hello", "# Title\n\nSome prose about GPUs and CPUs: nothing measured.\n"]
)
def test_what_is_no_dump_is_read_as_none(text: str) -> None:
    assert machine_of(text).kinds_read == ()


def test_what_nobody_understands_is_named_file_by_file() -> None:
    machine = machine_of(LSCPU, "hello\n", LSCPU, "")
    named = {key: why for key, why in machine.unknown.items() if key.startswith("dump ")}
    assert named == {"dump 1.txt": "no known kind of dump", "dump 3.txt": "it is empty"}


SNIPS = st.sampled_from([line for text in ALL.values() for line in text.splitlines()][::3])


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.one_of(SNIPS, st.text(max_size=40)), max_size=30))
def test_any_lines_in_any_order_are_survived(lines: list[str]) -> None:
    list(read_dumps({"paste": "\n".join(lines)}))


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.sampled_from(sorted(ALL)), st.data())
def test_a_damaged_dump_is_survived(name: str, data: st.DataObject) -> None:
    text = ALL[name]
    start = data.draw(st.integers(0, len(text)))
    end = data.draw(st.integers(start, len(text)))
    middle = data.draw(st.text(max_size=20))
    machine_of(text[:start] + middle + text[end:])


@pytest.mark.parametrize(
    "unit", ["A", "1 ", "|", "GPU0 ", "0:", "-", "[", "{", "> ", "9" * 3, "\t", "a: b\n", "GPU 0: x\n", "\\n", "\x1b["]
)
def test_endless_repetition_ends(unit: str) -> None:
    text = unit * (200_000 // len(unit))
    assert sum(len(piece) for piece in pieces(text)) <= len(text) + 1
    list(read_dumps({"paste": text}))


@pytest.mark.parametrize("reader", READERS, ids=lambda reader: reader.title)
def test_every_reader_says_what_it_tells_and_what_makes_it(reader) -> None:
    assert reader.title and reader.tells and reader.command and reader.marks
