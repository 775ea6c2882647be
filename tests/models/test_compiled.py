"""The compiled catalogue: shipped, cached or made anew, never stale and never damaged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from wellfed.catalog.compiled import Files, Folder, Sections, compiled, merged, written
from wellfed.catalog.model_tables import write_compiled
from wellfed.errors import BadInput


class Build:
    """Counts how often it is made."""

    def __init__(self) -> None:
        self.calls = 0

    def __call__(self, files: Files) -> dict[str, Any]:
        self.calls += 1
        return {"ids": list(merged(files))}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    tables = tmp_path / "tables"
    tables.mkdir()
    (tables / "a.toml").write_text('[one]\nname = "One"\n')
    return tables


def test_it_is_made_once_and_again_when_a_table_or_the_code_changes(folder: Path, tmp_path: Path) -> None:
    build, code = Build(), tmp_path / "code.py"
    code.write_text("1")
    assert [compiled(Folder(folder, (code,), build)) for _ in range(3)] == [{"ids": ["one"]}] * 3
    assert build.calls == 1
    (folder / "b.toml").write_text('[two]\nname = "Two"\n')
    assert compiled(Folder(folder, (code,), build)) == {"ids": ["one", "two"]}
    code.write_text("22")
    compiled(Folder(folder, (code,), build))
    assert build.calls == 3


@pytest.mark.parametrize("damage", [b"", b"{", b"[1]", b"\x00" * 100])
def test_a_damaged_cache_is_made_again(folder: Path, tmp_path: Path, damage: bytes) -> None:
    build = Build()
    compiled(Folder(folder, (), build))
    (place,) = (tmp_path / "cache" / "wellfed" / "catalogue").glob("*.tables")
    place.write_bytes(damage)
    assert compiled(Folder(folder, (), build)) == {"ids": ["one"]}
    assert build.calls == 2 and Sections(place.read_bytes()) == {"ids": ["one"]}


def test_one_damaged_byte_is_seen(folder: Path, tmp_path: Path) -> None:
    build = Build()
    compiled(Folder(folder, (), build))
    (place,) = (tmp_path / "cache" / "wellfed" / "catalogue").glob("*.tables")
    place.write_bytes(place.read_bytes().replace(b"one", b"two"))
    assert compiled(Folder(folder, (), build)) == {"ids": ["one"]} and build.calls == 2


def test_values_by_name_are_found_and_counted_as_in_a_table(folder: Path) -> None:
    table = {"ab1": "x", "ab2": [1], "b": None, "": "empty", "张量": 2, "apart": {"apart": 3}}

    def build(files: Files) -> dict[str, Any]:
        return {"names": table, "texts": {"apart": "text"}, "none": {}}

    for _ in range(2):  # made, then as it was kept
        sections = compiled(Folder(folder, (), build, texts=("texts",), apart=("names", "none")))
        assert dict(sections["names"]) == table and len(sections["names"]) == len(table) and not sections["none"]
        assert "ab3" not in sections["names"] and "z" not in sections["names"] and sections["names"].get("ab") is None
        assert dict(sections["texts"]) == {"apart": "text"}


def test_lines_are_found_by_what_stands_in_them(folder: Path) -> None:
    def build(files: Files) -> dict[str, Any]:
        return {"lines": ["rtx 4090", "4090 d", "张量 5090", "x"]}

    lines = compiled(Folder(folder, (), build, texts=("lines",)))["lines"]
    assert list(lines.holding(("4090",), all)) == ["rtx 4090", "4090 d"]
    assert list(lines.holding(("4090", "d"), all)) == ["4090 d"]
    assert list(lines.holding(("5090", "rtx"), any)) == ["rtx 4090", "张量 5090"]
    assert lines[3] == "x" and lines[1:3] == ["4090 d", "张量 5090"] and len(lines) == 4


def test_texts_are_read_alone(folder: Path) -> None:
    def build(files: Files) -> dict[str, Any]:
        return {"texts": {"a": "张量", "b": ""}, "lines": ["一", "b\n"], "plain": {"x": [1]}}

    made = compiled(Folder(folder, (), build, texts=("texts", "lines")))
    again = compiled(Folder(folder, (), build, texts=("texts", "lines")))
    for sections in (made, again):
        assert dict(sections["texts"]) == {"a": "张量", "b": ""} and "a" in sections["texts"]
        assert sections["lines"] == ["一", "b\n"] and sections["plain"] == {"x": [1]}
    assert len(made) == 3 and "c" not in made["texts"]


def test_no_cache_can_be_written(folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))  # no folder can be made there
    build = Build()
    assert compiled(Folder(folder, (), build)) == compiled(Folder(folder, (), build)) == {"ids": ["one"]}
    assert build.calls == 2


def test_what_is_shipped_is_taken(folder: Path) -> None:
    build = Build()
    written(Folder(folder, (), build), folder)
    assert compiled(Folder(folder, (), build)) == {"ids": ["one"]}
    assert build.calls == 1


def test_two_tables_of_one_model_are_refused(folder: Path) -> None:
    (folder / "b.toml").write_text('[one]\nname = "Another"\n')
    with pytest.raises(BadInput, match="another file"):
        compiled(Folder(folder, (), Build()))


def test_the_bundled_catalogue_can_be_shipped(tmp_path: Path) -> None:
    made = Sections(write_compiled(tmp_path).read_bytes())
    assert {"names", "words", "anchors", "families", "texts", "tags", "published", "described"} <= made.keys()
