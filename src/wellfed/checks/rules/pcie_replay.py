"""`pcie-replay`: do the links repeat packets?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fail, no_gpus, passed, unread, warn
from wellfed.checks.mend import with_devices, with_gpus
from wellfed.checks.pcie_path import by_address
from wellfed.checks.places import name
from wellfed.hardware.machine import Gpu, Machine
from wellfed.hardware.pcie import PciDevice, path_up
from wellfed.message import Listing, message, sentence
from wellfed.nouns.finding import Finding, Verdict

MANY = 8  # DCGM warns at 8 replays a minute; a sound link has none for days


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding per GPU, over its whole path."""
    ports = _ports_of_nobody(machine)
    if not machine.gpus:
        return ports or [no_gpus(machine)]
    return [*(_judge_gpu(machine, gpu) for gpu in machine.gpus), *ports]


def _ports_of_nobody(machine: Machine) -> list[Finding]:
    """Ports of which a log tells errors, and which no GPU is known to hang on."""
    devices = by_address(machine)
    above = {device.address for gpu in machine.gpus for device in path_up(devices, gpu.pci_address or "")}
    return [
        _logged(device.address, (device,))
        for device in machine.pci
        if device.errors_logged and device.address not in above
    ]


_KINDS = {
    "correctable": sentence("check.pcie-replay.correctable", "correctable"),
    "nonfatal": sentence("check.pcie-replay.nonfatal", "nonfatal"),
    "fatal": sentence("check.pcie-replay.fatal", "fatal"),
}


def _logged(subject: str, path: tuple[PciDevice, ...]) -> Finding:
    """What a kernel log says of these links: it repeats nothing that is not news, so once is enough."""
    noisy = [device for device in path if device.errors_logged]
    places = [device.address for device in noisy]
    shown_places = Listing(tuple(places))
    worst = max((device.errors_logged or "" for device in noisy), key=("correctable", "nonfatal", "fatal").index)
    measured = sentence("check.pcie-replay.errors-log", "{worst} errors in the log", worst=_KINDS.get(worst, worst))
    if worst == "fatal":
        text = message(
            "pcie-replay.log-fatal",
            "the kernel log has fatal errors at {places}: a link that loses data",
            places=shown_places,
        )
        return fail(subject, text, measured, "none", places=places)
    text = message(
        "pcie-replay.log",
        "the kernel log has {kind} errors at {places}: the link repeats packets",
        kind=_KINDS.get(worst, worst),
        places=shown_places,
    )
    return warn(subject, text, measured, "none", places=places)


def _judge_gpu(machine: Machine, gpu: Gpu) -> Finding:
    path = path_up(by_address(machine), gpu.pci_address or "")
    if any(device.errors_logged for device in path):
        return _logged(name(gpu), path)
    fatal = sum(device.aer_fatal or 0 for device in path)
    if fatal:
        text = sentence(
            "check.pcie-replay.fatal-errors-way", "fatal errors on the way to the GPU: a link that loses data"
        )
        return fail(name(gpu), text, sentence("check.pcie-replay.errors", "{fatal} errors", fatal=fatal), "0")
    counts = [gpu.replays, *(count for device in path for count in _counts(device))]
    told_counts = [count for count in counts if count is not None]
    if not told_counts:
        return unread(
            machine,
            sentence("check.pcie-replay.replay-counters", "replay counters"),
            f"{name(gpu)}.replays",
            "pci",
            subject=name(gpu),
        )
    worst = max(told_counts)
    if worst >= MANY:
        text = sentence(
            "check.pcie-replay.packets-damaged-sent", "packets were damaged and sent again since the driver loaded"
        )
        return warn(
            name(gpu),
            text,
            sentence("check.pcie-replay.replays", "{worst} replays", worst=worst),
            sentence("check.pcie-replay.fewer", "fewer than {many}", many=MANY),
        )
    return passed(
        name(gpu),
        sentence("check.pcie-replay.no-damaged-packets", "no damaged packets to speak of"),
        sentence("check.pcie-replay.replays", "{worst} replays", worst=worst),
    )


def _counts(device: PciDevice) -> tuple[int | None, ...]:
    return device.replays, device.aer_correctable, device.aer_nonfatal


def repair(machine: Machine) -> Machine:
    """The machine with all replay counters at zero."""
    devices = by_address(machine)
    touched = {device.address for gpu in machine.gpus for device in path_up(devices, gpu.pci_address or "")}
    clean = {
        address: replace(
            devices[address],
            replays=_zero(devices[address].replays),
            aer_correctable=_zero(devices[address].aer_correctable),
            aer_nonfatal=_zero(devices[address].aer_nonfatal),
            aer_fatal=_zero(devices[address].aer_fatal),
            errors_logged=None,
        )
        for address in touched | {device.address for device in machine.pci if device.errors_logged}
    }
    return with_gpus(with_devices(machine, clean), (replace(gpu, replays=_zero(gpu.replays)) for gpu in machine.gpus))


def _zero(count: int | None) -> int | None:
    return None if count is None else 0


CHECK = Check(
    id="pcie-replay",
    code="PCI-05",
    title=sentence("check.pcie-replay.title", "PCIe links do not repeat packets"),
    severity=Verdict.FAIL,
    reads=sentence(
        "check.pcie-replay.reads",
        "NVML's replay counter, pcie_replay_count, aer_dev_correctable/nonfatal/fatal of every "
        "hop; AER lines of a kernel log",
    ),
    rule=sentence(
        "check.pcie-replay.rule",
        "{many} or more replays, corrected or non-fatal errors counted, or any in a kernel log: "
        "warn. Any fatal error: fail.",
        many=MANY,
    ),
    judge=judge,
    traps=(
        sentence(
            "check.pcie-replay.trap-handful-replays",
            "A handful of replays at power-up is normal, and so are a few non-fatal errors when the bus is enumerated.",
        ),
    ),
    ask=(
        "nvidia-smi -q",
        "sudo dmesg | grep -i aer",
    ),
    refs=("https://docs.kernel.org/PCI/pcieaer-howto.html", "DCGM PCIe watch: 8 replays per minute"),
    repair=repair,
)
