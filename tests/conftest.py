"""Shared fixtures: the material kept beside the checkout, when it is there."""

from __future__ import annotations

import gc
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

# How fast a busy machine is proves nothing; each run draws others, so that few examples a run are many in a week.
settings.register_profile("wellfed", deadline=None, max_examples=40)
settings.load_profile("wellfed")

_MEMORY, _ROOM_BYTES = "/dev/shm", 4 * 2**30


def pytest_configure() -> None:
    """Temporary folders in memory, where it has room and may hold programs: trees of /sys are a thousand files each."""
    if "TMPDIR" not in os.environ and _is_fit(_MEMORY):
        os.environ["TMPDIR"] = tempfile.tempdir = _MEMORY


def pytest_collection_finish() -> None:
    """What was collected stays until the end: no garbage collection needs to look at it again; later ones are seldom."""
    gc.collect()
    gc.freeze()
    gc.set_threshold(100_000, 20, 100)  # a tenth of the processor time of plans


def _is_fit(folder: str) -> bool:
    if not os.access(folder, os.W_OK | os.X_OK):
        return False
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize >= _ROOM_BYTES and not disk.f_flag & os.ST_NOEXEC


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder of measurement tables and machine captures; the test skips where it is absent."""
    folder = Path(__file__).resolve().parents[2] / "shared"
    if not (folder / "truth").is_dir():
        pytest.skip("needs the shared measurement tables beside the checkout")
    return folder


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A state folder of its own; whatever a test leaves running is killed."""
    from wellfed.launch import state
    from wellfed.launch.service import end

    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    yield tmp_path / "state" / "wellfed"
    for running in state.listed():
        if running.alive:
            end(running, grace_s=0)
