"""GPU drivers: NVML through a stand-in module, AMD's KFD topology through files."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from machines_builder import Box, build, gpu, read, root_port
from wellfed.hardware.machine import Origin
from wellfed.hardware.pcie import PcieLink
from wellfed.topology.gpu_nvml import read_nvml
from wellfed.topology.machine import parse
from wellfed.topology.nvml_query import query
from wellfed.topology.snapshot import NVML, Snapshot
from wellfed.topology.snapshot_io import load, save

GIB = 1 << 30


class NVMLError(Exception):
    """As pynvml's."""


def refuse(*_: object) -> Any:
    raise NVMLError("Not Supported")


def fake(**answers: Callable[..., Any]) -> SimpleNamespace:
    """A pynvml of two linked A100s in which every function not named here is refused."""
    handles = ["a", "b"]
    given: dict[str, Any] = {
        "NVMLError": NVMLError,
        "nvmlInit": lambda: None,
        "nvmlShutdown": lambda: None,
        "nvmlSystemGetDriverVersion": lambda: b"550.54.15",
        "nvmlDeviceGetCount": lambda: 2,
        "nvmlDeviceGetHandleByIndex": lambda index: handles[index],
        "nvmlDeviceGetName": lambda handle: "NVIDIA A100-SXM4-80GB",
        "nvmlDeviceGetPciInfo": lambda h: SimpleNamespace(
            busId=b"00000000:07:00.0" if h == "a" else b"00000000:0A:00.0", pciDeviceId=0x20B210DE
        ),
        "nvmlDeviceGetMemoryInfo": lambda h: SimpleNamespace(total=80 * GIB, free=60 * GIB, used=20 * GIB),
        "nvmlDeviceGetPerformanceState": lambda h: 8,
        "nvmlDeviceGetCurrPcieLinkGeneration": lambda h: 1,
        "nvmlDeviceGetMaxPcieLinkGeneration": lambda h: 4,
        "nvmlDeviceGetCurrPcieLinkWidth": lambda h: 8,
        "nvmlDeviceGetMaxPcieLinkWidth": lambda h: 16,
        "nvmlDeviceGetEccMode": lambda h: [1, 0],
        "nvmlDeviceGetRemappedRows": lambda h: (0, 1, 1, 0),
        "nvmlDeviceGetPowerUsage": lambda h: 61_500,
        "nvmlDeviceGetCurrentClocksThrottleReasons": lambda h: 0x1 | 0x40,
        "nvmlDeviceGetComputeRunningProcesses": lambda h: [SimpleNamespace(pid=1, name=b"/home/alice/secret")],
        "nvmlDeviceGetMemoryAffinity": lambda h, size, scope: [0b10 if h == "b" else 0b1] + [0] * (size - 1),
        "nvmlDeviceGetCpuAffinity": lambda h, size: [0xF] + [0] * (size - 1),
        "nvmlDeviceGetNvLinkState": lambda h, link: 1 if link < 4 else refuse(),
        "nvmlDeviceGetNvLinkVersion": lambda h, link: 4,
        "nvmlDeviceGetNvLinkRemotePciInfo": lambda h, link: SimpleNamespace(
            busId="00000000:0A:00.0" if h == "a" else "00000000:07:00.0"
        ),
        "nvmlDeviceGetTopologyCommonAncestor": lambda a, b: 20,
    }
    given.update(answers)

    class Module(SimpleNamespace):
        def __getattr__(self, name: str) -> Any:
            return refuse if name.startswith("nvmlDevice") else 0

    return Module(**given)


def answers(monkeypatch: pytest.MonkeyPatch, **changes: Callable[..., Any]) -> str:
    monkeypatch.setitem(sys.modules, "pynvml", fake(**changes))  # type: ignore[arg-type]
    return query()


def test_nvml_state(monkeypatch: pytest.MonkeyPatch) -> None:
    found = parse(Snapshot("x", Origin.LIVE, {NVML: answers(monkeypatch).encode()}))
    a, b = found.gpus
    assert (a.name, a.pci_address, a.memory_bytes, a.memory_free_bytes) == (
        "NVIDIA A100-SXM4-80GB",
        "0000:07:00.0",
        80 * GIB,
        60 * GIB,
    )
    assert (a.ecc_enabled, a.ecc_pending, a.remapped_rows_pending, a.remapping_failed) == (True, False, True, False)
    assert (a.performance_state, a.power_draw_w, a.foreign_processes, a.driver) == (8, 61.5, 1, "550.54.15")
    assert a.throttle_reasons == ("gpu_idle", "hw_thermal_slowdown")
    assert (a.numa_node, b.numa_node, a.cpu_affinity) == (0, 1, (0, 1, 2, 3))
    assert a.link == PcieLink(4, 8)
    assert (a.nvlinks_active, a.nvlink_bytes_per_s) == (4, 100e9)
    assert [(x.a, x.b, x.kind, x.bytes_per_s) for x in found.gpu_links] == [(0, 1, "nvlink", 100e9)]


