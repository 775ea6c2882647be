"""The two doors at the bottom: files that were handed in, and text of strangers."""

from __future__ import annotations

import io
import os
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed import plain_file
from wellfed.errors import BadInput
from wellfed.printable import Guarded, printable, printable_lines

HOSTILE = "a\x1b]0;owned\x07b\x1b[2Jc\x9b31md\u202ee\rf\x00g\ud800h"


@given(st.text())
def test_nothing_unsafe_passes(text: str) -> None:
    shown = printable(text)
    assert all(letter.isprintable() or letter in "\u00a0\u3000" or ord(letter) > 0x9F for letter in shown)
    assert not set(shown) & set("\x1b\r\n\x07\x9b\u202e\u2066")
    shown.encode()


@given(st.text(alphabet=st.characters(categories=["L", "N", "P", "S"])))
def test_what_can_be_read_is_kept(text: str) -> None:
    assert printable(text) == text


def test_a_guarded_pipe_and_a_guarded_terminal() -> None:
    for terminal, kept in ((False, ""), (True, "\x1b[31m")):
        under = io.StringIO()
        under.isatty = lambda terminal=terminal: terminal  # type: ignore[method-assign]
        Guarded(under).write(f"\x1b[31m{HOSTILE}\n")
        text = under.getvalue()
        assert text.startswith(kept) and text.endswith("\n")
        assert "\x1b]" not in text and "\x1b[2J" not in text and "\x07" not in text and "\x9b" not in text
        assert "\\x1b]0;owned\\x07b" in text


def test_lines_are_kept() -> None:
    assert printable_lines("a\nb\tc\r\n") == "a\nb\tc\n"


def test_a_cut_is_told() -> None:
    assert printable("x" * 100, 10) == "x" * 9 + "…"


def test_files_as_they_are(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"\xef\xbb\xbfhello")
    assert plain_file.read_text(tmp_path / "a") == "hello"
    assert plain_file.read_bytes(tmp_path / "a", 8) == b"\xef\xbb\xbfhello"


def silent(tmp_path: Path) -> Path:
    """A FIFO that nobody writes to."""
    os.mkfifo(tmp_path / "fifo")
    return tmp_path / "fifo"


def sparse(tmp_path: Path) -> Path:
    """Five gigabytes that take no room."""
    with (tmp_path / "sparse").open("wb") as file:
        file.truncate(5 * 10**9)
    return tmp_path / "sparse"


def latin(tmp_path: Path) -> Path:
    """No UTF-8."""
    (tmp_path / "latin").write_bytes(b"caf\xe9")
    return tmp_path / "latin"


@pytest.mark.parametrize(
    ("make", "part"),
    [
        (silent, "gave nothing"),
        (sparse, "longer than"),
        (latin, "is not utf-8 text"),
        (lambda folder: folder, "is a folder"),
        (lambda _: Path("/dev/zero"), "longer than"),
        (lambda folder: folder / "none", "No such file"),
        (lambda folder: str(folder / "nul") + "\0", "cannot read"),
    ],
)
def test_what_is_refused(tmp_path: Path, make: object, part: str) -> None:
    with pytest.raises(BadInput, match=part):
        plain_file.read_text(make(tmp_path), 2**20, idle_s=0.2)  # type: ignore[operator]


def test_an_empty_device_is_empty() -> None:
    assert plain_file.read_bytes("/dev/null") == b""


def test_a_fifo_with_a_writer(tmp_path: Path) -> None:
    path = silent(tmp_path)
    writer = threading.Thread(target=lambda: path.write_bytes(b"x" * 300_000))
    writer.start()
    assert plain_file.read_bytes(path) == b"x" * 300_000
    writer.join()


def test_lines_one_at_a_time(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"one\n\ntwo" + b"x" * 100)
    assert list(plain_file.lines(tmp_path / "a", 1000, 200)) == [b"one", b"", b"two" + b"x" * 100]
    (tmp_path / "a").write_bytes(b"x" * 600_000)
    with pytest.raises(BadInput, match="line longer"):
        list(plain_file.lines(tmp_path / "a", 2**20, 1000))


@pytest.mark.parametrize("through", [subprocess.PIPE, "socket"])
def test_standard_input(through: object) -> None:
    import socket

    code = "from wellfed import plain_file; print(plain_file.read_text('/dev/stdin'))"
    if through == "socket":
        here, there = socket.socketpair()
        with here, there:
            child = subprocess.Popen([sys.executable, "-c", code], stdin=there, stdout=subprocess.PIPE, text=True)
            there.close()
            here.sendall(b"hello")
            here.close()
            assert child.communicate(timeout=30)[0] == "hello\n"
    else:
        done = subprocess.run([sys.executable, "-c", code], input="hello", capture_output=True, text=True, check=True)
        assert done.stdout == "hello\n"
