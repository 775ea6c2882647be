"""What a person may hand in by mistake, and a stranger on purpose, to every command that reads a file."""

from __future__ import annotations

import os
import random
from collections.abc import Callable, Mapping
from pathlib import Path

HEADER = b'{"schema":"wellfed.trace/1","target":"t"}\n'
READERS: Mapping[str, tuple[str, ...]] = {
    "accuracy": ("accuracy", "{}"),
    "check": ("check", "--on", "{}"),
    "topology": ("topology", "--on", "{}"),
    "plan on": ("plan", "qwen3-8b", "--on", "{}"),
    "plan model": ("plan", "{}", "--on", "epyc 9654 with 12x 64GB DDR5-4800"),
    "prices": ("plan", "qwen3-8b", "--on", "rtx 4090", "--buy", "--prices", "{}"),
    "replay": ("watch", "--replay", "{}", "--json"),
    "key": ("watch", "--url", "http://127.0.0.1:9", "--once", "--api-key-file", "{}"),
    "run key": ("run", "qwen3-8b", "--dry-run", "--on", "rtx 4090", "--api-key-file", "{}"),
    "run model": ("run", "{}", "--dry-run"),
}


def _written(content: bytes, suffix: str = ".txt") -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"file{suffix}"
        path.write_bytes(content)
        return path

    return make


def _fifo(folder: Path) -> Path:
    os.mkfifo(folder / "fifo")
    return folder / "fifo"


def _sparse(suffix: str) -> Callable[[Path], Path]:
    def make(folder: Path) -> Path:
        path = folder / f"sparse{suffix}"
        with path.open("wb") as file:
            file.truncate(5 * 10**9)
        return path

    return make


def _named(folder: Path) -> Path:
    path = folder / "a\x1b]0;owned\x07\u202eb.gguf"
    path.write_bytes(b"GGUF")
    return path


def _noise(seed: int, suffix: str) -> Callable[[Path], Path]:
    return _written(random.Random(seed).randbytes(4096), suffix)


NATURES: Mapping[str, Callable[[Path], Path]] = {
    "fifo": _fifo,
    "zeros": lambda _: Path("/dev/zero"),
    "random": lambda _: Path("/dev/urandom"),
    "nothing": lambda _: Path("/dev/null"),
    "full": lambda _: Path("/dev/full"),
    "folder": lambda folder: folder,
    "missing": lambda folder: folder / "none",
    "long name": lambda folder: folder / ("x" * 5000),
    "in a file": lambda _: Path("/etc/passwd/x"),
    "passwd": lambda _: Path("/etc/passwd"),
    "memory": lambda _: Path("/proc/self/mem"),
    "loop": lambda folder: _link(folder),
    "sparse": _sparse(".txt"),
    "sparse toml": _sparse(".toml"),
    "sparse gguf": _sparse(".gguf"),
    "empty": _written(b""),
    "empty toml": _written(b"", ".toml"),
    "latin": _written(b"caf\xe9 = 1\n", ".toml"),
    "deep JSON": _written(b"[" * 200_000, ".json"),
    "deep TOML": _written(b"a = " + b"[" * 100_000, ".toml"),
    "long line": _written(b"x" * 10**7, ".csv"),
    "many lines": _written(b"x,y\n" * 10**6, ".csv"),
    "trace of lies": _written(HEADER + b'{"t": NaN, "wall": 1e999}\n', ".jsonl"),
    "trace cut": _written(HEADER + b'{"t": 1.0, "wa', ".jsonl"),
    "trace of pids": _written(HEADER + b'{"t": 1, "wall": 1, "process": {"pid": -1, "alive": 3}}\n', ".jsonl"),
    "named": _named,
    "noise": _noise(1, ".bin"),
    "noise gguf": _noise(2, ".gguf"),
    "noise zip": _noise(3, ".zip"),
    "noise tar": _noise(4, ".tar.gz"),
}


def _link(folder: Path) -> Path:
    (folder / "loop").symlink_to(folder / "loop")
    return folder / "loop"
