"""The machine: /proc/stat, meminfo, vmstat, PSI, cpufreq, numastat (proc(5), admin-guide/numastat.rst)."""

from __future__ import annotations

import contextlib
import os
import re

from wellfed.launch.bound import parse_list
from wellfed.watching.sample import Cpu, Host, Node, Pressure
from wellfed.watching.samplers.files import at, names, number, table, text

_CLOCKS_EVERY = 5  # samples between looks at cpufreq: one file a CPU


class HostSampler:
    """Reads the machine below `root`."""

    def __init__(self, root: str = "/") -> None:
        self._root = root
        self._tick_s = 1.0 / os.sysconf("SC_CLK_TCK")
        self._count = 0
        self._nodes = self._node_cpus()
        self._cores = self._siblings()
        self._clocks: dict[int, tuple[float | None, float | None]] = {}

    def sample(self) -> Host:
        """What the host's counters tell now."""
        if self._count % _CLOCKS_EVERY == 0:
            self._clocks = self._read_clocks()
        self._count += 1
        memory = table(text(self._at("proc/meminfo")))
        vm = table(text(self._at("proc/vmstat")))
        return Host(
            cpus=self._cpus(),
            memory_total_bytes=_kib(memory.get("MemTotal")),
            memory_available_bytes=_kib(memory.get("MemAvailable")),
            refaults=vm.get("workingset_refault_file", vm.get("workingset_refault")),
            swapped_in=vm.get("pswpin"),
            swapped_out=vm.get("pswpout"),
            nodes=self._numastat(),
            pressure=self._pressure(),
        )

    def _at(self, path: str) -> str:
        return at(self._root, path)

    def _cpus(self) -> tuple[Cpu, ...] | None:
        cpus = []
        for line in (text(self._at("proc/stat")) or "").splitlines():
            words = line.split()
            if len(words) >= 8 and words[0][:3] == "cpu" and words[0][3:].isdecimal():
                cpus.append(self._cpu(int(words[0][3:]), [number(word) or 0 for word in words[1:]]))
        return tuple(cpus) or None

    def _cpu(self, cpu: int, ticks: list[int]) -> Cpu:
        """user nice system idle iowait irq softirq steal."""
        clock = self._clocks.get(cpu, (None, None))
        return Cpu(
            cpu=cpu,
            busy_s=(ticks[0] + ticks[1] + ticks[2] + ticks[5] + ticks[6]) * self._tick_s,
            idle_s=(ticks[3] + ticks[4]) * self._tick_s,
            steal_s=ticks[7] * self._tick_s if len(ticks) > 7 else None,
            clock_hz=clock[0],
            clock_max_hz=clock[1],
            node=self._nodes.get(cpu),
            core=self._cores.get(cpu),
        )

    def _read_clocks(self) -> dict[int, tuple[float | None, float | None]]:
        clocks: dict[int, tuple[float | None, float | None]] = {}
        for name in names(self._at("sys/devices/system/cpu")):
            if re.fullmatch(r"cpu\d+", name):
                folder = self._at(f"sys/devices/system/cpu/{name}/cpufreq")
                now, most = (number(text(f"{folder}/{file}")) for file in ("scaling_cur_freq", "cpuinfo_max_freq"))
                if now is not None or most is not None:
                    clocks[int(name[3:])] = (_khz(now), _khz(most))
        return clocks

    def _node_folders(self) -> list[tuple[int, str]]:
        base = self._at("sys/devices/system/node")
        return sorted((int(name[4:]), f"{base}/{name}") for name in names(base) if re.fullmatch(r"node\d+", name))

    def _node_cpus(self) -> dict[int, int]:
        node_of_cpu: dict[int, int] = {}
        for node, folder in self._node_folders():
            try:
                node_of_cpu.update(dict.fromkeys(parse_list((text(f"{folder}/cpulist") or "").strip()), node))
            except ValueError:
                continue
        return node_of_cpu

    def _siblings(self) -> dict[int, int]:
        """The first hyperthread of each CPU's core; only where cores have several."""
        core_of_cpu: dict[int, int] = {}
        for name in names(self._at("sys/devices/system/cpu")):
            listed = text(self._at(f"sys/devices/system/cpu/{name}/topology/thread_siblings_list"))
            if re.fullmatch(r"cpu\d+", name) and listed:
                with contextlib.suppress(ValueError):
                    core_of_cpu[int(name[3:])] = min(parse_list(listed.strip()), default=int(name[3:]))
        return core_of_cpu if len(set(core_of_cpu.values())) < len(core_of_cpu) else {}

    def _numastat(self) -> tuple[Node, ...] | None:
        nodes = []
        for node, folder in self._node_folders():
            counts = table(text(f"{folder}/numastat"))
            nodes.append(Node(node, counts.get("local_node"), counts.get("other_node"), counts.get("interleave_hit")))
        return tuple(nodes) or None

    def _pressure(self) -> Pressure | None:
        values = {name: _psi(text(self._at(f"proc/pressure/{name}"))) for name in ("cpu", "memory", "io")}
        if not any(values.values()):
            return None
        return Pressure(
            cpu_some_s=values["cpu"].get("some"),
            memory_some_s=values["memory"].get("some"),
            memory_full_s=values["memory"].get("full"),
            io_some_s=values["io"].get("some"),
            io_full_s=values["io"].get("full"),
        )


def _psi(content: str | None) -> dict[str, float]:
    """Seconds stalled, from `some avg10=.. total=<microseconds>`."""
    totals = re.findall(r"^(some|full) .*total=(\d+)", content or "", re.MULTILINE)
    return {kind: int(total) / 1e6 for kind, total in totals}


def _kib(value: int | None) -> int | None:
    return None if value is None else value * 1024


def _khz(value: int | None) -> float | None:
    return None if value is None else value * 1e3
