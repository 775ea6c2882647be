"""A shell script."""

from __future__ import annotations

import shlex

from wellfed.engines.spec import LaunchSpec


def script(spec: LaunchSpec, name: str) -> str:
    """A POSIX shell script that starts the engine in the foreground."""
    return "\n".join(["#!/bin/sh", f"# {name}: written by wellfed", "set -eu", *body(spec)]) + "\n"


def body(spec: LaunchSpec) -> list[str]:
    """Notes, huge pages, secrets that must be set, environment, and the command."""
    lines = [f"# {note}" for note in spec.notes]
    for node, pages in sorted(spec.huge_pages.items()):
        path = f"/sys/devices/system/node/node{node}/hugepages/hugepages-2048kB/nr_hugepages"
        lines.append(f"echo {pages} > {path}  # needs root")
    for secret in sorted(spec.secrets):
        lines.append(f': "${{{secret}:?set {secret} to the API key}}"')
        lines.append(f"export {secret}")
    for variable, value in sorted(spec.environment.items()):
        lines.append(f"export {variable}={shlex.quote(value)}")
    return [*lines, f"exec {wrapped(command(spec))}"]


def command(spec: LaunchSpec) -> list[str]:
    """The words of the command, with its numactl prefix."""
    return [*spec.binding.numactl(), *spec.argv]


def wrapped(words: list[str]) -> str:
    """Quoted words, an option and its value to a line."""
    text = ""
    for word in words:
        quoted = shlex.quote(word)
        text += (" \\\n  " if word.startswith("-") else " ") + quoted if text else quoted
    return text
