"""What an exporter tells of its machine besides figures: the traits that a fleet compares, and the engine's own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from pathlib import Path, PurePath

from wellfed.errors import WellfedError
from wellfed.watching.facts import Fact
from wellfed.watching.target import Target

EVERY_S = 600.0  # a machine is read again: it takes a second of one core
_MOST_LENGTH = 120


def machine_facts(chosen: Target, root: Path = Path("/")) -> tuple[Fact, ...]:
    """The engine's model and kind, and every trait of this machine that is told. Nothing in it names the machine or its
    owner. Of an engine elsewhere (no process here): only the engine's.
    """
    facts = [Fact("engine", "engine", chosen.engine)] if chosen.engine else []
    if chosen.model:
        facts.append(Fact("engine", "model", PurePath(chosen.model).name[:_MOST_LENGTH]))
    return (*facts, *(_traits(root) if chosen.pid is not None else ()))


def _traits(root: Path) -> list[Fact]:
    from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
    from wellfed.fleet.traits import UNKNOWN, firmware, traits
    from wellfed.topology.collect import collect
    from wellfed.topology.machine import parse

    try:
        snapshot = collect(root)
        machine = parse(snapshot, gpu_spec=gpu_or_none, cpu_spec=cpu_or_none)
    except WellfedError:
        return []
    machine_traits = traits(machine, firmware(snapshot))
    return [
        Fact(t.subject, t.name, value[:_MOST_LENGTH]) for t, value in sorted(machine_traits.items()) if value != UNKNOWN
    ]


class Reading:
    """Facts read again and again in a thread of their own, so that no sample waits for them."""

    def __init__(
        self,
        read: Callable[[], tuple[Fact, ...]],
        receive: Callable[[tuple[Fact, ...]], None],
        every_s: float = EVERY_S,
    ) -> None:
        self._read, self._told, self._every_s = read, receive, every_s
        self._end = threading.Event()
        self._thread = threading.Thread(target=self._loop, name="wellfed-facts", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Let the driver go: nothing is read after this."""
        self._end.set()

    def _loop(self) -> None:
        while True:
            self._told(self._read())
            if self._end.wait(self._every_s):
                return
