"""Shared fixtures: the material kept beside the checkout, when it is there."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from hypothesis import settings

settings.register_profile("wellfed", deadline=None)  # how fast a busy machine is proves nothing
settings.load_profile("wellfed")


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
