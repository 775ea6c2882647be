"""The kernel's log and counters, and AMD's cards, below roots and in lines that we write."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.watching.sample import GpuProcess, KernelXid
from wellfed.watching.samplers.amdgpu import AmdSampler
from wellfed.watching.samplers.kernel import KernelSampler, Log, address

XID = "NVRM: Xid (PCI:0000:65:00): 79, pid='<unknown>', name=<unknown>, GPU has fallen off the bus."


def log(*lines: str, priority: int = 4) -> Log:
    """A log of these lines, each as a record."""
    found = Log()
    for number, line in enumerate(lines):
        found.add(
            f"{priority},{100 + number},{5_000_000 + number},-;{line}\n SUBSYSTEM=pci\n DEVICE=+pci:0000:65:00.0\n"
        )
    return found


@pytest.mark.parametrize(
    ("line", "xid"),
    [
        (XID, KernelXid("0000:65:00.0", 79)),
        ("NVRM: Xid (PCI:0000:0A:00): 31, pid=1234, name=python3, Ch 00000008", KernelXid("0000:0a:00.0", 31)),
        ("NVRM: Xid (PCI:00000001:3B:00.0): 48, Double Bit ECC Error", KernelXid("0001:3b:00.0", 48)),
    ],
)
def test_xids(line: str, xid: KernelXid) -> None:
    assert tuple(log(line).xids) == (xid,)


@pytest.mark.parametrize(
    "line",
    [
        "",
        "NVRM: GPU at PCI:0000:65:00: GPU-12345678",
        "NVRM: Xid (PCI:nowhere): 79",
        "NVRM: Xid (PCI:0000:65:00): many",
        f"python3[77]: {XID}",
        f"evil[9]: segfault at 0 ip 0 sp 0 error 4 in {XID}",
        "pcieport 0000:00:1c.0: AER: enabled with IRQ 122",
        "pcieport 0000:00:1c.0: DPC: enabled with IRQ 122",
        "EDAC MC0: Giving out device to module skx_edac",
        "mce: CPU0: Thermal monitoring enabled (TM1)",
        "amdgpu 0000:03:00.0: amdgpu: GPU reset succeeded, trying to resume",
    ],
)
def test_lines_that_are_no_errors(line: str) -> None:
    found = log(line)
    assert (found.xids, found.pcie, found.resets, found.memory) == ({}, {}, {}, 0)


@pytest.mark.parametrize(
    ("line", "where"),
    [
        ("pcieport 0000:64:01.0: AER: Corrected error received: 0000:65:00.0", "0000:65:00.0"),
        ("pcieport 0000:64:01.0: AER: Correctable error message received from 0000:65:00.0", "0000:65:00.0"),
        ("nvidia 0000:65:00.0: PCIe Bus Error: severity=Corrected, type=Data Link Layer", "0000:65:00.0"),
        ("pcieport 0000:64:01.0: DPC: containment event, status:0x1f01 source:0x0000", "0000:64:01.0"),
    ],
)
def test_pcie_errors_by_the_device_that_had_them(line: str, where: str) -> None:
    assert log(line, line).pcie == {where: 2}


def test_memory_errors_and_resets() -> None:
    found = log(
        "EDAC MC0: 1 CE memory read error on CPU_SrcID#0_MC#0_Chan#0_DIMM#0",
        "EDAC MC1: 1 UE memory scrubbing error on unknown memory",
        "mce: [Hardware Error]: Machine check events logged",
        "{1}[Hardware Error]: event severity: corrected",
        "amdgpu 0000:03:00.0: amdgpu: GPU reset begin!",
        "amdgpu 0000:83:00.0: amdgpu: ring gfx_0.0.0 timeout, signaled seq=7, emitted seq=9",
    )
    assert found.memory == 4
    assert tuple(found.resets) == ("0000:03:00.0", "0000:83:00.0")


def test_what_programs_write_into_the_log_does_not_count() -> None:
    assert not log(XID, priority=12).xids
    assert not Log().xids


@given(st.one_of(st.text(max_size=200), st.builds(lambda a, b: f"4,1,1,-;{a}{XID[:40]}{b}", st.text(), st.text())))
def test_hostile_records_do_not_crash(record: str) -> None:
    found = Log()
    found.add(record)
    assert all(0 <= each.xid < 10_000 for each in found.xids)


@given(st.lists(st.integers(0, 9999), max_size=300))
def test_a_flood_is_bounded(xids: list[int]) -> None:
    found = log(*(f"NVRM: Xid (PCI:0000:65:00): {xid}, x" for xid in xids))
    assert len(found.xids) <= 64


def test_addresses() -> None:
    assert address("0000:65:00") == address("00000000:65:00.0") == "0000:65:00.0"


def put(root: Path, files: dict[str, str]) -> Path:
    """Write files below `root`."""
    for name, content in files.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


BRIDGE, CARD = "sys/devices/pci0000:64/0000:64:01.0", "sys/devices/pci0000:64/0000:64:01.0/0000:65:00.0"
CORRECTABLE = "RxErr {a}\nBadTLP 0\nBadDLLP 1\nRollover {b}\nTimeout {c}\nNonFatalErr 0\nTOTAL_ERR_COR {d}\n"


def machine(root: Path) -> Path:
    """A card behind a bridge, and a noisy Wi-Fi card elsewhere."""
    put(
        root,
        {
            f"{BRIDGE}/class": "0x060400\n",
            f"{BRIDGE}/aer_dev_correctable": CORRECTABLE.format(a=1, b=2, c=3, d=7),
            f"{BRIDGE}/aer_dev_nonfatal": "Undefined 0\nTOTAL_ERR_NONFATAL 4\n",
            f"{BRIDGE}/aer_dev_fatal": "TOTAL_ERR_FATAL 0\n",
            f"{CARD}/class": "0x030200\n",
            f"{CARD}/aer_dev_correctable": "damaged",
            "sys/devices/pci0000:00/0000:02:00.0/class": "0x028000\n",
            "sys/devices/pci0000:00/0000:02:00.0/aer_dev_correctable": CORRECTABLE.format(a=9, b=9, c=9, d=99),
            "sys/devices/system/edac/mc/mc0/ce_count": "5\n",
            "sys/devices/system/edac/mc/mc0/ue_count": "0\n",
            "sys/devices/system/edac/mc/mc1/ce_count": "6\n",
            "sys/devices/system/edac/mc/mc1/ue_count": "1\n",
        },
    )
    links = root / "sys/bus/pci/devices"
    links.mkdir(parents=True)
    for folder in (BRIDGE, CARD, "sys/devices/pci0000:00/0000:02:00.0"):
        (links / Path(folder).name).symlink_to(root / folder)
    return root


def test_counters_of_the_way_to_the_card_and_of_memory(tmp_path: Path) -> None:
    sampler = KernelSampler(str(machine(tmp_path)))
    found = sampler.sample()
    assert not found.log_readable
    assert "kmsg" in sampler.unread
    assert found.xids is None
    devices = {each.address: each for each in found.pcie or ()}
    assert set(devices) == {"0000:64:01.0", "0000:65:00.0"}
    bridge = devices["0000:64:01.0"]
    assert (bridge.correctable, bridge.replays, bridge.nonfatal, bridge.fatal) == (7, 5, 4, 0)
    assert (devices["0000:65:00.0"].correctable, bridge.logged) == (None, None)
    assert (found.memory_corrected, found.memory_uncorrected) == (11, 1)


def test_the_log_is_followed_from_where_it_is(tmp_path: Path) -> None:
    machine(tmp_path)
    (tmp_path / "dev").mkdir()
    pipe = tmp_path / "dev/kmsg"
    os.mkfifo(pipe)
    sampler = KernelSampler(str(tmp_path))
    assert not sampler.unread
    writer = os.open(pipe, os.O_WRONLY)
    try:
        assert sampler.sample().xids == ()
        os.write(writer, f"4,1,1,-;{XID}\n".encode())
        assert sampler.sample().xids == (KernelXid("0000:65:00.0", 79),)
        os.write(writer, b"4,2,2,-;nvidia 0000:65:00.0: PCIe Bus Error: severity=Corrected, type=Physical Layer\n")
        os.write(writer, b"4,\xff\xfe;\x00broken")
        found = {each.address: each.logged for each in sampler.sample().pcie or ()}
        assert found == {"0000:64:01.0": 0, "0000:65:00.0": 1}
    finally:
        os.close(writer)
        sampler.close()
    sampler.close()


def test_a_machine_that_tells_nothing(tmp_path: Path) -> None:
    found = KernelSampler(str(tmp_path)).sample()
    assert (found.pcie, found.memory_corrected, found.log_memory) == (None, None, None)


def amd(root: Path, card: int = 0, bus: int = 3, **more: str) -> None:
    """A card of AMD's at 0000:<bus>:00.0."""
    device = f"sys/class/drm/card{card}/device"
    files = {
        "vendor": "0x1002\n",
        "uevent": f"DRIVER=amdgpu\nPCI_CLASS=30000\nPCI_SLOT_NAME=0000:{bus:02x}:00.0\n",
        "gpu_busy_percent": "87\n",
        "mem_busy_percent": "40\n",
        "mem_info_vram_used": "8589934592\n",
        "mem_info_vram_total": "25753026560\n",
        "pp_dpm_sclk": "0: 500Mhz\n1: 1450Mhz *\n2: 2482Mhz\n",
        "current_link_speed": "16.0 GT/s PCIe\n",
        "current_link_width": "8\n",
        "max_link_speed": "16.0 GT/s PCIe\n",
        "max_link_width": "16\n",
        "pcie_replay_count": "3\n",
        "numa_node": "-1\n",
        "ras/umc_err_count": "ue: 2\nce: 9\n",
        "hwmon/hwmon4/power1_average": "213000000\n",
        "hwmon/hwmon4/power1_cap": "327000000\n",
        "hwmon/hwmon4/temp1_input": "61000\n",
        "hwmon/hwmon4/temp2_input": "74000\n",
        **more,
    }
    put(root, {f"{device}/{name}": content for name, content in files.items()})


