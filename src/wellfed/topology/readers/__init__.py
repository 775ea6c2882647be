"""Readers of what people paste: one file per kind, listed here in the order in which their facts take precedence."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace

from wellfed.errors import WellfedError
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.topology.merge import overlay
from wellfed.topology.readers import (
    amd_smi,
    cmdline,
    cpuinfo,
    dmesg,
    dmidecode,
    engine_log,
    environment,
    fetch,
    gpustat,
    gpuz,
    hwinfo,
    hy_smi,
    inxi,
    lscpu,
    lshw,
    lspci,
    lspci_machine,
    lspci_tree,
    lstopo_console,
    lstopo_xml,
    macos,
    meminfo,
    mthreads_gmi,
    mx_smi,
    nccl_log,
    nccl_xml,
    npu_smi,
    numactl,
    nvidia_smi_csv,
    nvidia_smi_text,
    nvidia_smi_xml,
    nvlink_status,
    p2p_matrix,
    rocm_smi,
    rocminfo,
    smi_list,
    smi_table,
    storage,
    sysfs_lines,
    topo_matrix,
    udev,
    uname,
    windows,
    xpu_smi,
)
from wellfed.topology.readers.pasted import pieces
from wellfed.topology.readers.reader import Reader, partial_machine

READERS: tuple[Reader, ...] = (
    nvidia_smi_xml.READER,
    nvidia_smi_text.READER,
    nvidia_smi_csv.READER,
    smi_table.READER,
    smi_list.READER,
    amd_smi.READER,
    rocm_smi.READER,
    xpu_smi.READER,
    npu_smi.READER,
    hy_smi.READER,
    mthreads_gmi.READER,
    mx_smi.READER,
    gpuz.READER,
    lscpu.READER,
    cpuinfo.READER,
    numactl.READER,
    meminfo.MEMINFO,
    meminfo.FREE,
    topo_matrix.READER,
    p2p_matrix.READER,
    nvlink_status.READER,
    nccl_log.READER,
    lspci.READER,
    lspci_machine.READER,
    lspci_tree.READER,
    udev.READER,
    lstopo_xml.READER,
    lstopo_console.READER,
    nccl_xml.READER,
    dmidecode.READER,
    dmesg.READER,
    cmdline.READER,
    sysfs_lines.READER,
    environment.READER,
    inxi.READER,
    lshw.READER,
    hwinfo.READER,
    macos.READER,
    windows.READER,
    storage.READER,
    gpustat.READER,
    rocminfo.READER,
    engine_log.READER,
    fetch.READER,
    uname.READER,
)
NOT_UNDERSTOOD, EMPTY = (
    sentence("--init--.no-known-kind", "no known kind of dump"),
    sentence("--init--.empty", "it is empty"),
)


def read_dumps(dumps: Mapping[str, str]) -> Iterator[Machine]:
    """The parts all dumps tell, in the order of `READERS`; what no reader knows is named under `unknown`."""
    parts: list[tuple[int, Machine]] = []
    blocks_read: set[str] = set()
    understood: set[str] = set()
    for name, text in dumps.items():
        every = dict.fromkeys(pieces(text))
        new = [block for block in every if block not in blocks_read]  # what another dump said already tells nothing new
        read = list(_parts(name, new))
        blocks_read.update(new)
        understood.update(new if read else ())
        parts += read
        if not read and understood.isdisjoint(every):
            why = NOT_UNDERSTOOD if text.strip() else EMPTY
            parts.append((len(READERS), partial_machine(unknown={f"dump {name}": why})))
    for _, part in sorted(parts, key=lambda pair: pair[0]):
        yield part


def _parts(name: str, blocks: list[str]) -> Iterator[tuple[int, Machine]]:
    """What each reader makes of the pieces of its kind: of the first that it can read, or of all that add up."""
    for order, reader in enumerate(READERS):
        for block in blocks:
            if not reader.reads(block):
                continue
            part, readable = _parsed(reader, name, block)
            yield order, part
            if readable and not reader.adds_up:
                break


def _parsed(reader: Reader, name: str, text: str) -> tuple[Machine, bool]:
    """The part, and whether it could be read; a part that could not be names itself and the reason."""
    try:
        part = reader.parse(text)
        return replace(part, gpus=_once(part.gpus), kinds_read=(reader.title,)), True
    except WellfedError as error:
        return partial_machine(unknown={f"dump {name}: {reader.title}": error.message}), False
    except (ValueError, LookupError, OverflowError, RecursionError, TypeError, AttributeError) as error:
        return partial_machine(
            unknown={
                f"dump {name}: {reader.title}": sentence(
                    "--init--.readable", "not readable ({name})", name=type(error).__name__
                )
            }
        ), False


def _once(gpus: tuple[Gpu, ...]) -> tuple[Gpu, ...]:
    """Each card once: a tool's output may stand twice in one piece, before and after something, say."""
    cards: dict[tuple[object, ...], Gpu] = {}
    for gpu in gpus:
        key = (gpu.pci_address,) if gpu.pci_address else (gpu.index, gpu.name)
        cards[key] = overlay(cards[key], gpu) if key in cards else gpu
    return tuple(cards.values())
