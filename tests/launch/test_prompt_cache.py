"""The bound on prompts that llama.cpp's server keeps in RAM: laws, and the embedded server's own word."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.engines.llamacpp import OPTIONAL
from wellfed.engines.prompt_cache import prompt_cache_bytes
from wellfed.engines.spec import LaunchSpec
from wellfed.launch.process import free_port, start, stop, wait_ready
from wellfed.launch.programs import Program, known_words
from wellfed.nouns.estimate import DeviceMemory, Memory, MemoryTerm
from wellfed.nouns.layout import Engine
from wellfed.units import GIB, MIB
from wellfed.verbs import running


def ledger(free: float | None, kv: float = 0.0) -> Memory:
    """A machine with `free` bytes beside a cache of `kv` bytes."""
    terms = (MemoryTerm("ram", "weights", GIB), MemoryTerm("ram", "kv", kv))
    return Memory((DeviceMemory("ram", terms, None if free is None else free + GIB + kv),))


@given(st.floats(-1e12, 1e13), st.floats(0, 1e11), st.integers(1, 64))
def test_bound_leaves_three_quarters_and_holds_a_whole_prompt(free: float, kv: float, sequences: int) -> None:
    kept = prompt_cache_bytes(ledger(free, kv), sequences)
    assert kept is not None and kept % (64 * MIB) == 0
    assert 0 <= kept <= 8 * GIB
    assert kept <= max(0.0, free) / 4 + 1e-3 * abs(free)
    assert kept == 0 or kept >= kv / sequences


@pytest.mark.parametrize(
    ("free", "kept"),
    [(255 * MIB, 0), (256 * MIB, 64 * MIB), (7 * GIB, 1792 * MIB), (1000 * GIB, 8 * GIB), (None, None)],
)
def test_bound(free: float | None, kept: int | None) -> None:
    assert prompt_cache_bytes(ledger(free), 1) == kept


def prepared(tiny: Path, **changes: object) -> running.Prepared:
    """A small launch."""
    fields: dict[str, object] = {"context": 512, "threads": 1, "port": free_port()}
    return running.prepare(str(tiny), running.RunOptions(**(fields | changes)))  # type: ignore[arg-type]


def test_bound_counts_as_needed_and_not_as_resident(tiny: Path) -> None:
    found = prepared(tiny)
    (ram,) = found.plan.estimate.memory.devices
    (kept,) = [term for term in ram.terms if term.name == "prompt cache (at most)"]
    assert kept.bytes == found.plan.layout.prompt_cache_bytes
    without = replace(ram, terms=tuple(term for term in ram.terms if term is not kept))
    assert ram.needed_bytes == without.needed_bytes + kept.bytes
    assert ram.resident_bytes == pytest.approx(without.resident_bytes)
    assert ram.spare_bytes is not None and ram.spare_bytes >= 0


def test_programs_from_before_it_are_not_told(tmp_path: Path) -> None:
    old = tmp_path / "llama-server"
    old.write_text("#!/bin/sh\necho --model FILE --port N\n")
    old.chmod(0o755)
    words = ("--model", "m", *OPTIONAL, "64", "--port", "1")
    assert known_words(Program((str(old),), "given"), words, Engine.LLAMA_CPP) == ("--model", "m", "--port", "1")


@pytest.mark.engine
def test_the_embedded_server_keeps_to_it(tmp_path: Path, tiny: Path) -> None:
    spec: LaunchSpec = prepared(tiny).spec
    words = list(spec.argv)
    words[words.index("--cache-ram") + 1] = "192"
    engine = start(replace(spec, argv=(*words, "--verbose")), tmp_path / "log")
    try:
        wait_ready(engine, 60)
    finally:
        stop(engine.pid)
    assert "size limit: 192 MiB" in (tmp_path / "log").read_text()
