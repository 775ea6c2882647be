"""Run a command on chosen CPUs and NUMA nodes: `python -m wellfed.launch.bound --cpus 0-3 --nodes 0 -- COMMAND`.

Does what numactl does, without needing it: affinity and memory policy are set here and inherited through exec, so that
the engine's first touch of every page is already right. Unless told to be left alone (--detached yes), the command also
gets SIGTERM when whoever started it dies. With --go FD it waits for a byte there first: whoever starts it writes down
its pid meanwhile, so that no engine ever runs that nobody knows of. Standard library only: it runs before the engine.
"""

from __future__ import annotations

import ctypes
import os
import platform
import signal
import sys

_SET_MEMPOLICY = {"x86_64": 238, "aarch64": 237, "riscv64": 237}  # syscall numbers of set_mempolicy(2)
_MODES = {"default": 0, "bind": 2, "interleave": 3}  # linux/mempolicy.h


def main(argv: list[str]) -> int:
    """Apply the binding and exec; 125 when the binding is refused, as chroot(1) and nice(1) do, 127 no command."""
    split = argv.index("--")
    options = dict(zip(argv[:split:2], argv[1:split:2], strict=True))
    command = argv[split + 1 :]
    if "--go" in options and not may_go(int(options["--go"])):
        return 128 + signal.SIGTERM
    if options.get("--detached") != "yes":
        end_with_parent(int(options.get("--parent", 0)))
    try:
        bind(parse_list(options.get("--cpus", "")), parse_list(options.get("--nodes", "")), options.get("--policy", ""))
    except OSError as error:
        sys.stderr.write(f"wellfed: binding refused: {error.strerror or error}\n")
        return 125
    try:
        os.execvp(command[0], command)
    except OSError as error:
        sys.stderr.write(f"wellfed: cannot start {command[0]}: {error.strerror}\n")
        return 127


def may_go(descriptor: int) -> bool:
    """Whether the word came; its end without one means that whoever started this has died, or thought better of it."""
    word = os.read(descriptor, 1)
    os.close(descriptor)
    return bool(word)


def bind(cpus: list[int], nodes: list[int], policy: str) -> None:
    """Restrict this process to `cpus`, and its pages to `nodes` by `policy`. Raises OSError when the kernel refuses."""
    if cpus:
        os.sched_setaffinity(0, cpus)
    if not nodes or policy not in _MODES or policy == "default":
        return
    number = _SET_MEMPOLICY.get(platform.machine())
    if number is None:
        raise OSError(f"no memory policies known for {platform.machine()}")
    width = 8 * ctypes.sizeof(ctypes.c_ulong)
    words = max(nodes) // width + 1
    mask = (ctypes.c_ulong * words)()
    for node in nodes:
        mask[node // width] |= 1 << (node % width)
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.syscall(ctypes.c_long(number), _MODES[policy], mask, ctypes.c_ulong(words * width + 1)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code))


def end_with_parent(parent: int) -> None:
    """Ask the kernel for SIGTERM at the parent's death (prctl(2), PR_SET_PDEATHSIG: kept through exec). Linux only.

    A parent that died before we could ask sends none: then we end here. `parent` 0: not known.
    """
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)
    if parent and os.getppid() != parent:
        sys.exit(128 + signal.SIGTERM)


def parse_list(text: str) -> list[int]:
    """Numbers of a kernel list: 0-3,8."""
    numbers: list[int] = []
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        numbers.extend(range(int(first), int(last or first) + 1))
    return numbers


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
