"""Readers of what people paste: one file per format, listed here in the order their facts take precedence."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from wellfed.errors import WellfedError
from wellfed.hardware.machine import Machine, Origin
from wellfed.topology.imports import (
    cmdline,
    dmesg,
    dmidecode,
    lscpu,
    lspci,
    lspci_tree,
    lstopo_console,
    lstopo_xml,
    nccl_xml,
    numactl,
    nvidia_smi_csv,
    nvidia_smi_text,
    nvidia_smi_xml,
    nvlink_status,
    sysfs_lines,
    topo_matrix,
    udev,
)


@dataclass(frozen=True, slots=True)
class Format:
    """A kind of dump: how it is recognised and how it is read."""

    name: str
    recognises: Callable[[str], bool]
    parse: Callable[[str], Machine]


FORMATS: tuple[Format, ...] = (
    Format("nvidia-smi -q -x", nvidia_smi_xml.recognises, nvidia_smi_xml.parse),
    Format("nvidia-smi -q", nvidia_smi_text.recognises, nvidia_smi_text.parse),
    Format("nvidia-smi --query-gpu", nvidia_smi_csv.recognises, nvidia_smi_csv.parse),
    Format("lscpu", lscpu.recognises, lscpu.parse),
    Format("numactl -H", numactl.recognises, numactl.parse),
    Format("nvidia-smi topo -m", topo_matrix.recognises, topo_matrix.parse),
    Format("nvidia-smi nvlink --status", nvlink_status.recognises, nvlink_status.parse),
    Format("lspci", lspci.recognises, lspci.parse),
    Format("lspci -t", lspci_tree.recognises, lspci_tree.parse),
    Format("udevadm info --export-db", udev.recognises, udev.parse),
    Format("lstopo XML", lstopo_xml.recognises, lstopo_xml.parse),
    Format("lstopo console", lstopo_console.recognises, lstopo_console.parse),
    Format("NCCL topology XML", nccl_xml.recognises, nccl_xml.parse),
    Format("dmidecode", dmidecode.recognises, dmidecode.parse),
    Format("dmesg", dmesg.recognises, dmesg.parse),
    Format("/proc/cmdline", cmdline.recognises, cmdline.parse),
    Format("sysfs excerpt", sysfs_lines.recognises, sysfs_lines.parse),
)
NOT_KNOWN, EMPTY = "no known kind of dump", "it is empty"
_ANSI = re.compile(r"\x1b\[[0-9;]*[A-Za-z]")


def read_dumps(dumps: Mapping[str, str]) -> Iterator[Machine]:
    """The parts all dumps tell, in the order of `FORMATS`; what no format knows is named under `unknown`."""
    found: list[tuple[int, Machine]] = []
    for name, text in dumps.items():
        parts = list(_parts(name, text))
        found += parts
        if not parts and text.strip():
            found.append((len(FORMATS), Machine("", Origin.DUMP, unknown={f"dump {name}": NOT_KNOWN})))
        elif not parts:
            found.append((len(FORMATS), Machine("", Origin.DUMP, unknown={f"dump {name}": EMPTY})))
    for _, part in sorted(found, key=lambda pair: pair[0]):
        yield part


def _parts(name: str, text: str) -> Iterator[tuple[int, Machine]]:
    """Every format a text holds: once for the whole text, or for the first fenced block of its kind."""
    blocks = _fenced(text) or [text]
    for order, kind in enumerate(FORMATS):
        for block in blocks:
            plain = _ANSI.sub("", block).replace("\r", "")
            if kind.recognises(plain):
                yield order, _parsed(kind, name, plain)
                break


def _parsed(kind: Format, name: str, text: str) -> Machine:
    try:
        return kind.parse(text)
    except WellfedError as error:
        return Machine("", Origin.DUMP, unknown={f"dump {name}": f"{kind.name}: {error.message}"})


def _fenced(text: str) -> list[str]:
    """Code blocks of a markdown text; their common indentation removed."""
    return [match[1] for match in re.finditer(r"^[ \t]*```[^\n]*\n(.*?)^[ \t]*```", text, re.S | re.M)]
