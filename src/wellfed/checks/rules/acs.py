"""`acs`: do switches send peer traffic up to the CPU?"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from wellfed.checks.base import ROOT, SYSTEM, Check, no_gpus, passed, skip, unknown, unread, warn
from wellfed.checks.mend import with_devices
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import all_linked, cards
from wellfed.faults.links import ACS_FOR_GOOD, ACS_OFF
from wellfed.faults.steps import at
from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.pcie import PciDevice, path_up
from wellfed.message import sentence
from wellfed.nouns.finding import Finding, Verdict

WHY = sentence(
    "check.acs.access-control", "access control redirects what one GPU sends to the other up to the CPU and back"
)


def bridges(machine: Machine) -> tuple[PciDevice, ...]:
    """All bridges above GPUs, each once."""
    devices = by_address(machine)
    by_address_above = {b.address: b for gpu in cards(machine) for b in path_up(devices, gpu.pci_address or "")[1:]}
    return tuple(by_address_above.values())


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    gpus = cards(machine)
    if len(gpus) < 2:
        return [no_gpus(machine, 2)]
    if machine.os.virtualised:
        return [skip(sentence("check.acs.virtual-machine-host", "a virtual machine: the host decides"))]
    if machine.origin is Origin.PARTS:
        return [skip(sentence("check.acs.planned-machine", "a planned machine: firmware and kernel decide"))]
    above = bridges(machine)
    if not above:
        return [unread(machine, sentence("check.acs.bridges-above-gpus", "bridges above the GPUs"), "pci")]
    redirecting = [bridge.address for bridge in above if bridge.acs_redirect]
    if redirecting and all_linked(machine, (gpu.index for gpu in gpus)):
        text = "ACS redirects, but the GPUs talk over links of their own"
        return [passed(SYSTEM, sentence("check.acs.acs-redirects-but", text))]
    return [_redirected(redirecting, len(above)) if redirecting else _not_redirected(above)]


def _redirected(redirecting: list[str], bridge_count: int) -> Finding:
    text, count = "redirect on {count} of {count2} bridges", len(redirecting)
    measured = sentence("check.acs.redirect-bridges", text, count=count, count2=bridge_count)
    fix = [at(ACS_OFF, address=address) for address in redirecting]
    return warn(SYSTEM, WHY, measured, sentence("check.acs.off-bare-metal", "off on bare metal"), [*fix, ACS_FOR_GOOD])


def _not_redirected(above: Sequence[PciDevice]) -> Finding:
    """No bridge that tells redirects; unknown where none tells."""
    blind = [bridge.address for bridge in above if bridge.acs_redirect is None]
    if len(blind) == len(above):
        text = "access control of the bridges could not be read; it takes root"
        return unknown(sentence("check.acs.access-control-2", text), fix=[ROOT])
    return passed(
        SYSTEM,
        sentence("check.acs.no-bridge-tells", "no bridge that tells redirects peer traffic"),
        sentence("check.acs.bridges", "{count} bridges", count=len(above) - len(blind)),
    )


def repair(machine: Machine) -> Machine:
    """The machine whose bridges above GPUs redirect no peer traffic."""
    changed = {b.address: replace(b, acs_redirect=False) for b in bridges(machine) if b.acs_redirect}
    return with_devices(machine, changed)


CHECK = Check(
    id="acs",
    code="P2P-01",
    title=sentence("check.acs.title", "PCIe access control does not redirect peer traffic"),
    severity=Verdict.WARN,
    reads=sentence("check.acs.reads", "ACSCtl in the PCI configuration space of the bridges above GPUs (root)"),
    rule=sentence(
        "check.acs.rule", "Several GPUs on bare metal: request or completion redirection on a bridge above them warns."
    ),
    judge=judge,
    traps=(
        sentence("check.acs.trap-passthrough-virtual", "Passthrough to virtual machines needs it: there it must stay."),
        sentence("check.acs.trap-srcvalid-alone", "SrcValid alone (source validation) redirects nothing."),
    ),
    ask=("sudo lspci -nnvv",),
    refs=(
        "https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html#pci-access-control-services-acs",
    ),
    repair=repair,
)
