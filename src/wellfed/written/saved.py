"""Machines and loads that a person keeps by name: `wellfed.toml`, one table a name, its keys the commands' options.

```toml
[lab]
on = "2x a100 40gb, epyc 7543"
concurrency = 20
```

The file is `$WELLFED_CONFIG`, else `wellfed.toml` in the folder where one works if it is there, else in
`$XDG_CONFIG_HOME/wellfed` (~/.config/wellfed).
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import TypeAlias

from wellfed.errors import BadInput, UnknownName, nearest
from wellfed.homes import under_home
from wellfed.message import Listing, message
from wellfed.patterns import regex
from wellfed.plain_file import named_path, read_text

Value: TypeAlias = "str | int | float"

MACHINE = ("on", "nodes", "network", "vram-free", "ram-free", "os")
LOAD = ("for", "workload", "concurrency", "rate", "prompt", "output", "context", "ttft", "tpot")
KEYS = (*MACHINE, *LOAD)
_NAME = regex(r"[a-z][a-z0-9._-]{0,39}")
_FILE = "wellfed.toml"


def saved_file() -> Path:
    """Where names are kept; it need not be there yet."""
    if configured := os.environ.get("WELLFED_CONFIG"):
        return Path(configured)
    if Path(_FILE).is_file():
        return Path(_FILE)
    base = os.environ.get("XDG_CONFIG_HOME")
    return (Path(base) if base else under_home(".config")) / "wellfed" / _FILE


def saved() -> Mapping[str, Mapping[str, Value]]:
    """Every name with its options; none where there is no file. Raises BadInput for a file that cannot be read."""
    path = saved_file()
    if not path.is_file():
        return {}
    import tomllib

    try:
        tables = tomllib.loads(read_text(path))
    except (ValueError, RecursionError) as error:
        raise BadInput(message("saved.toml", "{path} is not TOML: {why}", path=str(path), why=str(error))) from error
    for name, table in tables.items():
        _checked(path, name, table)
    return tables


def options_of(name: str) -> Mapping[str, Value]:
    """The options kept under a name. Raises UnknownName with the names there are, BadInput where there is none."""
    by_name = saved()
    if not by_name:
        why = message("saved.none", "nothing is kept in {path} yet", path=str(saved_file()))
        raise BadInput(why, message("saved.none.hint", "wellfed plan --on MACHINE --save NAME keeps a machine"))
    if name not in by_name:
        raise UnknownName("saved name", name, nearest(name, by_name) or tuple(by_name)[:3])
    return by_name[name]


def machine_of(text: str) -> Mapping[str, Value] | None:
    """The machine's options where `text` is a name that is kept; None where it is none, or where no file may be read
    for a name (`plain_file.refuse_named_files`)."""
    if not _NAME.fullmatch(text) or named_path(_FILE) is None:
        return None
    table = saved().get(text)
    return table if table is not None and "on" in table else None


def save(name: str, options: Mapping[str, Value]) -> Path:
    """Keep the options under the name, instead of what was there; the file's other names stay.

    Raises BadInput for another kind of name, for nothing to keep, and for a file that cannot be written.
    """
    if not _NAME.fullmatch(name):
        reason = message("saved.name", "{name} is no name to keep a machine under", name=repr(name))
        raise BadInput(reason, message("saved.name.hint", "a letter, then letters, digits, . _ -; as in lab-2"))
    if not options:
        reason = message("saved.empty", "nothing to keep under {name}", name=name)
        raise BadInput(reason, message("saved.empty.hint", "say --on, or a load such as --concurrency 20"))
    import tomli_w

    path = saved_file()
    tables = {**saved(), name: dict(options)}
    draft = path.with_suffix(".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(tomli_w.dumps(tables), encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        why = error.strerror or str(error)
        raise BadInput(message("saved.unwritable", "cannot write {path}: {why}", path=str(path), why=why)) from error
    return path


def _checked(path: Path, name: str, table: object) -> None:
    if not isinstance(table, dict):
        why = message("saved.no-table", "{path}: {name} is no table of options", path=str(path), name=name)
        raise BadInput(why, message("saved.no-table.hint", "as in [lab], then on = '2x rtx 3090'"))
    for key, value in table.items():
        if key not in KEYS:
            why = message("saved.unknown-key", "{path}: [{name}] has an unknown key {key}", path=str(path), name=name,
                           key=repr(key))  # fmt: skip
            raise BadInput(why, message("saved.unknown-key.hint", "keys: {keys}", keys=Listing(KEYS)))
        if isinstance(value, bool) or not isinstance(value, (str, int, float)):
            why = message("saved.kind", "{path}: [{name}] {key} is neither text nor a number", path=str(path),
                           name=name, key=key)  # fmt: skip
            raise BadInput(why)
