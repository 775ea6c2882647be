"""Message catalogues: what the code says, and what it is in other languages.

    python scripts/messages.py update     extract every message, bring the catalogues up to date, compile them
    python scripts/messages.py compile    compile them
    python scripts/messages.py check      are they current, whole and with the same parameters?
    python scripts/messages.py pseudo FOLDER    a catalogue `qps` of accented, longer English

A new language: `python scripts/messages.py update LANGUAGE`, then translate locale/LANGUAGE/LC_MESSAGES/wellfed.po.
"""

from __future__ import annotations

import ast
import os
import re
import sys
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from babel.messages.catalog import Catalog, Message
from babel.messages.extract import extract_from_dir
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "wellfed"
PAGES = ROOT / "scripts" / "translated_pages.py"  # has sentences of its own
LOCALE = SOURCE / "messages" / "locale"
# how many templates follow the id
KEYWORDS = {"message": 1, "phrase": 1, "sentence": 1, "tell": 1, "counted": 2}
_NAMES = re.compile(r"\{(\w*)")
_Scope = ast.Module | ast.FunctionDef | ast.AsyncFunctionDef
_Found = tuple[int, str, object, list[str]]


def _scopes(tree: ast.AST) -> Iterator[tuple[ast.Call, tuple[_Scope, ...]]]:
    """Every call with the scopes around it, the module first."""
    waiting: list[tuple[ast.AST, tuple[_Scope, ...]]] = [(tree, ())]
    while waiting:
        node, around = waiting.pop()
        if isinstance(node, ast.Call):
            yield node, around
        inside = (*around, node) if isinstance(node, _Scope) else around
        waiting.extend((child, inside) for child in ast.iter_child_nodes(node))


def _own(scope: _Scope) -> Iterator[ast.AST]:
    """The nodes of a scope, without those of functions inside it."""
    waiting: list[ast.AST] = list(scope.body)
    while waiting:
        node = waiting.pop()
        yield node
        if not isinstance(node, _Scope):
            waiting.extend(ast.iter_child_nodes(node))


def _assigned(scope: _Scope, name: str, before: int) -> str | None:
    """The string constant that a name has last been given before a line; None where it is anything else."""
    found: list[tuple[int, ast.expr]] = []
    for node in _own(scope):
        if isinstance(node, ast.AnnAssign) and node.value is not None:
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.Assign):
            pairs = [pair for target in node.targets for pair in _pairs(target, node.value)]
        else:
            continue
        for target, value in pairs:
            if isinstance(target, ast.Name) and target.id == name:
                found.append((node.lineno, value))
    earlier = [value for line, value in sorted(found, key=lambda each: each[0]) if line <= before]
    last = earlier[-1] if earlier else None
    return last.value if isinstance(last, ast.Constant) and isinstance(last.value, str) else None


def _pairs(target: ast.expr, value: ast.expr) -> list[tuple[ast.expr, ast.expr]]:
    if isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple) and len(target.elts) == len(value.elts):
        return list(zip(target.elts, value.elts, strict=True))
    return [(target, value)]


def _constant(value: ast.expr, around: tuple[_Scope, ...], line: int) -> str | None:
    if isinstance(value, ast.Constant):
        return value.value if isinstance(value.value, str) else None
    if not isinstance(value, ast.Name):
        return None
    for scope in reversed(around):
        before = sys.maxsize if isinstance(scope, ast.Module) else line
        if (text := _assigned(scope, value.id, before)) is not None:
            return text
    return None


def _calls(source: str) -> Iterator[tuple[int, str, str, list[str | None]]]:
    for call, around in _scopes(ast.parse(source)):
        called = call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")
        count = KEYWORDS.get(called)
        if count is None or len(call.args) < 1 + count:
            continue
        identity = _constant(call.args[0], around, call.lineno)
        if identity is None or "." not in identity:
            continue
        yield call.lineno, called, identity, [_constant(each, around, call.lineno) for each in call.args[1 : 1 + count]]


def extract_calls(fileobj: IO[bytes], keywords: object, comment_tags: object, options: object) -> Iterator[_Found]:
    """Babel's extraction method: context and templates of each call, names of constants resolved."""
    for line, called, identity, texts in _calls(fileobj.read().decode("utf-8")):
        if all(text is not None for text in texts):
            yield line, called, (identity, *texts), []


