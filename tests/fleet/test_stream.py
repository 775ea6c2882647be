"""What a node sends: the script on this machine and on written ones, and streams that lie."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
from dataclasses import fields
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from machines_builder import Box, build, channel_slots, gpu, root_port, two_socket_box
from wellfed.errors import BadInput
from wellfed.fleet.script import VERSION, script
from wellfed.fleet.stream import read_stream
from wellfed.topology.collect import MAX_FILE_BYTES, collect
from wellfed.topology.machine import parse
from wellfed.topology.snapshot import META

HEAD = f"wellfed-node {VERSION}\n".encode()


def sent(root: Path | None = None, shell: str = "sh") -> bytes:
    environment = {**os.environ, **({"WELLFED_NODE_ROOT": str(root)} if root else {})}
    done = subprocess.run([shell, "-s"], input=script().encode(), capture_output=True, env=environment, check=True)
    return done.stdout


BOXES = (
    two_socket_box(),
    Box(slots=channel_slots(1, "AB"), offline=frozenset({3})),
    Box(4, 8, 2, 2, pci=(root_port("0000:16:01.0", numa=0, below=(gpu("0000:17:00.0", now=(3, 8)),)),)),
)  # fmt: skip


@pytest.mark.parametrize("number", range(len(BOXES)))
def test_the_script_sends_what_a_snapshot_holds(number: int, tmp_path: Path) -> None:
    root = build(BOXES[number], tmp_path / "root")
    machine = parse(read_stream(io.BytesIO(sent(root)), "node"))
    own = parse(collect(root))
    for field in fields(own):
        if field.name not in ("name", "os"):
            assert getattr(machine, field.name) == getattr(own, field.name), field.name
    for field in fields(own.os):
        assert getattr(machine.os, field.name) == getattr(own.os, field.name), field.name


@pytest.mark.parametrize("shell", ["sh", "dash", "bash", "busybox"])
def test_any_posix_shell_runs_it_on_this_machine(shell: str) -> None:
    if shutil.which(shell) is None:
        pytest.skip(f"no {shell} here")
    argv = [shell, "sh", "-s"] if shell == "busybox" else [shell, "-s"]
    done = subprocess.run(argv, input=script().encode(), capture_output=True, check=True)
    assert done.stderr == b""
    snapshot = read_stream(io.BytesIO(done.stdout), "node")
    assert snapshot.notes == ()
    machine, own = parse(snapshot), parse(collect())
    assert (machine.cpus, machine.dimms, machine.pci, machine.nics) == (own.cpus, own.dimms, own.pci, own.nics)
    assert machine.memory_bytes == own.memory_bytes


def test_shellcheck_has_nothing_against_the_script(tmp_path: Path) -> None:
    checker = shutil.which("shellcheck") or str(Path(os.sys.executable).parent / "shellcheck")  # type: ignore[attr-defined]
    if not Path(checker).exists():
        pytest.skip("no shellcheck here")
    path = tmp_path / "node.sh"
    path.write_text(script())
    # patterns are split and expanded on purpose; /proc/*/comm is no `ls`
    done = subprocess.run(
        [checker, "-s", "sh", "-e", "SC2086,SC2231,SC2015,SC2002", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout


def test_names_and_serials_do_not_leave_it() -> None:
    stream = (
        HEAD
        + b"H\n ==> /proc/cmdline <==\n ro host=secret-name ip=10.0.0.9\n\nD nvidia-smi-q.txt\n     Serial Number : 132\nE 2\n"
    )
    snapshot = read_stream(io.BytesIO(stream), "node")
    text = repr(snapshot.files) + repr(snapshot.dumps)
    assert "secret-name" not in text and "132" not in text and "10.0.0.9" not in text


@pytest.mark.parametrize(
    ("stream", "words"),
    [
        (b"", "no stream"),
        (b"Permission denied\n" * 3, "no stream"),
        (b"x" * 3_000_000, "no stream"),
        (b"wellfed-node 99\nE 0\n", "another version"),
        (b"wellfed-node\nE 0\n", "no stream"),
        (HEAD + b"E 0\n", "no file"),
        (HEAD + b"H\n ==> /etc/shadow <==\n root:x\nE 1\n", "no file"),
        (HEAD + b"H\n ==> /sys/../etc/shadow <==\n root:x\nE 1\n", "no file"),
    ],
)  # fmt: skip
def test_no_stream_is_refused(stream: bytes, words: str) -> None:
    with pytest.raises(BadInput, match=words):
        read_stream(io.BytesIO(stream), "node")


def test_a_greeting_before_it_is_passed_over_and_a_cut_end_is_told() -> None:
    body = b"H\n ==> /proc/meminfo <==\n MemTotal: 1 kB\n"
    assert read_stream(io.BytesIO(b"Welcome\n\n" + HEAD + body + b"E 1\n"), "n").notes == ()
    assert read_stream(io.BytesIO(HEAD + body), "n").notes
    assert read_stream(io.BytesIO(HEAD + body + b"E 7\n"), "n").notes


def test_the_first_of_two_answers_counts() -> None:
    one = HEAD + b"H\n ==> /proc/version <==\n first\nE 1\n"
    two = HEAD + b"H\n ==> /proc/version <==\n second\nE 1\n"
    assert read_stream(io.BytesIO(one + two), "n").files["/proc/version"] == b"first\n"


def test_sizes_are_held_to_a_snapshots() -> None:
    big = HEAD + b"H\n ==> /proc/cpuinfo <==\n" + b" processor : 0\n" * 600_000
    snapshot = read_stream(io.BytesIO(big), "n")
    assert len(snapshot.files["/proc/cpuinfo"]) <= MAX_FILE_BYTES + 64


def test_links_cannot_leave_or_loop() -> None:
    stream = HEAD + (
        b"L /sys/bus/pci/devices/0000:01:00.0\t/sys/bus/pci/devices/0000:01:00.0\n"
        b"L /etc/passwd\t/sys\nL /sys/class/net/../../x\t/sys\n"
        b"H\n ==> /sys/bus/pci/devices/0000:01:00.0/vendor <==\n 0x10de\nE 4\n"
    )
    snapshot = read_stream(io.BytesIO(stream), "n")
    assert set(snapshot.links) == {"/sys/bus/pci/devices/0000:01:00.0"}
    parse(snapshot)


@settings(max_examples=60, deadline=None)
@given(st.lists(st.sampled_from([
    b"H", b" ==> /proc/meminfo <==", b" MemTotal: 99 kB", b"B /sys/firmware/dmi/tables/DMI", b" 00 01 zz", b" 00 ff",
    b"L a", b"L /sys/class/net/x\t../../y", b"M root yes", b"M root", b"D x.txt", b"D ../x", b"E x", b"", b"\xff\xfe",
    b" ==> /sys/devices/system/cpu/online <==", b" 0-999999999", b"M shared_memory_kib 99999999999999999999",
]), max_size=30))  # fmt: skip
def test_whatever_is_sent_is_a_machine_or_an_error_of_ours(lines: list[bytes]) -> None:
    try:
        snapshot = read_stream(io.BytesIO(HEAD + b"\n".join(lines)), "n")
    except BadInput:
        return
    assert META in snapshot.files
    parse(snapshot)
