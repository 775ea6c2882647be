"""What is translated says the same: every catalogue has the code's messages with the code's parameters."""

from __future__ import annotations

import importlib.util
import sys
from io import BytesIO
from pathlib import Path
from types import ModuleType

import pytest

from wellfed.message import Amount, message
from wellfed.messages import words as room
from wellfed.messages.catalogue import Catalogue, catalogue


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
    catalogue.cache_clear()
    said = message("verdict.fits", "fits with {spare} to spare on {device}", spare=Amount(2**31, "B"), device="gpu0")
    assert room.words(said, "en") == "fits with 2.00 GiB to spare on gpu0"
    chinese = room.words(said, "zh")
    assert "gpu0" in chinese and "2.00 GiB" in chinese and "fits" not in chinese
    assert room.words(said, "xx") == str(said), "a language without a catalogue reads English"


def _compiled(rule: str, *texts: tuple[str, object, object]) -> bytes:
    from babel.messages.catalog import Catalog
    from babel.messages.mofile import write_mo

    made = Catalog(locale="pl" if "%10" in rule else "en", charset="utf-8")
    for context, english, translated in texts:
        made.add(english, translated, context=context)  # type: ignore[arg-type]
    file = BytesIO()
    write_mo(file, made)
    return file.getvalue()


def test_a_compiled_catalogue_is_read_by_need() -> None:
    pytest.importorskip("babel")
    read = Catalogue(
        _compiled("", ("b.one", "a", "ä"), ("a.two", "a", "å"), ("c.many", ("{count} a", "{count} as"), ("1", "n")))
    )
    assert (read.template("b.one", "a"), read.template("a.two", "a")) == ("ä", "å"), "the id tells equal texts apart"
    assert read.template("b.one", "another text") is None and read.template("no.id", "a") is None
    assert [read.plural("c.many", "{count} a", "{count} as", count) for count in (0, 1, 2)] == ["n", "1", "n"]
    assert read.plural("c.many", "{count} a", "others", 1) is None


def test_a_language_counts_by_its_own_rule() -> None:
    """Polish has a form for 2 to 4, and for 22, but not for 12."""
    pytest.importorskip("babel")
    entry = ("x.files", ("{count} file", "{count} files"), ("plik", "pliki", "plików"))
    read = Catalogue(_compiled("%10", entry))
    forms = [read.plural("x.files", "{count} file", "{count} files", count) for count in (1, 3, 5, 12, 22)]
    assert forms == ["plik", "pliki", "plików", "plików", "pliki"]


def test_every_text_of_the_catalogue_is_found_as_gettext_finds_it(tool: ModuleType) -> None:
    import gettext

    tool.compile_all()
    path = Path(tool.LOCALE) / "zh" / "LC_MESSAGES" / "wellfed.mo"
    read, standard = Catalogue(path.read_bytes()), gettext.GNUTranslations(path.open("rb"))
    entries = [entry for entry in tool.read("zh") if entry.id]
    assert len(entries) > 2000
    for entry in entries:
        if isinstance(entry.id, tuple):
            for count in (1, 2):
                assert read.plural(entry.context, *entry.id, count) == standard.npgettext(
                    entry.context, *entry.id, count
                )
        else:
            assert read.template(entry.context, entry.id) == standard.pgettext(entry.context, entry.id)


@pytest.mark.parametrize("data", [b"", b"\xde\x12\x04\x95", b"msgid", bytes(64)])
def test_what_is_no_catalogue_is_refused(data: bytes) -> None:
    with pytest.raises(ValueError, match="no compiled gettext catalogue"):
        Catalogue(data)
