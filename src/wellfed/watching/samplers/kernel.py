"""What the kernel tells of hardware errors: its log, and counters of PCIe links and memory controllers.

Sources: Documentation/ABI/testing/dev-kmsg, Documentation/ABI/testing/sysfs-bus-pci-devices-aer_stats,
Documentation/admin-guide/ras/main.rst (EDAC), NVIDIA's "XID Errors". Of PCIe, only devices on the way to a GPU count:
many a Wi-Fi card reports errors all day.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from wellfed.partial_sums import total_of_known
from wellfed.watching.sample import Kernel, KernelXid, PcieErrors
from wellfed.watching.samplers.files import at, names, number, table, text

T = TypeVar("T")

_EVERY = 5  # samples between looks at /sys
_MOST_RECORDS = 1000  # a sample
_MOST_KEPT = 64
_KEPT_BYTES = 8192  # the kernel's records are no longer

_ADDRESS = r"[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}(?:\.[0-7])?"
_XID = re.compile(rf"NVRM: Xid \(PCI:({_ADDRESS})\): (\d{{1,4}})\b")
_PCIE = re.compile(rf"\S+ ({_ADDRESS}): (?:AER: |PCIe Bus Error: |DPC: containment)")
_FROM = re.compile(rf"(?:from|received:) ({_ADDRESS})")
_RESET = re.compile(rf"amdgpu ({_ADDRESS}): (?:amdgpu: )?(?:GPU reset begin|ring \S+ timeout)")
_MEMORY = re.compile(
    r"EDAC \S+: \d+ [CU]E |(?:mce: )?\[Hardware Error\]: Machine check|\{\d+\}\[Hardware Error\]: event severity"
)
_PCI = re.compile(r"[0-9a-f]{4,8}:[0-9a-f]{2}:[0-9a-f]{2}\.[0-7]")
_GPU_CLASSES = ("0x03", "0x12")  # display controllers, processing accelerators


@dataclass(slots=True)
class Log:
    """Errors in the lines seen so far; PCIe errors of any device."""

    xids: dict[KernelXid, None] = field(default_factory=dict)
    pcie: dict[str, int] = field(default_factory=dict)
    resets: dict[str, None] = field(default_factory=dict)
    memory: int = 0

    def add(self, record: str) -> None:
        """One record of /dev/kmsg: `priority,sequence,time,flags;line`, then lines with a blank before them.

        Only the kernel's own count (facility 0): programs may write there too.
        """
        head, _, body = record.partition(";")
        priority = head.partition(",")[0]
        if not (priority.isascii() and priority.isdecimal()) or int(priority[:6]) >= 8:
            return
        line = body.partition("\n")[0]
        if match := _XID.match(line):
            _keep(self.xids, KernelXid(address(match[1]), int(match[2])))
        elif match := _RESET.match(line):
            _keep(self.resets, address(match[1]))
        elif (match := _PCIE.match(line)) and ("rror" in line or "DPC" in line):
            source = _FROM.search(line)
            where = address(source[1] if source else match[1])
            if where in self.pcie or len(self.pcie) < _MOST_KEPT:
                self.pcie[where] = self.pcie.get(where, 0) + 1
        elif _MEMORY.match(line):
            self.memory += 1


def _keep(records: dict[T, None], new: T) -> None:
    if len(records) < _MOST_KEPT:
        records[new] = None


def address(bdf: str) -> str:
    """As /sys writes it: four digits of domain, and a function."""
    domain, _, function = bdf.lower().partition(":")
    return f"{domain[-4:]}:{function}" + ("" if "." in function else ".0")


class KernelSampler:
    """Reads below `root`. `unread` says why the log cannot be read, if so."""

    def __init__(self, root: str = "/") -> None:
        self._root, self._count, self._log = root, 0, Log()
        self._handle, self.unread = _opened(at(root, "dev/kmsg"))
        self._devices = _ways_to_gpus(root)
        self._pcie: tuple[PcieErrors, ...] = ()
        self._memory: tuple[int | None, int | None] = (None, None)

    def sample(self) -> Kernel:
        """What the kernel's counters and log tell now."""
        for record in self._records():
            self._log.add(record)
        if self._count % _EVERY == 0:
            self._pcie = tuple(map(_pcie_errors, self._devices.items()))
            self._memory = self._edac("ce_count"), self._edac("ue_count")
        self._count += 1
        log, readable = self._log, self._handle is not None
        pcie = (replace(errors, logged=log.pcie.get(errors.address, 0) if readable else None) for errors in self._pcie)
        return Kernel(
            log_readable=readable,
            xids=tuple(log.xids) if readable else None,
            log_gpu_resets=tuple(log.resets) if readable else None,
            log_memory=log.memory if readable else None,
            pcie=tuple(pcie) or None,
            memory_corrected=self._memory[0],
            memory_uncorrected=self._memory[1],
        )

    def close(self) -> None:
        """Close the kernel's log."""
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def _records(self) -> Iterable[str]:
        """Records since the last look, waiting for none. Those that were overwritten meanwhile are lost."""
        for _ in range(_MOST_RECORDS if self._handle is not None else 0):
            try:
                part = os.read(self._handle or 0, _KEPT_BYTES)
            except BrokenPipeError:
                continue
            except OSError:
                return
            if not part:
                return
            yield part.decode("utf-8", "replace")

    def _edac(self, counter: str) -> int | None:
        base = at(self._root, "sys/devices/system/edac/mc")
        values = [number((text(f"{base}/{controller}/{counter}") or "").strip() or None) for controller in names(base)]
        return total_of_known(values)


def _opened(path: str) -> tuple[int | None, str]:
    """The log's handle behind its last record, and why there is none."""
    try:
        handle = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError as error:
        return None, f"{path}: {error.strerror}"
    with contextlib.suppress(OSError):
        os.lseek(handle, 0, os.SEEK_END)
    try:
        os.read(handle, _KEPT_BYTES)
    except BlockingIOError:
        pass
    except OSError as error:  # opening may be allowed, and reading not (dmesg_restrict)
        os.close(handle)
        return None, f"{path}: {error.strerror}"
    return handle, ""


def _ways_to_gpus(root: str) -> dict[str, str]:
    """Folders of GPUs and of all bridges above them, by address."""
    base = at(root, "sys/bus/pci/devices")
    folder_of: dict[str, str] = {}
    for name in sorted(names(base)):
        if (text(f"{base}/{name}/class") or "").startswith(_GPU_CLASSES):
            folder = Path(f"{base}/{name}").resolve()
            while _PCI.fullmatch(folder.name):
                folder_of[folder.name] = str(folder)
                folder = folder.parent
    return folder_of


def _pcie_errors(device: tuple[str, str]) -> PcieErrors:
    name, folder = device
    correctable = table(text(f"{folder}/aer_dev_correctable"))
    replays = [
        correctable[name_of_counter] for name_of_counter in ("Rollover", "Timeout") if name_of_counter in correctable
    ]
    return PcieErrors(
        address=name,
        correctable=correctable.get("TOTAL_ERR_COR"),
        replays=sum(replays) if replays else None,
        nonfatal=table(text(f"{folder}/aer_dev_nonfatal")).get("TOTAL_ERR_NONFATAL"),
        fatal=table(text(f"{folder}/aer_dev_fatal")).get("TOTAL_ERR_FATAL"),
    )
