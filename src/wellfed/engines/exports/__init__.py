"""A launch written down for where it will live. Pure text; secrets are referred to, never written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wellfed.engines.exports.compose import compose
from wellfed.engines.exports.handover import llama_swap, lmstudio, ollama
from wellfed.engines.exports.kubernetes import kubernetes
from wellfed.engines.exports.ray import ray
from wellfed.engines.exports.script import script
from wellfed.engines.exports.slurm import slurm
from wellfed.engines.exports.systemd import systemd
from wellfed.engines.spec import LaunchSpec
from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.printable import printable

Form = Callable[[LaunchSpec, str], str]


def _clean(form: Form) -> Form:
    """The form, of launches that can be written down at all. Raises BadInput for the others."""

    def written(spec: LaunchSpec, name: str) -> str:
        ensure_writable(spec)
        return form(spec, printable(name))

    return written


def ensure_writable(spec: LaunchSpec) -> None:
    """Raises BadInput for words that hold what a line of text cannot: control characters, or no UTF-8.

    No quoting of shells, units, YAML and their readers agrees on those; a newline in a path could begin a line of its
    own.
    """
    for word in (*spec.argv, *spec.files, *spec.environment, *spec.environment.values(), spec.endpoint.host):
        if printable(word) != word:
            template = "{word} has characters that no export can carry"
            hint = message("export.unwritable.hint", "rename the file: letters, digits and signs of any script")
            raise BadInput(message("export.unwritable", template, word=printable(word, 200)), hint)


EXPORTS: Mapping[str, Form] = {
    "script": _clean(script),
    "systemd": _clean(systemd),
    "compose": _clean(compose),
    "kubernetes": _clean(kubernetes),
    "slurm": _clean(slurm),
    "ray": _clean(ray),
    "ollama": _clean(ollama),
    "lmstudio": _clean(lmstudio),
    "llama-swap": _clean(llama_swap),
}
