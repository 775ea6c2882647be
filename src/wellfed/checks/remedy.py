"""Remedies that fit the machine: no BIOS in a guest, no other slot in a laptop, no command to run on a stranger's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from wellfed.checks.base import BENCH, LOAD, ROOT, Check
from wellfed.checks.setting import Setting
from wellfed.checks.tools import all_in_words_of, in_words_of
from wellfed.faults.steps import by_hand
from wellfed.message import Listing, Message, message
from wellfed.nouns.finding import Finding, Reach, Remedy, Verdict

_HOST = message("remedy.host", "The host decides this: show this finding to whoever runs it.")
_BOARD = message(
    "remedy.baseboard", "The modules sit on one board: nothing to move; show this finding to the maker's support."
)
_LAPTOP = message(
    "remedy.laptop", "A laptop is wired as it is: nothing to move; an eGPU or another machine is the way."
)
_ON_HOST = message("remedy.container", "A container cannot set this: run the next command on its host.")
OURS = (ROOT, LOAD, BENCH)  # commands of ours, which only help where the machine is
_FARAWAY = (Reach.HARDWARE, Reach.FIRMWARE)


def fitted(finding: Finding, check: Check, setting: Setting) -> Finding:
    """The finding with remedies that can be followed there; an unknown of a dump says what to add to it."""
    remedies = tuple(dict.fromkeys(_fitting(_of_vendor(finding.remedies, setting.vendor), setting)))
    if finding.verdict is Verdict.UNKNOWN and setting.stranger:
        remedies = (*(remedy for remedy in remedies if remedy.reach is not Reach.LOOK), *_asking(check, setting.vendor))
    if remedies == finding.remedies:
        return finding
    return replace(finding, remedies=remedies, fix=tuple(remedy.text for remedy in remedies))


def _fitting(remedies: Iterable[Remedy], setting: Setting) -> Iterator[Remedy]:
    for remedy in remedies:
        if setting.guest and remedy.reach in _FARAWAY:
            yield by_hand(_HOST)
        elif setting.baseboard and remedy.reach is Reach.HARDWARE:
            yield by_hand(_BOARD)
        elif setting.laptop and remedy.reach is Reach.HARDWARE:
            yield by_hand(_LAPTOP)
        elif setting.container and _writes(remedy):
            yield by_hand(_ON_HOST)
            yield remedy
        elif setting.stranger and remedy.reach is Reach.LOOK and remedy in OURS:
            continue
        elif setting.recorded and remedy in OURS:
            yield by_hand(message("remedy.there", "On that machine: {command}", command=remedy.text), Reach.LOOK)
        else:
            yield remedy


def _writes(remedy: Remedy) -> bool:
    """A shell command that changes the kernel's settings, which a container shares with its host."""
    return not remedy.text.startswith("#") and ("/sys/" in remedy.text or remedy.text.startswith("sysctl "))


def _of_vendor(remedies: tuple[Remedy, ...], vendor: str | None) -> Iterator[Remedy]:
    """The commands of the cards' own tool; left out where it has none."""
    for remedy in remedies:
        command = remedy.text if remedy.text.startswith("#") else in_words_of(vendor, remedy.text)
        if command is not None:
            yield replace(remedy, text=command)


def _asking(check: Check, vendor: str | None) -> tuple[Remedy, ...]:
    commands = all_in_words_of(vendor, check.ask)
    return (by_hand(asking(commands), Reach.LOOK),) if commands else ()


def asking(commands: tuple[str, ...]) -> Message:
    """What a dump lacks, as commands for the machine's owner."""
    return message("remedy.ask", "Add the output of: {commands}", commands=Listing(commands))