def unresolved() -> Iterator[str]:
    """Calls with an id whose template is not a constant."""
    for path in sorted(SOURCE.rglob("*.py")):
        for line, _, identity, texts in _calls(path.read_text(encoding="utf-8")):
            if any(text is None for text in texts):
                yield f"{path.relative_to(ROOT)}:{line}: the template of {identity} is no constant"


def contradictory() -> Iterator[str]:
    """Ids that stand before two templates."""
    seen: dict[str, list[str | None]] = {}
    for path in sorted(SOURCE.rglob("*.py")):
        for line, _, identity, texts in _calls(path.read_text(encoding="utf-8")):
            if None not in texts and seen.setdefault(identity, texts) != texts:
                yield f"{path.relative_to(ROOT)}:{line}: {identity} stands before another template, too"


def extracted() -> Catalog:
    """Every message of the code. Calls whose id is not written out are none."""
    catalog = Catalog(project="wellfed", charset="utf-8")
    keywords = {name: ((1, "c"), *range(2, 2 + count)) for name, count in KEYWORDS.items()}
    for name, line, texts, _, context in extract_from_dir(SOURCE, [("**.py", extract_calls)], keywords=keywords):
        if context:
            catalog.add(texts, None, [(f"src/wellfed/{name}", line)], context=context)
    for line, _, identity, texts in _calls(PAGES.read_text(encoding="utf-8")):
        catalog.add(str(texts[0]), None, [(f"scripts/{PAGES.name}", line)], context=identity)
    for text in helps():
        catalog.add(text, context="help")
    return catalog


def helps() -> list[str]:
    """Help of every command and option, as `--help` looks it up."""
    sys.path.insert(0, str(SOURCE.parent))
    from wellfed.cli.help_words import every_help
    from wellfed.cli.main import COMMANDS, cli

    return list(dict.fromkeys([*every_help(cli), *(text for _, text in COMMANDS.values())]))


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


_KEPT = re.compile(r"\{[^{}]*\}|\{\{|\}\}|\[/?[a-z ]*\]|`[^`]*`|%\(\w+\)s|\s--?[a-z][\w-]*")
_ACCENTS = str.maketrans("aceinosuyACEINOSUY", "àçéîñöšüýÀÇÉÎÑÖŠÜÝ")


def disguised(text: str) -> str:
    """A template that is plainly not English and a third longer, with its places, styles and commands as they were."""
    parts, at = [], 0
    for kept in _KEPT.finditer(text):
        parts += [text[at : kept.start()].translate(_ACCENTS), kept[0]]
        at = kept.end()
    parts.append(text[at:].translate(_ACCENTS))
    longer = "~" * max(1, len(_KEPT.sub("", text).split()) // 3)
    body = "".join(parts)
    stripped = body.rstrip()
    return stripped + longer + body[len(stripped) :]


def pseudo(folder: Path) -> None:
    """A whole catalogue that a new language would need, made by rule."""
    catalog = Catalog(locale="en", project="wellfed", charset="utf-8")
    for entry in extracted():
        if entry.id:
            texts = [disguised(text) for text in _texts(entry.id)]
            catalog.add(entry.id, texts if isinstance(entry.id, tuple) else texts[0], context=entry.context)
    path = folder / "qps" / "LC_MESSAGES" / "wellfed.mo"
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb") as file:
        write_mo(file, catalog)


def compile_all() -> None:
    """`wellfed.mo` beside every `wellfed.po`; whoever reads it meanwhile has the old one or the new one whole."""
    for language in languages():
        place = _path(language).with_suffix(".mo")
        made = place.with_suffix(f".{os.getpid()}")
        with made.open("wb") as file:
            write_mo(file, read(language))
        made.replace(place)


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
        case ["pseudo", folder]:
            pseudo(Path(folder))
        case ["compile"]:
            compile_all()
        case ["check"]:
            found = [
                *unresolved(),
                *contradictory(),
                *(f"{language}: {fault}" for language in languages() for fault in faults(language)),
            ]
            print("\n".join(found) or "every message is translated")
            return 1 if found else 0
        case _:
            print(__doc__)
            return 2
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
