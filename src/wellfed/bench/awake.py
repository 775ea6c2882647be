"""PCIe links read while copies keep them awake: an idle GPU shows Gen1 whatever its slot can do."""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from wellfed.bench.link import Driver, NoGpu
from wellfed.hardware.pcie import PcieLink
from wellfed.message import sentence
from wellfed.topology.pci import PCI, link_of, normal_address

# All assumed
SECONDS = 0.4  # of copies to each GPU: links train within milliseconds
SIZE = 32 * 2**20  # bytes of one copy
EVERY = 0.02  # seconds between looks at the link

ReadLink = Callable[[str], PcieLink | None]


class AddressedDriver(Driver):
    """A driver that also tells where its GPUs are: its own order need not be the bus's."""

    def address(self, gpu: int) -> str:
        """The PCI address, 0000:01:00.0."""
        device, text = ctypes.c_int(), ctypes.create_string_buffer(32)
        self._call("cuDeviceGet", ctypes.byref(device), gpu)
        self._call("cuDeviceGetPCIBusId", text, len(text), device)
        return normal_address(text.value.decode("ascii", "replace"))


def links_under_load(
    driver: AddressedDriver | None = None, read: ReadLink | None = None, seconds: float = SECONDS
) -> dict[str, PcieLink]:
    """PCI address -> the fastest link seen during short copies to that GPU. Raises NoGpu with the reason."""
    cuda = driver or AddressedDriver()
    if cuda.count() == 0:
        raise NoGpu(
            sentence("awake.cuda-driver-sees", "the CUDA driver sees no GPU"),
            sentence("awake.cuda-visible-devices", "CUDA_VISIBLE_DEVICES may hide it"),
        )
    fastest: dict[str, PcieLink] = {}
    for gpu in range(cuda.count()):
        address = cuda.address(gpu)
        link = _watch(cuda, gpu, partial(read or current_link, address), seconds)
        if link is not None:
            fastest[address] = link
    return fastest


def current_link(address: str) -> PcieLink | None:
    """The link of the function at a PCI address, as sysfs shows it now."""
    folder = Path(PCI) / address
    try:
        speed = (folder / "current_link_speed").read_text(encoding="ascii")
        width = (folder / "current_link_width").read_text(encoding="ascii")
    except (OSError, UnicodeDecodeError):
        return None
    return link_of(speed, width)


def _watch(cuda: Driver, gpu: int, read: Callable[[], PcieLink | None], seconds: float) -> PcieLink | None:
    """The best of many looks while another thread copies. Raises what the copies raise."""
    stop = threading.Event()
    failed: list[Exception] = []
    worker = threading.Thread(target=_copy_until, args=(cuda, gpu, stop, failed), daemon=True)
    worker.start()
    best: PcieLink | None = None
    end = time.monotonic() + seconds
    while time.monotonic() < end and worker.is_alive():
        link = read()
        if link is not None and (best is None or link.bytes_per_s > best.bytes_per_s):
            best = link
        stop.wait(EVERY)
    stop.set()
    worker.join(timeout=10)
    if failed:
        raise failed[0]
    return best


def _copy_until(cuda: Driver, gpu: int, stop: threading.Event, failed: list[Exception]) -> None:
    try:
        with cuda.context(gpu), cuda.buffers(SIZE) as (host, device):
            while not stop.is_set():
                cuda.seconds("cuMemcpyHtoDAsync_v2", device, host, ctypes.c_size_t(SIZE))
    except NoGpu as error:
        failed.append(error)
