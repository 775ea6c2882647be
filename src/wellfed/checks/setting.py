"""What kind of machine it is, as far as it shows: a guest, a container, WSL, a laptop, a baseboard, a stranger's."""

from __future__ import annotations

import re

from wellfed.checks.places import cards
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin
from wellfed.message import Listing, Message, message

BASEBOARD_FORMS = ("sxm", "oam", "superchip")
BASEBOARD_GPUS = 4
_CLOUDS = (
    ("amazon ec2", "Amazon EC2"), ("google compute engine", "Google Cloud"), ("alibaba cloud", "Alibaba Cloud"),
    ("openstack", "OpenStack"), ("oraclecloud", "Oracle Cloud"), ("tencent", "Tencent Cloud"),
    ("huawei cloud", "Huawei Cloud"),
)  # fmt: skip
_BASEBOARDS = re.compile(r"\b(HGX|DGX)\b")


@dataclass(frozen=True, slots=True)
class Setting:
    """None = not told. `read` are the kinds of dump behind it; `stranger`: nobody can run a command on it from here;
    `recorded`: a snapshot, taken there."""

    guest: bool | None
    hypervisor: str | None
    container: bool
    wsl: bool
    laptop: bool
    baseboard: bool
    cloud: str | None
    stranger: bool
    recorded: bool
    family: str | None
    read: tuple[str, ...]
    vendor: str | None = None  # of all GPUs, where it is one

    @property
    def words(self) -> tuple[Message, ...]:
        """Where the machine runs, in messages: a virtual machine, a container, a cloud, WSL."""
        phrases = []
        if self.wsl:
            phrases.append(message("setting.wsl", "Windows with WSL"))
        elif self.guest and self.hypervisor and not self.cloud:
            phrases.append(message("setting.guest-of", "a virtual machine ({hypervisor})", hypervisor=self.hypervisor))
        elif self.guest:
            phrases.append(message("setting.guest", "a virtual machine"))
        if self.cloud:
            phrases.append(message("setting.cloud", "in {cloud}", cloud=self.cloud))
        if self.container:
            phrases.append(message("setting.container", "a container"))
        if self.laptop:
            phrases.append(message("setting.laptop", "a laptop"))
        if self.baseboard:
            phrases.append(message("setting.baseboard", "GPUs on a baseboard (HGX, DGX or the like)"))
        if self.family in ("windows", "macos") and not self.wsl:
            phrases.append(message(f"setting.{self.family}", {"windows": "Windows", "macos": "macOS"}[self.family]))
        if self.read:
            phrases.append(message("setting.read", "read from {kinds}", kinds=Listing(self.read)))
        return tuple(phrases)


def setting_of(machine: Machine) -> Setting:
    """What the machine's own facts tell of it."""
    system = machine.os
    names_text = f"{system.hypervisor or ''} {machine.name}".lower()
    modules = sum(gpu.spec is not None and gpu.spec.form in BASEBOARD_FORMS for gpu in machine.gpus)
    switched = any(link.kind == "nvswitch" for link in machine.gpu_links)
    return Setting(
        guest=system.virtualised,
        hypervisor=system.hypervisor,
        container=bool(system.container),
        wsl=bool(system.wsl) or "microsoft-standard-wsl" in (system.kernel or "").lower(),
        laptop=system.chassis == "laptop",
        baseboard=modules >= BASEBOARD_GPUS or switched or bool(_BASEBOARDS.search(machine.name)),
        cloud=system.cloud or next((name for mark, name in _CLOUDS if mark in names_text), None),
        stranger=machine.origin is Origin.DUMP,
        recorded=machine.origin is Origin.SNAPSHOT,
        family=system.family,
        read=machine.kinds_read,
        vendor=vendor_of(machine),
    )


def vendor_of(machine: Machine) -> str | None:
    """The vendor that all GPUs have, as far as it is told; None where they differ or nobody tells."""
    vendors = {gpu.maker for gpu in cards(machine)}
    return next(iter(vendors)) if len(vendors) == 1 else None
