"""The clock by a burst of MD5."""

from __future__ import annotations

import platform

import pytest

from wellfed.bench import burst


@pytest.mark.skipif(platform.machine() not in ("x86_64", "AMD64"), reason="x86-64 only")
def test_a_burst_tells_a_clock() -> None:
    clock = burst.burst_clock_hz()
    assert clock is not None and 0.4e9 <= clock <= 7e9


def test_cycles_are_bytes_times_cycles_a_byte(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(burst, "_hash_s", lambda block: len(block) * burst._CYCLES_PER_BYTE / 3e9)
    assert burst.burst_clock_hz() == pytest.approx(3e9)


@pytest.mark.parametrize("seconds", [0.0, 1.0])
def test_what_no_core_does_is_no_clock(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(burst, "_hash_s", lambda block: seconds)
    assert burst.burst_clock_hz() is None


def test_other_architectures_and_refused_hashes_tell_none(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(block: bytes) -> float:
        raise ValueError("not allowed here")

    monkeypatch.setattr(platform, "machine", lambda: "x86_64")
    monkeypatch.setattr(burst, "_hash_s", refuse)
    assert burst.burst_clock_hz() is None
    monkeypatch.setattr(platform, "machine", lambda: "aarch64")
    assert burst.burst_clock_hz() is None
