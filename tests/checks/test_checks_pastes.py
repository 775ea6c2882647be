"""Pastes of our own, in the forms people really send: cut, quoted, mixed, in other languages, by other vendors' tools.

Each with what must be found, and with what must not be claimed since nobody said it.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from wellfed.checks.pricing import as_is, mended
from wellfed.checks.registry import ALL, check
from wellfed.checks.run import run_checks
from wellfed.checks.setting import setting_of
from wellfed.hardware.machine import Machine
from wellfed.nouns.finding import FAULTS, Verdict
from wellfed.topology.readers.refusal import NotUnderstood
from wellfed.verbs.checking import read_machine

FOLDER = Path(__file__).parent / "pastes"
GIB = 1 << 30


@dataclass(frozen=True)
class Told:
    """`gpus`: catalogue ids, None where none is told; `bad`: check -> subjects; `unknown` and `good`: ids of checks."""

    gpus: tuple[str | None, ...] = ()
    bad: dict[str, str] | None = None
    unknown: str = ""
    good: str = ""
    cpus: tuple[str, ...] = ()
    ram_gib: float | None = None
    nodes: int | None = None


QUIET: dict[str, str] = {}
TWO_3090 = ("rtx-3090", "rtx-3090")
PASTES: dict[str, Told] = {
    "amd_both": Told(("rx-7900-xtx",), {"pcie-width": "gpu0", "pcie-replay": "gpu0"}, "gpu-throttle vram-free"),
    "amd_csv": Told(("rx-7900-xtx",) * 2, {"gpu-power-limit": "gpu1"}, "pcie-width pcie-speed vram-free"),
    "amd_dmesg": Told((None,), {"pcie-width": "gpu0", "pcie-speed": "gpu0", "pcie-chipset": "gpu0"}, "vram-free"),
    "amd_static_json": Told(("mi300x",) * 2, {"gpu-power-limit": "gpu0"}, "pcie-width pcie-speed gpu-throttle"),
    "compose_log": Told((None, None), {"gpu-p2p": "system"}, "pcie-width vram-free"),
    "csv_noheader_cmd": Told(TWO_3090, {"pcie-width": "gpu0"}, "pcie-speed gpu-ecc gpu-mig gpu-throttle vram-free"),
    "csv_nounits": Told(TWO_3090, {"pcie-width": "gpu1", "vram-free": "gpu0"}, "pcie-speed gpu-ecc gpu-throttle"),
    "de_lscpu": Told(bad={"swap": "system"}, good="ram-free", cpus=("ryzen-9-7950x",), ram_gib=125, nodes=1),
    "dmi_ddr5": Told(bad={"mem-channels": "socket0"}, unknown="ram-free gpu-driver"),
    "fastfetch": Told(("rtx-5090",) * 2, {"swap": "system"}, "vram-free pcie-width", "gpu-mixed", ram_gib=188.42),
    "fr_lscpu": Told(bad=QUIET, unknown="gpu-driver ram-free", cpus=("ryzen-9-5900x",), nodes=1),
    "free_old": Told(bad=QUIET, good="ram-free swap", ram_gib=62.9),
    "gpustat": Told(("a100-sxm4-80gb",) * 4, {"vram-free": "gpu0 gpu2"}, "gpu-ecc gpu-throttle gpu-persistence"),
    "hy_smi": Told((None, None), QUIET, "pcie-width vram-free gpu-ecc"),
    "hyperv_vm": Told(("a10",), QUIET, "pcie-width pcie-speed vram-free", cpus=("epyc-74f3",)),
    "issue_json": Told(("rtx-a5000",) * 2, {"gpu-p2p": "system"}, "pcie-width gpu-ecc vram-free"),
    "ja_free": Told(bad=QUIET, good="ram-free swap", ram_gib=125.7),
    "ksysinfo": Told(("rtx-4090-laptop",), {"pcie-width": "gpu0"}, "pcie-speed gpu-power-limit", ram_gib=62.0),
    "llama_log": Told(
        ("rtx-3090", "rtx-4090"), {"gpu-mixed": "system", "vram-free": "gpu1"}, "pcie-width gpu-throttle gpu-ecc"
    ),
    "lscpu_e_mix": Told((None,) * 4, {"pcie-shared-uplink": "gpu0+gpu1 gpu2+gpu3"}, "pcie-width numa-memory"),
    "lspci_bridges": Told(("rtx-3090",), {"pcie-width": "gpu0"}, "vram-free gpu-throttle"),
    "lspci_grep": Told(TWO_3090, QUIET, "pcie-width pcie-speed pcie-chipset gpu-driver gpu-socket", "gpu-mixed"),
    "lspci_one_vv": Told(("rtx-4090",), {"pcie-width": "gpu0"}, "pcie-speed vram-free"),
    "mthreads_q": Told(("mtt-s4000",) * 2, {"pcie-width": "gpu0", "vram-free": "gpu1"}, "gpu-throttle gpu-ecc"),
    "mthreads_table": Told(("mtt-s80",) * 2, {"pcie-width": "gpu0"}, "pcie-speed gpu-throttle"),
    "mx_smi": Told(("metax-c500",) * 2, {"vram-free": "gpu1"}, "pcie-width gpu-throttle"),
    "neofetch": Told(("rtx-4090", None), QUIET, "vram-free pcie-width", "ram-free", ram_gib=61.97),
    "npu_smi": Told(("ascend-910b3",) * 2, {"vram-free": "gpu1"}, "pcie-width gpu-throttle"),
    "numactl_nomem": Told(bad={"numa-memory": "node1"}, nodes=2, ram_gib=125.7),
    "nvlink_c": Told(TWO_3090, {"nvlink": "gpu0 gpu1"}, "pcie-width vram-free"),
    "ollama_log": Told(
        ("rtx-4090", "rtx-3060-12gb"), {"gpu-mixed": "system", "vram-free": "gpu1"}, "pcie-width", ram_gib=62.7
    ),
    "proxmox_k": Told(("rtx-3090",), {"gpu-driver": "gpu0"}, "pcie-width pcie-chipset vram-free"),
    "ps_mem": Told(("rtx-4090",), {"mem-speed": "socket0"}, "pcie-width ram-free", cpus=("ryzen-9-7950x3d",), ram_gib=64),
    "q_memory_only": Told((None,), {"vram-free": "gpu0"}, "gpu-mixed gpu-p2p gpu-socket gpu-bar1 gpu-ecc gpu-throttle"),
    "rocm_json": Told(("pro-w7900",) * 2, {"vram-free": "gpu1"}, "pcie-width gpu-power-limit gpu-throttle"),
    "rocminfo": Told(("rx-7900-xtx",), QUIET, "pcie-width vram-free gpu-power-limit"),
    "ru_lscpu": Told(bad=QUIET, unknown="ram-free", cpus=("ryzen-5-5600x",), nodes=1),
    "sysctl_out": Told(bad={"numa-balancing": "system"}, unknown="ram-free gpu-driver cpu-quota", good="zone-reclaim"),
    "topo_md": Told((None, None), QUIET, "pcie-width vram-free"),
    "topo_spaces": Told((None,) * 4, {"gpu-socket": "system"}, "pcie-width vram-free", nodes=2),
    "truncated_table": Told(
        ("h100-sxm5-80gb",) * 2,
        {"gpu-ecc": "gpu1", "gpu-power-limit": "gpu1", "vram-free": "gpu1"},
        "gpu-throttle gpu-row-remap nvlink pcie-width",
    ),
    "windows_and_wsl": Told(
        ("rtx-4070-laptop",), QUIET, "gpu-throttle pcie-width gpu-row-remap", "vram-free", cpus=("core-i7-13620h",)
    ),
    "xid_line": Told((None,), {"gpu-xid": "gpu0"}, "pcie-width vram-free"),
    "xpu_dev": Told(("data-center-gpu-flex-170",), QUIET, "pcie-width pcie-speed vram-free"),
    "xpu_discovery": Told(("arc-pro-b60",) * 2, QUIET, "pcie-width vram-free", "gpu-mixed"),
    "zh_lscpu": Told(
        bad={"swap": "system", "ram-free": "system"}, cpus=("xeon-gold-6326",) * 2, ram_gib=503, nodes=2
    ),
}  # fmt: skip
REFUSED = ("csv_noheader", "dmon", "lnksta_only", "nothing")


def machine(name: str) -> Machine:
    return read_machine(path=FOLDER / f"{name}.txt")


def test_every_paste_is_judged() -> None:
    assert {path.stem for path in FOLDER.glob("*.txt")} == {*PASTES, *REFUSED}


@pytest.mark.parametrize("name", PASTES)
def test_what_is_told_is_read(name: str) -> None:
    told, read = PASTES[name], machine(name)
    assert tuple(gpu.spec.id if gpu.spec else None for gpu in read.gpus) == told.gpus
    if told.cpus:
        assert tuple(socket.cpu.id if socket.cpu else "" for socket in read.sockets) == told.cpus
    if told.ram_gib is not None:
        assert read.memory_bytes is not None and abs(read.memory_bytes / GIB - told.ram_gib) < 0.1
    if told.nodes is not None:
        assert len(read.numa_nodes) == told.nodes


@pytest.mark.parametrize("name", PASTES)
def test_every_fault_that_shows_is_found_and_no_other(name: str) -> None:
    found: dict[str, list[str]] = {}
    for finding in run_checks(machine(name)):
        if finding.verdict in FAULTS:
            found.setdefault(finding.id, []).append(finding.subject)
    assert {id: " ".join(subjects) for id, subjects in found.items()} == (PASTES[name].bad or {})


@pytest.mark.parametrize("name", PASTES)
def test_what_nobody_said_is_unknown(name: str) -> None:
    findings = run_checks(machine(name))
    for id in PASTES[name].unknown.split():
        bad = set((PASTES[name].bad or {}).get(id, "").split())
        verdicts = {finding.verdict for finding in findings if finding.id == id and finding.subject not in bad}
        assert verdicts == {Verdict.UNKNOWN}, id
    for id in PASTES[name].good.split():
        assert {finding.verdict for finding in findings if finding.id == id} == {Verdict.PASS}, id


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_refused_with_what_to_paste(name: str) -> None:
    with pytest.raises(NotUnderstood) as refused:
        machine(name)
    assert "nvidia-smi" in str(refused.value.hint)


def test_the_machine_at_hand_is_known() -> None:
    assert setting_of(machine("windows_and_wsl")).wsl and setting_of(machine("windows_and_wsl")).laptop
    assert setting_of(machine("hyperv_vm")).guest and setting_of(machine("ksysinfo")).laptop
    assert setting_of(machine("gpustat")).baseboard and setting_of(machine("ps_mem")).family == "windows"


def test_lanes_that_only_a_table_tells_have_a_price() -> None:
    read = machine("csv_noheader_cmd")
    now, whole = as_is(read, ALL), as_is(mended(read, [check("pcie-width")]), ALL)
    assert [gpu.link.width for gpu in now.gpus if gpu.link] == [8, 16]
    assert [gpu.link.width for gpu in whole.gpus if gpu.link] == [16, 16]


@pytest.mark.parametrize(
    ("used", "name", "spec"),
    [
        (8188, "NVIDIA GeForce RTX 4070 ...", "rtx-4070-laptop"),
        (12282, "NVIDIA GeForce RTX 4070 ...", "rtx-4070-super"),
        (16376, "NVIDIA GeForce RTX 4070 ...", "rtx-4070-ti-super"),
        (49140, "NVIDIA RTX 6000 Ada Gene...", "rtx-6000-ada"),
        (24268, "NVIDIA GeForce ...", None),
        (20000, "NVIDIA GeForce RTX 4070 ...", None),
    ],
)
def test_a_name_that_was_cut_is_told_by_its_memory(tmp_path: Path, used: int, name: str, spec: str | None) -> None:
    rows = (FOLDER / "truncated_table.txt").read_text(encoding="utf-8").splitlines()[7:10]
    text = (
        "\n".join(rows)
        .replace("> ", "")
        .replace("NVIDIA H100 80GB HBM3      ", f"{name:<27}")
        .replace("81559", str(used))
    )
    (tmp_path / "table.txt").write_text(text, encoding="utf-8")
    (card,) = read_machine(path=tmp_path / "table.txt").gpus
    assert (card.spec.id if card.spec else None) == spec
