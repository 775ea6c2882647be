"""hwloc as a second pair of eyes on the live machine."""

from __future__ import annotations

import shutil

import pytest

from wellfed.topology import crosscheck
from wellfed.topology.machine import live


@pytest.mark.hwloc
def test_hwloc_counts_this_machine_as_we_do() -> None:
    if shutil.which("lstopo") is None and shutil.which("lstopo-no-graphics") is None:
        pytest.skip("hwloc is not installed")
    found = crosscheck.cross_check(live())
    assert found.reason is None
    assert found.differences == {}


def test_without_hwloc_there_is_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(crosscheck.shutil, "which", lambda _: None)
    assert crosscheck.cross_check(live()).reason == "hwloc is not installed"
