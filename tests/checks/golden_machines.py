"""Machines of our own making for whole outputs: pasted ones, and built trees of /sys with a fault or two."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "topology"))

import dump_samples as basic
import dump_samples_more as more

from machines_builder import Box, build, downstream, gpu, host_bridge, root_port, switch, two_socket_box

Maker = Callable[[Path], Path]


def pasted(*texts: str) -> Maker:
    """A file with these dumps, one after the other, each in a code block."""

    def make(folder: Path) -> Path:
        path = folder / "paste.md"
        path.write_text("\n".join(f"```\n{text}\n```\n" for text in texts), encoding="utf-8")
        return path

    return make


def built(box: Box) -> Maker:
    """A captured tree of that machine."""
    return lambda folder: build(box, folder / "box")


HEALTHY = two_socket_box()
NARROW = replace(
    HEALTHY,
    governor="powersave",
    pci=(
        host_bridge(),
        root_port("0000:10:01.0", numa=0, below=(gpu("0000:11:00.0", now=(4, 4)),), now=(4, 4)),
        root_port("0000:50:01.0", numa=1, below=(gpu("0000:51:00.0"),)),
    ),
)
SWITCHED = replace(
    HEALTHY,
    pci=(
        host_bridge(),
        root_port(
            "0000:10:01.0",
            numa=0,
            below=(
                switch(
                    "0000:11:00.0",
                    (
                        downstream("0000:12:00.0", gpu("0000:13:00.0")),
                        downstream("0000:12:01.0", gpu("0000:14:00.0")),
                    ),
                ),
            ),
        ),
    ),
)
GUEST = replace(HEALTHY, files={**HEALTHY.files, "/sys/class/dmi/id/sys_vendor": "QEMU\n"})
CONTAINER = replace(
    HEALTHY,
    files={**HEALTHY.files, "/.dockerenv": "", "/proc/sys/kernel/numa_balancing": "1\n"},
)


def nv18_row(a: int) -> str:
    """A row of a board of eight, four on each socket."""
    cells = "\t".join(" X " if a == b else "NV18" for b in range(8))
    first = a // 4 * 48
    return f"GPU{a}\t{cells}\t{first}-{first + 47}\t{a // 4}\t\tN/A"


NV18 = "\n".join(
    [
        "\t" + "\t".join([*(f"GPU{n}" for n in range(8)), "CPU Affinity", "NUMA Affinity", "GPU NUMA ID"]),
        *(nv18_row(a) for a in range(8)),
    ]
)
NAMES = "GPU 0,1,2,3,4,5,6,7: NVIDIA H100 80GB HBM3\nGPU 0,1,2,3,4,5,6,7 Compute Capability: 9.0\nsglang: 0.5.0\n"

MACHINES: dict[str, Maker] = {
    "cards-in-a-server": pasted(more.SMI_TABLE, basic.TOPO, basic.LSCPU, more.FREE),
    "hgx-of-eight": pasted(NAMES, NV18),
    "instincts": pasted(more.AMD_STATIC, more.AMD_METRIC, more.AMD_TOPOLOGY),
    "instincts-without-links": pasted(more.ROCM_SHOW),
    "arcs": pasted(more.XPU),
    "ascends": pasted(more.NPU),
    "wsl": pasted(more.ENVIRONMENT),
    "guest-report": pasted(more.SGLANG),
    "laptop": pasted(more.INXI),
    "desktop": pasted(more.LSHW),
    "windows": pasted(more.WINDOWS),
    "mac": pasted(more.MACOS),
    "journal-of-a-bad-link": pasted(more.JOURNAL),
    "no-peer-access": pasted(more.NCCL_LOG, more.P2P),
    "server-memory": pasted(basic.DMIDECODE, basic.LSCPU, basic.NUMACTL),
    "card-behind-lspci": pasted(basic.LSPCI, basic.SMI_TEXT),
    "built-healthy": built(HEALTHY),
    "built-narrow-link": built(NARROW),
    "built-switch": built(SWITCHED),
    "built-guest": built(GUEST),
    "built-container": built(CONTAINER),
}
