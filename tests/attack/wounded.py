"""A wellfed that is killed at its N-th write or act, from outside of it: its system calls are counted, one is its last.

Run as `python -m attack.wounded N WHEN COMMAND...`: `before` the act it dies without having done it, `after` with it
done. COMMAND is `start PORT LOAD_S` or `stop NAME`. Without N (`0`) it lives, and tells how many acts there were, and
which changes the interpreter itself saw (sys.addaudithook) that were none of them: there must be none.
"""

from __future__ import annotations

import io
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
    (os, "open"), (io, "open"), (os, "link"), (os, "replace"), (os, "rename"), (os, "fsync"), (os, "unlink"), (os, "killpg"), (os, "mkdir"),
    (subprocess.Popen, "__init__"), (os, "write"),
)  # fmt: skip


class Count:
    """Counts acts, and makes one of them the last."""

    def __init__(self, last: int, when: str) -> None:
        self._left, self._when = last, when
        self.acts = 0
        self.inside = 0
        self.missed: list[str] = []

    def wrapped(self, act: Callable[..., Any]) -> Callable[..., Any]:
        """The act, counted."""

        def counted(*words: Any, **named: Any) -> Any:
            if act in _OPENS and not _to_write(words[1:], named):
                return act(*words, **named)
            self.acts += 1
            mine = self.acts == self._left
            if mine and self._when == "before":
                os.kill(os.getpid(), signal.SIGKILL)
            self.inside += 1
            try:
                return act(*words, **named)
            finally:
                self.inside -= 1
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return counted

    def audit(self, event: str, words: tuple[Any, ...]) -> None:
        """Notes what changes the world outside of an act that is counted."""
        if self.inside or not changes(event, words):
            return
        self.missed.append(f"{event} {words!r}"[:200])


_CHANGES = (
    "os.rename", "os.link", "os.symlink", "os.remove", "os.rmdir", "os.mkdir", "os.truncate", "os.chmod", "os.chown",
    "os.kill", "os.killpg", "os.posix_spawn", "os.system", "os.exec", "subprocess.Popen", "shutil.rmtree",
)  # fmt: skip
_WRITING = os.O_WRONLY | os.O_RDWR | os.O_CREAT | os.O_TRUNC | os.O_APPEND


_OPENS = (os.open, io.open)


def _to_write(words: tuple[Any, ...], named: dict[str, Any]) -> bool:
    """Whether a file is opened for that, by flags or by mode."""
    how = words[0] if words else named.get("mode", named.get("flags", "r"))
    return bool(how & _WRITING) if isinstance(how, int) else not {*how}.isdisjoint("wax+")


def changes(event: str, words: tuple[Any, ...]) -> bool:
    """Whether it leaves something behind: a file opened to be written, an entry made or removed, a process."""
    if event != "open":
        return event in _CHANGES
    path, _, flags = words
    return bool((flags or 0) & _WRITING) and isinstance(path, str | os.PathLike) and "__pycache__" not in str(path)


def main(last: int, when: str, command: str, *words: str) -> None:
    """Wounded, and on its way."""
    count = Count(last, when)
    sys.addaudithook(count.audit)
    for owner, name in _ACTS:
        setattr(owner, name, count.wrapped(getattr(owner, name)))
    if command == "start":
        service = serve(spec(load_s=float(words[1]), port=int(words[0]), key="k"), "m", 30, detach=True)
        print(service.running.pid, flush=True)
    else:
        end(state.find(words[0]), grace_s=1.0)
    print("missed", count.missed, flush=True)
    print("acts", count.acts, flush=True)


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2], *sys.argv[3:])
