"""How long a plan takes to start, from each place its weights may lie."""

from __future__ import annotations

from wellfed.message import Amount, Message, message
from wellfed.nouns.estimate import Source, Start
from wellfed.nouns.plan import Plan
from wellfed.perf.load import starts

SOURCE_WORDS = {
    Source.PAGE_CACHE: message("source.page-cache", "the page cache"),
    Source.NVME: message("source.nvme", "an NVMe disk"),
    Source.SSD: message("source.ssd", "a SATA SSD"),
    Source.HDD: message("source.hdd", "a hard disk"),
    Source.USB: message("source.usb", "a USB disk"),
    Source.NETWORK: message("source.network", "a file system at 10 Gb/s"),
}


def starts_of(plan: Plan) -> tuple[Start, ...]:
    """The page cache first, then the disk, then the network; empty where it cannot be told."""
    return starts(plan.machine, plan.model, plan.layout, plan.estimate.memory)


def start_words(plan: Plan) -> Message | None:
    """Seconds until it answers, from memory and from disk."""
    rows = starts_of(plan)
    if len(rows) < 2:
        return None
    warm, cold = rows[0], rows[1]
    if cold.ready_s.value < 1.02 * warm.ready_s.value:
        return message(
            "plan.start-either", "ready after {warm} ({low} to {high}) from the page cache or {disk}",
            warm=Amount(warm.ready_s.value, "s"), low=Amount(warm.ready_s.low, "s"),
            high=Amount(warm.ready_s.high, "s"), disk=SOURCE_WORDS[cold.source],
        )  # fmt: skip
    return message(
        "plan.start", "ready after {warm} ({low} to {high}) from the page cache, {cold} from {disk}",
        warm=Amount(warm.ready_s.value, "s"), low=Amount(warm.ready_s.low, "s"), high=Amount(warm.ready_s.high, "s"),
        cold=Amount(cold.ready_s.value, "s"), disk=SOURCE_WORDS[cold.source],
    )  # fmt: skip
