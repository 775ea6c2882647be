"""A wellfed that is killed at its N-th write or act, from outside of it: its system calls are counted, one is its last.

Run as `python -m attack.wounded N WHEN COMMAND...`: `before` the act it dies without having done it, `after` with it
done. COMMAND is `start PORT LOAD_S` or `stop NAME`. Without N (`0`) it lives, and tells how many acts there were.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable
from typing import Any

from sound.engine import spec
from wellfed.launch import state
from wellfed.launch.service import end, serve

# Whatever changes the world outside of this process, on the way of a launch and of its end.
_ACTS: tuple[tuple[Any, str], ...] = (
    (os, "link"), (os, "replace"), (os, "rename"), (os, "fsync"), (os, "unlink"), (os, "killpg"), (os, "mkdir"),
    (subprocess.Popen, "__init__"), (os, "write"),
)  # fmt: skip


class Count:
    """Counts acts, and makes one of them the last."""

    def __init__(self, last: int, when: str) -> None:
        self._left, self._when = last, when
        self.acts = 0

    def wrapped(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """The act, counted."""

        def counted(*words: Any, **named: Any) -> Any:
            self.acts += 1
            mine = self.acts == self._left
            if mine and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return act(*words, **named)
            finally:
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return counted


def main(last: int, when: str, command: str, *words: str) -> None:
    """Wounded, and on its way."""
    count = Count(last, when)
    for owner, name in _ACTS:
        setattr(owner, name, count.wrapped(getattr(owner, name)))
    if command == "start":
        service = serve(spec(load_s=float(words[1]), port=int(words[0]), key="k"), "m", 30, detach=True)
        print(service.running.pid, flush=True)
    else:
        end(state.find(words[0]), grace_s=1.0)
    print("acts", count.acts, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *sys.argv[3:])
