"""No sentence outside the message layer: a checker over the syntax tree.

    python scripts/prose.py        what users may read and no catalogue has

Two rules. In an argument of what shows or raises (`click.echo`, `print`, `add_column`, errors ...) no English word
stands outside `message`, `counted`, `sentence`, `phrase` or `tell`. Elsewhere no text of two plain words or more does,
unless it is a docstring, a key, a pattern, help of an option (which `--help` looks up) or data that prose.toml names.
"""

from __future__ import annotations

import ast
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
SOURCE = ROOT / "src" / "wellfed"
ALLOWED = Path(__file__).with_suffix(".toml")

LAYER = {"message", "counted", "sentence", "phrase", "tell"}
SHOWN = {"echo", "print", "add_column", "prompt", "confirm", "write_heading"}
RAISED = {
    "BadInput", "Misuse", "Unsupported", "WellfedError", "DoesNotFit", "EngineFailed", "NoGpu", "AskingError",
    "UsageError", "ClickException", "BadParameter", "FileError", "Refused", "Skipped", "Assumption", "Refusal",
}  # fmt: skip
# Calls whose texts are keys, patterns or declarations that are looked up elsewhere.
KEYS = {
    "get", "pop", "setdefault", "search", "match", "fullmatch", "findall", "finditer", "compile", "sub", "split",
    "startswith", "endswith", "partition", "removeprefix", "removesuffix", "strip", "frozenset", "find", "index",
    "count", "replace", "option", "argument", "command", "group", "Field", "post", "version_option", "Literal",
    "TypeVar", "getLogger", "ValueError", "TypeError", "OSError", "PermissionError", "KeyError", "AttributeError",
    "add_argument", "style", "look", "event", "dumps",
}  # fmt: skip
QUIET = {"help", "metavar", "source", "refs", "style", "id", "code", "url", "summary", "description", "label", "env"}
_WORD = re.compile(r"[(\"'`]?[A-Za-z][a-z'-]+[,.;:?!)\"'`]*")
_PLAIN = re.compile(r"(?<![\w./%-])[a-z]{3,}(?![\w/=-]|\.\w)")
_STYLES = {"bold", "red", "yellow", "green", "cyan", "magenta", "dim", "left", "right", "fold", "center"}
_MARKUP = re.compile(r"\[/?[a-z# ]*\]")
_COMMAND = re.compile(
    r"^(#!|/|\[|<|http|echo |for f in |sudo |pip |python|wellfed \w|(nvidia|amd|xpu|npu)-smi|systemctl|until |exec )"
    r"|^ray |\\[dsw.]"
)


def texts(node: ast.AST) -> str | None:
    """A constant's text, or that of an f-string with {} for its values."""
    if isinstance(node, ast.JoinedStr):
        return "".join(str(part.value) if isinstance(part, ast.Constant) else "{}" for part in node.values)
    return node.value if isinstance(node, ast.Constant) and isinstance(node.value, str) else None


def reads_as_prose(text: str) -> bool:
    """Two plain words or more."""
    plain = [word for word in text.split() if _WORD.fullmatch(word) and word not in _STYLES]
    return len(plain) >= 2 and not _COMMAND.search(text)


def _shows_a_word(text: str) -> bool:
    return any(word not in _STYLES for word in _PLAIN.findall(text)) and not _COMMAND.search(text)


def _name(call: ast.Call) -> str:
    return call.func.attr if isinstance(call.func, ast.Attribute) else getattr(call.func, "id", "")


class Finder:
    """Walks one file."""

    def __init__(self, tree: ast.Module) -> None:
        self.found: list[tuple[int, str]] = []
        self.templates = _templates(tree)
        self._walk(tree, shown=False)

    def _walk(self, node: ast.AST, shown: bool) -> None:
        text = texts(node)
        if text is not None:
            self._judge(node, text, shown)
            return
        for child, is_shown in self._below(node, shown):
            self._walk(child, is_shown)

    def _judge(self, node: ast.AST, text: str, shown: bool) -> None:
        bare = _MARKUP.sub("", text)
        if reads_as_prose(bare) or (shown and _shows_a_word(bare)):
            self.found.append((getattr(node, "lineno", 0), text))
        elif isinstance(node, ast.JoinedStr):
            for part in node.values:
                if isinstance(part, ast.FormattedValue):
                    self._walk(part.value, shown)

    def _below(self, node: ast.AST, shown: bool) -> Iterator[tuple[ast.AST, bool]]:
        match node:
            case ast.Call():
                yield from self._of_call(node, shown)
            case ast.Expr(value=ast.Constant()):
                return
            case ast.FunctionDef() | ast.AsyncFunctionDef():
                yield from ((each, False) for each in node.body)
            case ast.ClassDef():
                names = {ast.unparse(base) for base in node.bases}
                if not any("Enum" in name for name in names):
                    yield from ((each, False) for each in node.body)
            case ast.Assign() | ast.AnnAssign():
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                named = {each.id for target in targets for each in ast.walk(target) if isinstance(each, ast.Name)}
                template = isinstance(node.value, ast.Constant | ast.Tuple | ast.IfExp) and named & self.templates
                if node.value is not None and not template:
                    yield node.value, shown
            case ast.Compare():
                yield from ((each, False) for each in (node.left, *node.comparators) if isinstance(each, ast.Call))
            case ast.Subscript():
                yield node.value, shown
            case ast.Dict():
                yield from ((each, shown) for each in node.values)
            case ast.Match():
                yield node.subject, False
                yield from ((each, False) for case in node.cases for each in case.body)
            case _:
                yield from ((each, shown) for each in ast.iter_child_nodes(node))

    def _of_call(self, node: ast.Call, shown: bool) -> Iterator[tuple[ast.AST, bool]]:
        name = _name(node)
        if name in LAYER:
            return
        if name in KEYS:
            given = [*node.args[1:], *(each.value for each in node.keywords)] if name == "get" else []
            nested = [each for each in node.args if isinstance(each, ast.Call)]
            yield from ((each, shown) for each in (*given, *nested))
            return
        inside = shown or name in SHOWN or name in RAISED
        yield node.func, shown
        yield from ((each, inside) for each in node.args)
        yield from ((each.value, inside) for each in node.keywords if each.arg not in QUIET)


def _templates(tree: ast.Module) -> set[str]:
    """Names that stand as templates of messages."""
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) in LAYER)
    return {each.id for call in calls for each in call.args if isinstance(each, ast.Name)}


def allowed() -> Mapping[str, Any]:
    """Files and texts that are data, each with its reason."""
    return tomllib.loads(ALLOWED.read_text(encoding="utf-8"))


def named() -> set[str]:
    """Names that values carry: messages/terms puts them into words."""
    tree = ast.parse((SOURCE / "messages" / "terms.py").read_text(encoding="utf-8"))
    calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call) and _name(node) == "message")
    return {text for call in calls if len(call.args) == 2 and (text := texts(call.args[1])) is not None}


def outside() -> Iterator[str]:
    """Every text that no catalogue has."""
    data, names = allowed(), named()
    for path in sorted(SOURCE.rglob("*.py")):
        place = path.relative_to(SOURCE).as_posix()
        if any(re.match(pattern, place) for pattern in data["files"]):
            continue
        known = names | set(data["texts"].get(place, ()))
        for line, text in Finder(ast.parse(path.read_text(encoding="utf-8"))).found:
            if text not in known:
                yield f"src/wellfed/{place}:{line}: {text!r}"


if __name__ == "__main__":
    found = list(outside())
    print("\n".join(found) or "no sentence stands outside the message layer")
    sys.exit(1 if found else 0)
