"""KoboldCpp's own files of settings (`.kcpps`, `.kcppt`): its arguments as JSON, said again as its command line.

Source: `load_config_cli` of koboldcpp.py (LostRuins/koboldcpp): every key is the name of an argument, and what the
command line names stands.
"""

from __future__ import annotations

import json
import shlex
from collections.abc import Iterator, Mapping

from wellfed.errors import BadInput
from wellfed.message import Message, message

ENDINGS = (".kcpps", ".kcppt")
# The arguments that tell where and how large something is; others are left out.
_READ = (
    "contextsize", "gpulayers", "usecuda", "usecublas", "usehipblas", "usevulkan", "usecpu", "autofit", "tensor_split",
    "splitmode", "batchsize", "blasbatchsize", "quantkv", "flashattention", "noflashattention", "useswa", "lowvram",
    "moecpu", "overridetensors", "threads", "draftmodel", "draftamount", "mmproj", "mmprojcpu", "visionmaxtokens",
    "lora",
)  # fmt: skip
_COUNTS = frozenset({"moecpu", "quantkv"})  # arguments whose 0 is as if they were not there
_BACK_ENDS = frozenset({"usecuda", "usecublas", "usehipblas", "usevulkan"})  # an empty list turns these on
_PROGRAM = "koboldcpp"


def line_of_settings(text: str, named: tuple[str, ...] = ()) -> str:
    """The command line that a file of settings stands for; `named` are words that stand in its place.

    Raises BadInput for text that is no such file.
    """
    try:
        settings = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise BadInput(_unread(), _hint()) from error
    if not isinstance(settings, Mapping) or not any(key in settings for key in ("model", "model_param", "gpulayers")):
        raise BadInput(_unread(), _hint())
    named_options = {word.lstrip("-") for word in named if word.startswith("-")}
    words = [_PROGRAM, *(() if named_options & {"model", "m"} else _model(settings))]
    for name in _READ:
        if name in settings and name not in named_options:
            words += _words(name, settings[name])
    return shlex.join([*words, *named])


def _unread() -> Message:
    return message(
        "kcpps.unread", "this is no file of KoboldCpp's settings: its JSON cannot be read, or names no model"
    )


def _hint() -> Message:
    return message("kcpps.hint", "one that KoboldCpp's launcher saved")


def _model(settings: Mapping[str, object]) -> Iterator[str]:
    for key in ("model_param", "model"):
        value = settings.get(key)
        first = value[0] if isinstance(value, list) and value else value
        if isinstance(first, str) and first:
            yield from ("--model", first)
            return


def _words(name: str, value: object) -> list[str]:
    if value is None or value is False or value == "" or (value == 0 and name in _COUNTS):
        return []
    if value is True:
        return [f"--{name}"]
    if isinstance(value, list):
        return [f"--{name}", *map(str, value)] if value or name in _BACK_ENDS else []
    return [f"--{name}", str(value)] if isinstance(value, str | int | float) else []