def test_an_amd_card(tmp_path: Path) -> None:
    amd(tmp_path)
    sampler = AmdSampler(str(tmp_path), first=2)
    assert len(sampler) == 1
    (found,) = sampler.sample()
    assert (found.index, found.address) == (2, "0000:03:00.0")
    assert (found.busy, found.memory_busy) == (0.87, 0.40)
    assert (found.memory_used_bytes, found.memory_total_bytes) == (2**33, 25753026560)
    assert (found.clock_hz, found.clock_max_hz) == (1.45e9, 2.482e9)
    assert (found.power_w, found.power_limit_w, found.temperature_c) == (213.0, 327.0, 74.0)
    assert (found.link_generation, found.link_width, found.link_generation_max, found.link_width_max) == (4, 8, 4, 16)
    assert (found.replays, found.ecc_uncorrected, found.node) == (3, 2, None)
    assert (found.reasons, found.processes, found.pcie_read_bytes_per_s) == (None, None, None)


def test_newer_sensors_of_an_amd_card(tmp_path: Path) -> None:
    amd(
        tmp_path, **{"hwmon/hwmon4/freq1_input": "2100000000\n", "numa_node": "1\n", "max_link_speed": "32.0 GT/s PCIe"}
    )
    folder = tmp_path / "sys/class/drm/card0/device/hwmon/hwmon4"
    (folder / "power1_average").rename(folder / "power1_input")
    (folder / "temp2_input").unlink()
    (found,) = AmdSampler(str(tmp_path)).sample()
    assert (found.clock_hz, found.node, found.link_generation_max) == (2.1e9, 1, 5)
    assert (found.power_w, found.temperature_c) == (213.0, 61.0)


