"""A shell script."""

from __future__ import annotations

import shlex

from wellfed.comments import commented, lines_of, one_line
from wellfed.engines.exports.groups import Group, spanning
from wellfed.engines.exports.keys import LINE
from wellfed.engines.spec import KEY_FILE, LaunchSpec
from wellfed.message import joined, sentence

_GROUP = Group("$HEAD", "$NODES", "$RANK")
_ROOT = sentence("export.script.root", "needs root")


def script(spec: LaunchSpec, name: str) -> str:
    """A POSIX shell script that starts the engine in the foreground; on each of several machines with its RANK."""
    several = spec.nodes > 1
    head = sentence("export.script.head", "{name}: written by wellfed", name=one_line(name))
    lines = ["#!/bin/sh", commented(head), "set -eu"]
    lines += [*preparation(spec), *(_on_each(spec) if several else [f"exec {wrapped(spec)}"])]
    return lines_of(lines)


def _on_each(spec: LaunchSpec) -> list[str]:
    """RANK is 0 on the first machine, HEAD its address as the others see it."""
    span, words = spanning(spec), wrapped(spec)
    return [
        f"NODES={spec.nodes}",
        f': "${{RANK:?set RANK to the number of this machine, 0 to {spec.nodes - 1}}}"',
        ': "${HEAD:?set HEAD to the address of the machine with RANK 0}"',
        'echo "machine $RANK of $NODES, head $HEAD"',
        'if [ "$RANK" = 0 ]; then',
        f"  {span.first(words, _GROUP)}",
        "else",
        f"  {span.other(words, _GROUP)}",
        "fi",
    ]


def preparation(spec: LaunchSpec, environment: dict[str, str] | None = None) -> list[str]:
    """Notes, huge pages, secrets that must be set, environment."""
    lines: list[str] = [commented(note) for note in spec.notes]
    for node, pages in sorted(spec.huge_pages.items()):
        path = f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
        lines.append(joined("", (f"echo {pages} > {path}", commented(_ROOT, "  # "))))
    for secret in spec.secret_names:
        content = f"a file, name.yaml, with the line {LINE}" if secret == KEY_FILE else "the API key"
        lines.append(f': "${{{secret}:?set {secret} to {content}}}"')
        lines.append(f"export {secret}")
    for variable, value in sorted((spec.environment if environment is None else environment).items()):
        lines.append(f"export {variable}={shlex.quote(value)}")
    return lines


def wrapped(spec: LaunchSpec) -> str:
    """The command with its numactl prefix and its key's file, quoted, an option and its value to a line."""
    text = ""
    for word in [*spec.binding.numactl(), *spec.argv]:
        quoted = shlex.quote(word)
        text += (" \\\n  " if word.startswith("-") else " ") + quoted if text else quoted
    return text + (f' \\\n  {spec.key_flag} "${KEY_FILE}"' if spec.key_in_file else "")
