"""The engine's process tree from /proc (proc(5); Documentation/filesystems/proc.rst, scheduler/sched-stats.rst)."""

from __future__ import annotations

import contextlib
import os
import re
from pathlib import Path

from wellfed.launch.bound import parse_list
from wellfed.launch.proof import numa_pages
from wellfed.partial_sums import total_of_known
from wellfed.watching.sample import NodePages, Process, Thread
from wellfed.watching.samplers.files import at, names, number, text

_TREE_EVERY = 5  # samples between looks for new children
_PAGES_EVERY = 10  # numa_maps walks page tables: expensive
_BIG_BYTES = 64 * 2**30  # above this, rarer still
_GPU_FILE = re.compile(r"/dev/(nvidia\d|kfd|dri/renderD)")


class ProcessSampler:
    """Reads one process and its descendants. Threads that have not run since the last look are not read again."""

    def __init__(self, pid: int, root: str = "/", pages: bool = True) -> None:
        self._pid = pid
        self._proc = at(root, "proc")
        self._tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        self._page_bytes = os.sysconf("SC_PAGE_SIZE")
        self._known: dict[int, tuple[str, Thread]] = {}
        self._family: tuple[int, ...] = (pid,)
        self._count = 0
        self._pages: tuple[NodePages, ...] | None = None
        self._with_pages = pages
        self._uses_gpu: bool | None = None
        self._born: str | None = None

    def sample(self) -> Process:
        """Now. A process that is gone, or whose number another one took, is not alive."""
        stat = _stat(text(f"{self._proc}/{self._pid}/stat"))
        if stat is None or stat[0] in ("Z", "X") or self._reborn(stat[19]):
            return Process(self._pid, alive=False, state=stat[0] if stat else None)
        if self._count % _TREE_EVERY == 0:
            self._family = self._descendants()
        every = _PAGES_EVERY * (6 if int(stat[21]) * self._page_bytes > _BIG_BYTES else 1)
        if self._with_pages and self._count % every == 0:
            self._pages = self._node_pages()
        if self._count % _PAGES_EVERY == 0:
            self._uses_gpu = self._device_files()
        self._count += 1
        status = text(f"{self._proc}/{self._pid}/status") or ""
        faults = [counts for counts in map(self._faults, self._family) if counts is not None]
        return Process(
            pid=self._pid,
            alive=True,
            state=stat[0],
            threads=self._threads(),
            cpus_allowed=_allowed(status),
            rss_bytes=sum(counts[2] for counts in faults) if faults else None,
            swap_bytes=_kilobytes(status, "VmSwap"),
            minor_faults=sum(counts[0] for counts in faults) if faults else None,
            major_faults=sum(counts[1] for counts in faults) if faults else None,
            read_bytes_total=self._read_bytes(),
            pages=self._pages,
            uses_gpu=self._uses_gpu,
        )

    def _reborn(self, born: str) -> bool:
        self._born = self._born or born
        return born != self._born

    def _descendants(self) -> tuple[int, ...]:
        parents: dict[int, list[int]] = {}
        for name in names(self._proc):
            if name.isdecimal():
                stat = _stat(text(f"{self._proc}/{name}/stat"))
                if stat is not None:
                    parents.setdefault(int(stat[1]), []).append(int(name))
        pids = [self._pid]
        for pid in pids:
            pids.extend(child for child in parents.get(pid, ()) if child not in pids)
        return tuple(pids)

    def _faults(self, pid: int) -> tuple[int, int, int] | None:
        stat = _stat(text(f"{self._proc}/{pid}/stat"))
        return None if stat is None else (int(stat[7]), int(stat[9]), int(stat[21]) * self._page_bytes)

    def _threads(self) -> tuple[Thread, ...] | None:
        threads: list[Thread] = []
        for pid in self._family:
            for name in names(f"{self._proc}/{pid}/task"):
                thread = self._thread(pid, name)
                if thread is not None:
                    threads.append(thread)
        self._known = {
            tid: cached for tid, cached in self._known.items() if any(thread_here.tid == tid for thread_here in threads)
        }
        return tuple(threads) if threads else None

    def _thread(self, pid: int, name: str) -> Thread | None:
        folder, tid = f"{self._proc}/{pid}/task/{name}", int(name)
        schedule = text(f"{folder}/schedstat")
        cached = self._known.get(tid)
        if cached is not None and schedule and cached[0] == schedule:
            return cached[1]
        stat_text = text(f"{folder}/stat")
        stat = _stat(stat_text)
        if stat is None or stat_text is None:
            return None
        words = (schedule or "").split()
        exact = len(words) == 3 and words[0] != "0"
        status = text(f"{folder}/status") or ""
        thread = Thread(
            tid=tid,
            pid=pid,
            name=stat_text[stat_text.index("(") + 1 : stat_text.rindex(")")],
            cpu_s=int(words[0]) / 1e9 if exact else (int(stat[11]) + int(stat[12])) * self._tick_s,
            wait_s=int(words[1]) / 1e9 if exact else None,
            voluntary=_value(status, "voluntary_ctxt_switches"),
            involuntary=_value(status, "nonvoluntary_ctxt_switches"),
            cpu=number(stat[36]) if len(stat) > 36 else None,
        )
        if schedule:
            self._known[tid] = (schedule, thread)
        return thread

    def _read_bytes(self) -> int | None:
        values = [_value(text(f"{self._proc}/{pid}/io") or "", "read_bytes") for pid in self._family]
        return total_of_known(values)

    def _device_files(self) -> bool | None:
        readable = False
        for pid in self._family:
            folder = f"{self._proc}/{pid}/fd"
            for name in names(folder):
                readable = True
                with contextlib.suppress(OSError):
                    if _GPU_FILE.match(str(Path(f"{folder}/{name}").readlink())):
                        return True
        return False if readable else None

    def _node_pages(self) -> tuple[NodePages, ...] | None:
        total: dict[int, int] = {}
        for pid in self._family:
            for node, size in numa_pages(text(f"{self._proc}/{pid}/numa_maps") or "").items():
                total[node] = total.get(node, 0) + size
        return tuple(NodePages(node, size) for node, size in sorted(total.items())) or None


def _stat(content: str | None) -> list[str] | None:
    """Fields of /proc/PID/stat from the state (field 3) on; the name before may hold blanks and brackets."""
    if content is None:
        return None
    words = content.rpartition(")")[2].split()
    return words if len(words) >= 22 and all(word.lstrip("-").isdecimal() for word in words[1:22]) else None


def _value(content: str, name: str) -> int | None:
    start = content.find(f"\n{name}:")
    if start < 0 and content.startswith(f"{name}:"):
        start = -1
    elif start < 0:
        return None
    words = content[start + 1 + len(name) + 1 : start + 1 + len(name) + 40].split()
    return number(words[0]) if words else None


def _kilobytes(content: str, name: str) -> int | None:
    value = _value(content, name)
    return None if value is None else value * 1024


def _allowed(status: str) -> tuple[int, ...] | None:
    start = status.find("Cpus_allowed_list:")
    if start < 0:
        return None
    try:
        return tuple(parse_list(status[start + 18 :].split(None, 1)[0]))
    except (ValueError, IndexError):
        return None
