"""Where a command line comes from: typed, a script, a compose file, a manifest, a unit, a Modelfile, a process."""

from __future__ import annotations

import re
import shlex

import psutil

from wellfed.engines.command_line import tells
from wellfed.engines.compose_file import chosen_line
from wellfed.engines.koboldcpp_file import ENDINGS, line_of_settings
from wellfed.engines.service_files import modelfile_line, unit_line
from wellfed.errors import BadInput
from wellfed.message import message
from wellfed.plain_file import is_there, may_name_files, named_path, read_text
from wellfed.units import MIB

_PROCESS = re.compile(r"pid:(\d{1,10})")
_COMPOSE = (".yml", ".yaml")
_UNITS = (".service",)
_MODELFILE = re.compile(r"(?:.*[\\/])?modelfile(?:\.\S*)?|.*\.modelfile", re.IGNORECASE)
_MOST_BYTES = MIB


def line_of(text: str) -> str:
    """The command line that `text` is or names: `compose.yaml`, `deployment.yaml#CONTAINER`, `llama.service`,
    `Modelfile`, `start.sh`, `mine.kcpps`, `pid:1234`.

    Raises BadInput for files and processes that cannot be read, or that run no engine.
    """
    if text.strip().startswith("pid:") and not _PROCESS.fullmatch(text.strip()):
        problem = message("command.pid", "{text!r} names no process", text=text.strip())
        raise BadInput(problem, message("command.pid.hint", "pid:1234; `wellfed watch` lists engines"))
    process = _PROCESS.fullmatch(text.strip())
    if process is not None:
        return _of_process(int(process[1]))
    settings = _of_koboldcpp(text)
    if settings is not None:
        return settings
    name, _, service = text.strip().partition("#")
    ours = name.endswith((*_COMPOSE, *_UNITS, ".sh", ".bat", ".ps1")) or _MODELFILE.fullmatch(name) is not None
    if "\n" in name or not ours or not is_there(name):
        return text
    path = named_path(name)
    content = read_text(path if path is not None else name, _MOST_BYTES)
    if name.endswith(_COMPOSE):
        return chosen_line(content, service)
    if name.endswith(_UNITS):
        return unit_line(content)
    return modelfile_line(content) if _MODELFILE.fullmatch(name) else content


def _of_koboldcpp(text: str) -> str | None:
    """The line that a file of KoboldCpp's settings stands for, alone or in one of its command lines."""
    if not any(ending in text for ending in ENDINGS) or "\n" in text.strip():
        return None
    try:
        words = shlex.split(text, posix="\\" not in text)
    except ValueError:
        return None
    place = next((at for at, word in enumerate(words) if word.endswith(ENDINGS) and is_there(word)), None)
    if place is None:
        return None
    path = named_path(words[place])
    content = read_text(path if path is not None else words[place], _MOST_BYTES)
    after = words[place + 1 :]
    before = words[1:place] if place and words[place - 1] != "--config" else words[1 : max(1, place - 1)]
    return line_of_settings(content, (*before, *after))


def _of_process(number: int) -> str:
    """A process's words, with the variables that tell an engine something."""
    if not may_name_files():
        raise BadInput(message("command.process.refused", "processes are not read for others"))
    try:
        process = psutil.Process(number)
        words = process.cmdline()
    except psutil.Error as error:
        problem = message("command.process", "no process {number} whose command line can be read", number=number)
        raise BadInput(
            problem, message("command.process.hint", "`wellfed watch` lists engines; others' need root")
        ) from error
    try:
        variables = process.environ()
    except psutil.Error:
        variables = {}  # another user's: its flags are read all the same
    assignments = [f"{name}={value}" for name, value in variables.items() if tells(name)]
    return shlex.join([*assignments, *words])