def test_processes_of_the_compute_driver(tmp_path: Path) -> None:
    amd(tmp_path)
    amd(tmp_path, card=1, bus=0x83)
    put(
        tmp_path,
        {
            "sys/class/kfd/kfd/topology/nodes/0/gpu_id": "0\n",
            "sys/class/kfd/kfd/topology/nodes/0/properties": "cpu_cores_count 64\nlocation_id 0\ndomain 0\n",
            "sys/class/kfd/kfd/topology/nodes/1/gpu_id": "4711\n",
            "sys/class/kfd/kfd/topology/nodes/1/properties": "simd_count 192\nlocation_id 768\ndomain 0\n",
            "sys/class/kfd/kfd/topology/nodes/2/gpu_id": "815\n",
            "sys/class/kfd/kfd/topology/nodes/2/properties": f"location_id {0x83 << 8}\ndomain 0\n",
            "sys/class/kfd/kfd/proc/900/vram_4711": "123456\n",
            "sys/class/kfd/kfd/proc/900/pasid": "32768\n",
        },
    )
    first, second = AmdSampler(str(tmp_path)).sample()
    assert first.processes == (GpuProcess(900, 123456),)
    assert second.processes == ()


@pytest.mark.parametrize(
    ("file", "content"),
    [
        ("gpu_busy_percent", "busy"),
        ("mem_info_vram_total", ""),
        ("pp_dpm_sclk", "S: 19Mhz *\n0: 500Mhz\n1: nonsense\n"),
        ("current_link_speed", "Unknown"),
        ("current_link_width", "-1"),
        ("ras/umc_err_count", "ce: 1"),
    ],
)
def test_what_an_amd_card_does_not_tell_is_none(tmp_path: Path, file: str, content: str) -> None:
    amd(tmp_path, **{file: content})
    (found,) = AmdSampler(str(tmp_path)).sample()
    fields = {
        "gpu_busy_percent": found.busy,
        "mem_info_vram_total": found.memory_total_bytes,
        "pp_dpm_sclk": None if found.clock_hz == 19e6 else found.clock_hz,
        "current_link_speed": found.link_generation,
        "current_link_width": found.link_width,
        "ras/umc_err_count": found.ecc_uncorrected,
    }
    assert fields[file] is None


def test_other_cards_are_left_alone(tmp_path: Path) -> None:
    amd(tmp_path, vendor="0x10de\n")
    put(tmp_path, {"sys/class/drm/card0-DP-1/status": "connected\n", "sys/class/drm/renderD128/x": ""})
    assert AmdSampler(str(tmp_path)).sample() == ()
    assert len(AmdSampler(str(tmp_path / "nowhere"))) == 0


@given(st.text(max_size=60), st.text(max_size=60), st.text(max_size=60))
def test_hostile_files_of_a_card_do_not_crash(tmp_path_factory: pytest.TempPathFactory, a: str, b: str, c: str) -> None:
    root = tmp_path_factory.mktemp("amd")
    texts = {name: text.encode("utf-8", "replace").decode() for name, text in (("a", a), ("b", b), ("c", c))}
    amd(root, gpu_busy_percent=texts["a"], pp_dpm_sclk=texts["b"], current_link_speed=texts["c"], numa_node=texts["a"])
    (found,) = AmdSampler(str(root)).sample()
    assert found.memory_total_bytes == 25753026560
