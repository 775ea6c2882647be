"""Links read while copies keep them awake, on a driver of ours."""

from __future__ import annotations

import ctypes

import pytest
from check_machines import GEN1_X16, GEN4_X16, chain, healthy, with_all_gpus, with_link

from wellfed.bench.awake import AddressedDriver, current_link, links_under_load
from wellfed.bench.link import NoGpu
from wellfed.checks.mend import awakened
from wellfed.checks.registry import check
from wellfed.checks.run import run_check
from wellfed.hardware.pcie import PcieLink


class Library:
    """libcuda with two GPUs, counting copies; `broken` names a call that fails."""

    def __init__(self, gpus: int = 2, broken: str = "") -> None:
        self.gpus, self.broken, self.copies = gpus, broken, 0

    def __getattr__(self, name: str):
        def call(*arguments):
            if name == self.broken:
                return 999
            if name == "cuDeviceGetCount":
                arguments[0]._obj.value = self.gpus
            if name == "cuDeviceGet":
                arguments[0]._obj.value = arguments[1]
            if name == "cuDeviceGetPCIBusId":
                device = arguments[2].value if isinstance(arguments[2], ctypes.c_int) else arguments[2]
                arguments[0].value = f"00000000:{0x20 - 0x10 * device:02X}:00.0".encode()  # not in the bus's order
            if name == "cuMemcpyHtoDAsync_v2":
                self.copies += 1
            return 0

        return call


def test_links_are_those_seen_during_copies():
    library = Library()
    driver = AddressedDriver(library)

    def read(address: str) -> PcieLink:
        return GEN4_X16 if library.copies > 3 else GEN1_X16

    assert links_under_load(driver, read, seconds=0.2) == {"0000:20:00.0": GEN4_X16, "0000:10:00.0": GEN4_X16}
    assert library.copies > 3


def test_what_cannot_be_done_has_a_reason():
    with pytest.raises(NoGpu, match="sees no GPU"):
        links_under_load(AddressedDriver(Library(gpus=0)))
    with pytest.raises(NoGpu, match="cuMemHostAlloc"):
        links_under_load(AddressedDriver(Library(broken="cuMemHostAlloc")), lambda address: GEN1_X16, seconds=0.2)
    assert current_link("ffff:ff:1f.7") is None


def test_a_woken_link_is_judged():
    idle = chain(with_link(0, GEN1_X16), with_all_gpus(performance_state=8))(healthy())
    speed = check("pcie-speed")
    assert run_check(idle, speed)[0].verdict == "unknown"
    assert run_check(awakened(idle, {"0000:10:00.0": GEN4_X16}), speed)[0].verdict == "pass"
    slow = awakened(idle, {"0000:10:00.0": PcieLink(3, 16)})
    assert run_check(slow, speed)[0].verdict == "fail"
    assert slow.gpus[0].link == PcieLink(4, 16) or slow.gpus[0].link == PcieLink(3, 16)
