"""Flags that a person hands on to the engine (after `--`): any but those that wellfed itself must know the value of.

Where it listens and which key it wants are decided once, by wellfed's own options: the demand for a key, the health
check, `ps`, `watch` and `bench` all build on them.
"""

from __future__ import annotations

from collections.abc import Sequence

from wellfed.errors import BadInput
from wellfed.message import message

# llama-server, vLLM and SGLang; --config and its like name a file that may hold any of the others.
_OURS = (
    "--host", "--port", "--uds", "--reuse-port", "--api-prefix", "--root-path", "--ssl-key-file", "--ssl-cert-file",
    "--ssl-keyfile", "--ssl-certfile", "--api-key", "--api-key-file", "--admin-api-key", "--config", "--config-file",
    "--models-preset", "--grpc-mode", "--grpc-port", "--fastapi-root-path",
)  # fmt: skip
_THEIRS = frozenset({"--model", "--models"})  # begin like ours, and mean something else
_LEAST = len("--ho")  # shorter ones stand for too much to be an abbreviation of these alone


def ensure_not_ours(words: Sequence[str]) -> None:
    """Raises BadInput for flags, whole or abbreviated, that say where an engine listens or which key it wants."""
    refused = [word for word in words if _is_ours(word)]
    if refused:
        hint = "wellfed has its own: --host, --port, --api-key-file (`wellfed run --help`)"
        template = "{flag} is not for the engine alone to know: it cannot stand behind --"
        raise BadInput(
            message("run.our-flag", template, flag=refused[0].split("=")[0]), message("run.our-flag.hint", hint)
        )


def _is_ours(word: str) -> bool:
    """Parsers of engines take underscores for dashes, any case of some, values after =, and abbreviations."""
    if not word.startswith("-"):
        return False
    flag = "--" + word.partition("=")[0].lstrip("-").lower().replace("_", "-")
    begins = any(ours.startswith(flag) for ours in _OURS)
    return flag in _OURS or (len(flag) >= _LEAST and begins and flag not in _THEIRS)
