"""Shared fixtures: the material kept beside the checkout, when it is there."""

from __future__ import annotations

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