def test_refused_questions_are_unknown_with_their_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    found = read_nvml(answers(monkeypatch))
    assert found is not None
    assert found.gpus[0].persistence is None
    assert found.gpus[0].temperature_c is None
    assert found.unknown["gpu0.persistence"] == "Not Supported"


def test_no_names_of_processes_leave_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "alice" not in answers(monkeypatch)


def test_switched_links(monkeypatch: pytest.MonkeyPatch) -> None:
    text = answers(
        monkeypatch, nvmlDeviceGetNvLinkRemotePciInfo=lambda h, link: SimpleNamespace(busId="00000000:C4:00.0")
    )
    found = read_nvml(text)
    assert found is not None
    assert [(x.a, x.b, x.kind, x.bytes_per_s) for x in found.gpu_links] == [(0, 1, "nvswitch", 100e9)]


def test_driver_that_does_not_start(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise NVMLError("Driver Not Loaded")

    text = answers(monkeypatch, nvmlInit=broken)
    assert json.loads(text) == {"error": "NVML: Driver Not Loaded"}
    found = parse(Snapshot("x", Origin.LIVE, {NVML: text.encode()}))
    assert found.unknown["nvml"] == "NVML: Driver Not Loaded"
    assert found.gpus == ()


def test_lost_gpu_keeps_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    text = answers(monkeypatch, nvmlDeviceGetHandleByIndex=lambda i: "a" if i == 0 else refuse())
    found = read_nvml(text)
    assert found is not None
    assert [(gpu.index, gpu.name) for gpu in found.gpus] == [(0, "NVIDIA A100-SXM4-80GB"), (1, None)]


def test_driver_and_tree_join_by_address(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card = gpu("0000:07:00.0", ids=(0x10DE, 0x20B2), now=(1, 8))
    root = build(Box(pci=(root_port("0000:00:01.0", now=(1, 8), below=(card,)),)), tmp_path)
    (root / "wellfed").mkdir()
    (root / "wellfed/nvml.json").write_text(answers(monkeypatch))
    machine = parse(load(root))
    assert [(g.pci_address, g.memory_free_bytes) for g in machine.gpus] == [
        ("0000:07:00.0", 60 * GIB),
        ("0000:0a:00.0", 60 * GIB),
    ]
    save(load(root), tmp_path / "gpu.tar")
    assert len(parse(load(tmp_path / "gpu.tar")).gpus) == 2


def kfd_node(location: int, simds: int) -> str:
    return f"cpu_cores_count 0\nsimd_count {simds}\nsimd_per_cu 4\nlocation_id {location}\ndomain 0\n"


def test_xgmi_links_and_compute_units(tmp_path: Path) -> None:
    base = "/sys/class/kfd/kfd/topology/nodes"
    ports = tuple(
        root_port(f"0000:{bus:02x}:00.0", below=(gpu(f"0000:{bus + 1:02x}:00.0", ids=(0x1002, 0x740F)),))
        for bus in (0x40, 0x60)
    )
    files = {
        f"{base}/0/properties": "cpu_cores_count 64\nsimd_count 0\nlocation_id 0\n",
        f"{base}/1/properties": kfd_node(0x41 << 8, 416),
        f"{base}/2/properties": kfd_node(0x61 << 8, 416),
        f"{base}/1/io_links/0/properties": "type 11\nnode_from 1\nnode_to 2\nmax_bandwidth 50000\n",
        f"{base}/1/io_links/1/properties": "type 2\nnode_from 1\nnode_to 0\nmax_bandwidth 32000\n",
        f"{base}/2/io_links/0/properties": "type 11\nnode_from 2\nnode_to 1\nmax_bandwidth 50000\n",
    }
    machine = read(build(Box(pci=ports, files=files), tmp_path))
    assert [gpu.compute_units for gpu in machine.gpus] == [104, 104]
    assert [(x.a, x.b, x.kind, x.bytes_per_s) for x in machine.gpu_links] == [(0, 1, "xgmi", 50e9)]
