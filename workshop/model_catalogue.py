"""Rebuilds the bundled model catalogue: one way of writing every table, and tables made from published configs.

    python workshop/model_catalogue.py normalise            rewrites src/wellfed/catalog/data/models/*.toml
    python workshop/model_catalogue.py check                exits 1 when a file is not as `normalise` would write it
    python workshop/model_catalogue.py table config.json ID  prints the table that a config.json gives

Facts only: what steers training or text generation is left out (wellfed.catalog.config_facts).
"""

from __future__ import annotations

import argparse
import json
import re
import sys
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path

from wellfed.catalog.config_facts import facts

FOLDER = Path(__file__).resolve().parent.parent / "src" / "wellfed" / "catalog" / "data" / "models"
ORDER = (
    "of", "format", "file", "types", "name", "repo", "aliases", "tags", "sizes", "task", "kind_of", "released",
    "parameters", "total_parameters", "active", "context", "native", "bytes", "family", "source", "date", "note",
    "like", "config", "published", "files_gib",
)  # fmt: skip
_BARE = re.compile(r"[A-Za-z0-9_-]+")


def render(identity: str, table: Mapping[str, object]) -> str:
    """One model's table as TOML, its keys in ORDER. Raises ValueError for a key that ORDER does not have."""
    unknown = table.keys() - set(ORDER)
    if unknown:
        raise ValueError(f"[{identity}] has {', '.join(sorted(unknown))}: not a key of the catalogue")
    lines = [f"{key} = {_value(table[key])}" for key in ORDER if key in table]
    return "\n".join([f"[{_key(identity)}]", *lines])


def _key(name: str) -> str:
    return name if _BARE.fullmatch(name) else json.dumps(name)


def _value(value: object) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return _scientific(value)
    if isinstance(value, Mapping):
        inner = ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items())
        return f"{{ {inner} }}"
    if isinstance(value, list):
        return f"[{', '.join(_value(item) for item in value)}]"
    return json.dumps(value, ensure_ascii=False)


def _scientific(value: float) -> str:
    """Counts in billions or millions (7.6156e9, 494.03e6), other numbers as they are."""
    for power in (9, 6):
        if value >= 10**power:
            return f"{float(f'{value / 10**power:.7g}'):.7g}e{power}"
    return repr(value)


def header(text: str) -> str:
    """The comment lines that a file begins with."""
    lines = []
    for line in text.splitlines():
        if not line.startswith("#"):
            break
        lines.append(line)
    return "\n".join(lines)


def normalised(text: str) -> str:
    """A file's text as this script writes it: its first comment, then every table."""
    tables = tomllib.loads(text)
    parts = [header(text), *(render(identity, table) for identity, table in tables.items())]
    return "\n\n".join(part for part in parts if part) + "\n"


def _files() -> Iterator[tuple[Path, str]]:
    for path in sorted(FOLDER.glob("*.toml")):
        yield path, path.read_text(encoding="utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("normalise")
    commands.add_parser("check")
    table = commands.add_parser("table")
    table.add_argument("config", type=Path)
    table.add_argument("identity")
    arguments = parser.parse_args()
    if arguments.command == "table":
        print(render(arguments.identity, {"config": facts(json.loads(arguments.config.read_text(encoding="utf-8")))}))
        return 0
    changed = [(path, text) for path, text in _files() if normalised(text) != text]
    for path, text in changed:
        print(f"{path.name}: {'written anew' if arguments.command == 'normalise' else 'is not normalised'}")
        if arguments.command == "normalise":
            path.write_text(normalised(text), encoding="utf-8")
    return 1 if changed and arguments.command == "check" else 0


if __name__ == "__main__":
    sys.exit(main())
