"""Message catalogues: what the code says, and what it is in other languages.

    python scripts/messages.py update     extract every message, bring the catalogues up to date, compile them
    python scripts/messages.py compile    compile them
    python scripts/messages.py check      are they current, whole and with the same parameters?

A new language: `python scripts/messages.py update LANGUAGE`, then translate locale/LANGUAGE/LC_MESSAGES/wellfed.po.
"""

from __future__ import annotations

import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "wellfed"
LOCALE = SOURCE / "messages" / "locale"
# position of the id (a gettext context), of the template, and of the plural
KEYWORDS = {"message": ((1, "c"), 2), "phrase": ((1, "c"), 2), "counted": ((1, "c"), 2, 3)}
_NAMES = re.compile(r"\{(\w*)")


def extracted() -> Catalog:
    """Every message of the code. Calls whose id is not written out are none."""
    catalog = Catalog(project="wellfed", charset="utf-8")
    for name, line, texts, _, context in extract_from_dir(SOURCE, [("**.py", "python")], keywords=KEYWORDS):
        if context and "." in context and "messages/" not in name:
            catalog.add(texts, None, [(f"src/wellfed/{name}", line)], context=context)
    return catalog


def languages() -> list[str]:
    """Those with a catalogue."""
    return sorted(path.name for path in LOCALE.iterdir() if path.is_dir()) if LOCALE.is_dir() else []


def _path(language: str) -> Path:
    return LOCALE / language / "LC_MESSAGES" / "wellfed.po"


def read(language: str) -> Catalog:
    """A language's catalogue."""
    with _path(language).open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> None:
    """Bring a catalogue up to date: new messages are empty, those that the code no longer has are dropped."""
    path = _path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    catalog = read(language) if path.exists() else Catalog(locale=language, project="wellfed", charset="utf-8")
    catalog.update(extracted(), no_fuzzy_matching=True)
    catalog.obsolete.clear()
    with path.open("wb") as file:
        write_po(file, catalog, width=0, sort_output=True, no_location=True, omit_header=False)


def compile_all() -> None:
    """`wellfed.mo` beside every `wellfed.po`."""
    for language in languages():
        with _path(language).with_suffix(".mo").open("wb") as file:
            write_mo(file, read(language))


def faults(language: str) -> Iterator[str]:
    """What is missing, left over, or names other parameters than the English text."""
    code, catalog = extracted(), read(language)
    for entry in code:
        if not entry.id:
            continue
        translated = catalog.get(entry.id, entry.context)
        if translated is None or not _texts(translated.string):
            yield f"{entry.context}: not translated"
        else:
            yield from _parameters(entry, translated)
    for entry in catalog:
        if entry.id and code.get(entry.id, entry.context) is None:
            yield f"{entry.context}: no longer said"


def _parameters(entry: Message, translated: Message) -> Iterator[str]:
    wanted = {name for text in _texts(entry.id) for name in _NAMES.findall(text)}
    for text in _texts(translated.string):
        names = set(_NAMES.findall(text))
        if names | {"count"} != wanted | {"count"}:
            yield f"{entry.context}: {sorted(names)} instead of {sorted(wanted)}"


def _texts(value: object) -> tuple[str, ...]:
    texts = value if isinstance(value, (list, tuple)) else (value,)
    return tuple(str(text) for text in texts if text)


def main(words: list[str]) -> int:
    """Run one of the commands above."""
    warnings.simplefilter("ignore")  # f-strings elsewhere in the code
    match words:
        case ["update", *named]:
            for language in named or languages():
                update(language)
            compile_all()
        case ["compile"]:
            compile_all()
        case ["check"]:
            found = [f"{language}: {fault}" for language in languages() for fault in faults(language)]
            print("\n".join(found) or "every message is translated")
            return 1 if found else 0
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
