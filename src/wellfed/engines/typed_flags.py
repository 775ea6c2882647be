"""Flags as people type them -> the flags an engine has: abbreviations, parts of a JSON object, shell variables.

Sources: Python's argparse (`allow_abbrev`: a beginning that only one flag has stands for it), which vLLM, SGLang,
LMDeploy, MLX's server and TabbyAPI read their words with; vllm/utils/argparse_utils.py (`--speculative-config.method
mtp` is a key of the flag's JSON object).
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from wellfed.engines.flags import CONTEXT, MODEL, QUIET, SETTINGS
from wellfed.nouns.layout import Engine
from wellfed.patterns import regex

_ABBREVIATES = frozenset({
    Engine.VLLM, Engine.SGLANG, Engine.KTRANSFORMERS, Engine.LMDEPLOY, Engine.MLX, Engine.EXLLAMAV3,
})  # fmt: skip
_SHORTEST = 4  # letters of a beginning that stands for a flag: fewer are flags of their own (assumed)
_ASSIGNED = regex(r"(?m)(?:^|[;&\s])(?:export\s+|set\s+|-e\s+)?([A-Za-z_]\w*)=(\"[^\"\n]*\"|'[^'\n]*'|[^\s;&]*)")
_VARIABLE = regex(r"\$(?:(\w+)|\{(\w+)(?::?-([^{}$]*))?\})")


def as_named(engine: Engine, pairs: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    """(flag, value) pairs by the engine's own names of its flags; those of no flag stay as they are."""
    return [(full_name(engine, name), value) for name, value in _joined(pairs)]


def full_name(engine: Engine, name: str) -> str:
    """The flag that `name` begins, where only one does."""
    if engine not in _ABBREVIATES or len(name) < _SHORTEST:
        return name
    names = {*SETTINGS[engine], *CONTEXT, *MODEL, *QUIET}
    longer = [flag for flag in names if flag.startswith(name)] if name not in names else []
    return longer[0] if len(longer) == 1 else name


def is_quiet(name: str) -> bool:
    """Whether a flag, or what it switches off, changes nothing that is modelled."""
    return bool({name, name.removeprefix("no-"), name.removeprefix("disable-")} & QUIET)


def _joined(pairs: Iterable[tuple[str, str]]) -> Iterator[tuple[str, str]]:
    """Keys of a flag's object, `speculative-config.method mtp`, as one object of the flag."""
    objects: dict[str, dict[str, Any]] = {}
    for name, value in pairs:
        flag, dot, path = name.partition(".")
        if not dot or not flag or not path:
            yield name, value
            continue
        place = objects.setdefault(flag, {})
        *outer, last = path.replace("-", "_").split(".")
        for key in outer:
            inner = place.setdefault(key, {})
            place = inner if isinstance(inner, dict) else {}
        place[last] = _read(value)
    yield from ((flag, json.dumps(value)) for flag, value in objects.items())


def _read(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def expanded(text: str) -> str:
    """A script with its own variables in their places: `TP=2`, `$TP`, `${TP}`, `${TP:-1}`; others stay."""
    if "$" not in text:
        return text
    assigned = {match[1]: match[2].strip("\"'") for match in _ASSIGNED.finditer(text)}
    return _VARIABLE.sub(lambda match: _value(match, assigned), text)


def _value(match: re.Match[str], assigned: Mapping[str, str]) -> str:
    value = assigned.get(match[1] or match[2], match[3])
    return match[0] if value is None or "$" in value else value


def is_placeholder(value: str) -> bool:
    """Whether a value is still to be filled in: `$TP`, `<tokens>`, `{port}`."""
    return bool(re.match(r"[$<{]\W*\w", value)) and not value.startswith('{"')
