"""Steps of remedies, and how one becomes the step for this machine."""

from __future__ import annotations

import re
from dataclasses import replace

from wellfed.message import Message, message, message_of
from wellfed.nouns.finding import Reach, Remedy, Safety

_PLACE = re.compile(r"\{(\w+)\}")


def plain(line: str) -> Remedy:
    """A line that starts with `#` is for a human; any other is a shell command that harms nothing."""
    return Remedy(line, Safety.BY_HAND if line.startswith("#") else Safety.SAFE, message=message_of(line))


def by_hand(text: str | Message, reach: Reach = Reach.SYSTEM) -> Remedy:
    """A remedy that only a human can carry out; `reach` is how far it reaches."""
    return Remedy(f"# {text}", Safety.BY_HAND, reach, message_of(text))


def command(text: str, safety: Safety = Safety.SAFE, reach: Reach = Reach.SYSTEM) -> Remedy:
    """A shell command; `{gpu}` and the like in it are told by the machine."""
    return Remedy(text, safety, reach)


def look(text: str) -> Remedy:
    """A command that only looks."""
    return Remedy(text, Safety.SAFE, Reach.LOOK)


def on_boot(text: str) -> Remedy:
    """A change of the kernel's command line, which takes a restart."""
    return Remedy(f"# {text}", Safety.RESTART, Reach.KERNEL, message_of(text))


def at(remedy: Remedy, **values: object) -> Remedy:
    """The step for this machine: its GPU, its bridge, its number of threads."""
    if remedy.message is None:
        return replace(remedy, text=remedy.text.format(**values))
    filled = message(remedy.message.id, remedy.message.template, **{name: str(value) for name, value in values.items()})
    mark = "# " if remedy.text.startswith("#") and not filled.template.startswith("#") else ""
    return replace(remedy, text=f"{mark}{filled}", message=filled)


def shown(remedy: Remedy) -> Remedy:
    """The step of no machine: what one would tell stands in capitals."""
    places = {name: name.upper() for name in _PLACE.findall(remedy.message.template if remedy.message else remedy.text)}
    return at(remedy, **places) if places else remedy


def complete(remedy: Remedy) -> bool:
    """Whether it is the same step on every machine."""
    return not _PLACE.search(remedy.message.template if remedy.message else remedy.text)
