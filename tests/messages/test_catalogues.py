"""What is translated says the same: every catalogue has the code's messages with the code's parameters."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import pytest

from wellfed.message import Amount, message
from wellfed.messages import words as room


@pytest.fixture(scope="module")
def tool() -> ModuleType:
    pytest.importorskip("babel")
    path = Path(__file__).resolve().parents[2] / "scripts" / "messages.py"
    spec = importlib.util.spec_from_file_location("messages_tool", path)
    assert spec is not None and spec.loader is not None
    made = importlib.util.module_from_spec(spec)
    sys.modules["messages_tool"] = made
    spec.loader.exec_module(made)
    return made


@pytest.mark.filterwarnings("ignore")
def test_every_message_is_translated_with_its_own_parameters(tool: ModuleType) -> None:
    assert tool.languages() == ["zh"]
    for language in tool.languages():
        assert list(tool.faults(language)) == []


def test_a_message_is_rendered_from_its_catalogue(tool: ModuleType) -> None:
    tool.compile_all()
    room._catalogue.cache_clear()
    said = message("verdict.fits", "fits with {spare} to spare on {device}", spare=Amount(2**31, "B"), device="gpu0")
    assert room.words(said, "en") == "fits with 2.00 GiB to spare on gpu0"
    chinese = room.words(said, "zh")
    assert "gpu0" in chinese and "2.00 GiB" in chinese and "fits" not in chinese
    assert room.words(said, "xx") == str(said), "a language without a catalogue reads English"
