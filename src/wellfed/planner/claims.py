"""The usual advice held against the catalogue and the estimates: what is right, what is wrong, and the right value."""

from __future__ import annotations

from collections.abc import Callable

from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.planner.claim_figures import (
    SEVEN,
    SEVENTY,
    THIRTY_TWO,
    Judgement,
    bandwidth_floor,
    bandwidth_of_channels,
    card_generation,
    clock,
    core_count,
    feeds,
    fits,
    has_bandwidth,
    memory_channels,
    nvlink,
    nvlink_rate,
    official_speed,
    own_gpus,
    pcie_generation,
    pooled,
    quad_channel,
    same_bandwidth,
)


@dataclass(frozen=True, slots=True)
class Claim:
    """Advice as it is usually given, and how it is held against the figures."""

    id: str
    tier: str
    text: str
    hold: Callable[[], Judgement]


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "4090-fp16-7b",
        "7B",
        sentence("claims.text-rtx-4090-24gb", "an RTX 4090 24GB runs a 7B in FP16 in real time"),
        lambda: fits(SEVEN, "build:entry-7b", "f16"),
    ),
    Claim(
        "3060-q4-7b",
        "7B",
        sentence("claims.text-rtx-3060-12gb", "an RTX 3060 12GB runs a 7B in Q4_K_M"),
        lambda: fits(SEVEN, "build:entry-7b-3060", "q4_k_m"),
    ),
    Claim(
        "4080-q4-7b",
        "7B",
        sentence("claims.text-rtx-4080-16gb", "an RTX 4080 16GB runs a 7B in Q4_K_M"),
        lambda: fits(SEVEN, "build:entry-7b-4080", "q4_k_m"),
    ),
    Claim(
        "7950x-cores",
        "7B",
        sentence("claims.text-ryzen-9-7950x", "Ryzen 9 7950X is 16C/32T"),
        lambda: core_count("ryzen 9 7950x", 16, 32),
    ),
    Claim(
        "13700k-cores",
        "7B",
        sentence("claims.text-core-i7-13700k", "Core i7-13700K is 16C/24T"),
        lambda: core_count("core i7-13700k", 16, 24),
    ),
    Claim(
        "5ghz",
        "7B",
        sentence("claims.text-cpu-should-reach", "the CPU should reach 5.0 GHz"),
        lambda: clock(("ryzen 9 7950x", "core i7-13700k"), 5.0),
    ),
    Claim(
        "7950x-5600",
        "7B",
        sentence("claims.text-ryzen-9-7950x-2", "Ryzen 9 7950X takes dual-channel DDR5-5600"),
        official_speed,
    ),
    Claim(
        "7b-51.2",
        "7B",
        sentence("claims.text-7b-needs-51", "a 7B needs 51.2 GB/s, which is dual-channel DDR5-4800"),
        lambda: bandwidth_of_channels(2, 4800, 51.2),
    ),
    Claim(
        "ddr-limits-vram",
        "7B",
        sentence("claims.text-dram-bandwidth", "DRAM bandwidth limits a model held in VRAM"),
        bandwidth_floor,
    ),
    Claim(
        "quad-channel",
        "7B",
        sentence("claims.text-7950x-13700k-host", "the 7950X and the 13700K can host four channels"),
        quad_channel,
    ),
    Claim(
        "pcie5-cards",
        "7B",
        sentence("claims.text-pcie-5-0", "PCIe 5.0 x16 helps RTX 4090, 4080, 3060, RTX 6000 Ada and A100"),
        lambda: card_generation(("rtx 4090", "rtx 4080", "rtx 3060 12gb", "rtx 6000 ada", "a100 pcie 80gb"), 5),
    ),
    Claim(
        "geforce-nvlink",
        "7B",
        sentence("claims.text-rtx-4090-4080", "RTX 4090, 4080 and RTX 6000 Ada have NVLink"),
        lambda: nvlink(("rtx 4090", "rtx 4080", "rtx 6000 ada")),
    ),
    Claim(
        "7543-pcie5",
        "13B-32B",
        sentence("claims.text-epyc-7543-board", "an EPYC 7543 board gives PCIe 5.0 x16"),
        lambda: pcie_generation("epyc 7543", 5),
    ),
    Claim(
        "8380-pcie5",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380", "a Xeon Platinum 8380 board gives PCIe 5.0 x16"),
        lambda: pcie_generation("xeon platinum 8380", 5),
    ),
    Claim(
        "7543-cores",
        "13B-32B",
        sentence("claims.text-epyc-7543-32c", "EPYC 7543 is 32C/64T"),
        lambda: core_count("epyc 7543", 32, 64),
    ),
    Claim(
        "8380-cores",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380-2", "Xeon Platinum 8380 is 32C/64T"),
        lambda: core_count("xeon platinum 8380", 32, 64),
    ),
    Claim(
        "7543-ddr5",
        "13B-32B",
        sentence("claims.text-epyc-7543-eight", "EPYC 7543 has eight channels of DDR5"),
        lambda: memory_channels("epyc 7543", "DDR5", 8),
    ),
    Claim(
        "8380-ddr5",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380-3", "Xeon Platinum 8380 has eight channels of DDR5"),
        lambda: memory_channels("xeon platinum 8380", "DDR5", 8),
    ),
    Claim(
        "32b-102.4",
        "13B-32B",
        sentence("claims.text-32b-needs-102", "a 32B needs 102.4 GB/s, which is quad-channel DDR5-5600"),
        lambda: bandwidth_of_channels(4, 5600, 102.4),
    ),
    Claim(
        "2xa100-32b",
        "13B-32B",
        sentence("claims.text-two-a100-40gb", "two A100 40GB with NVLink run a 32B in FP16"),
        lambda: fits(THIRTY_TWO, "build:middle-32b-40gb", "bf16"),
    ),
    Claim(
        "a100-nvlink-600",
        "13B-32B",
        sentence("claims.text-a100-nvlink-carries", "A100 NVLink carries 600 GB/s"),
        lambda: nvlink_rate("a100 pcie 80gb", 600),
    ),
    Claim(
        "6000ada-32b-fp16",
        "13B-32B",
        sentence("claims.text-one-rtx-6000", "one RTX 6000 Ada 48GB runs a 32B in FP16"),
        lambda: fits(THIRTY_TWO, "build:middle-32b-6000ada", "bf16"),
    ),
    Claim(
        "a100-40-2tb",
        "13B-32B",
        sentence("claims.text-a100-40gb-2", "A100 40GB has 2 TB/s"),
        lambda: has_bandwidth("a100 pcie 40gb", 2000),
    ),
    Claim(
        "h100-pcie-sxm",
        "70B",
        sentence("claims.text-h100-pcie-fast", "H100 PCIe is as fast as H100 SXM"),
        lambda: same_bandwidth("h100 pcie", "h100 sxm"),
    ),
    Claim(
        "4xa100-70b",
        "70B",
        sentence("claims.text-four-a100-80gb", "four A100 80GB run a 70B in FP16 with tensor parallelism"),
        lambda: fits(SEVENTY, "build:large-70b", "bf16"),
    ),
    Claim(
        "4xh100-70b",
        "70B",
        sentence("claims.text-four-h100-80gb", "four H100 80GB run a 70B in FP16 with tensor parallelism"),
        lambda: fits(SEVENTY, "build:large-70b-h100", "bf16"),
    ),
    Claim(
        "8480-cores",
        "70B",
        sentence("claims.text-xeon-platinum-8480", "Xeon Platinum 8480+ is 56C/112T"),
        lambda: core_count("xeon platinum 8480+", 56, 112),
    ),
    Claim(
        "9654-cores",
        "70B",
        sentence("claims.text-epyc-9654-96c", "EPYC 9654 is 96C/192T"),
        lambda: core_count("epyc 9654", 96, 192),
    ),
    Claim(
        "7950x-feeds",
        "7B",
        sentence("claims.text-ryzen-9-7950x-3", "a Ryzen 9 7950X feeds an RTX 4090 with a 7B"),
        lambda: feeds(SEVEN, "build:entry-7b", "q4_k_m", "ryzen 9 7950x"),
    ),
    Claim(
        "13700k-feeds",
        "7B",
        sentence("claims.text-core-i7-13700k-2", "a Core i7-13700K feeds an RTX 4090 with a 7B"),
        lambda: feeds(SEVEN, "build:entry-7b", "q4_k_m", "core i7-13700k"),
    ),
    Claim(
        "7543-feeds",
        "13B-32B",
        sentence("claims.text-epyc-7543-feeds", "an EPYC 7543 feeds two A100 40GB with a 32B"),
        lambda: feeds(THIRTY_TWO, "build:middle-32b-40gb", "bf16", "epyc 7543"),
    ),
    Claim(
        "8380-feeds",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380-4", "a Xeon Platinum 8380 feeds two A100 40GB with a 32B"),
        lambda: feeds(THIRTY_TWO, "build:middle-32b-40gb", "bf16", "xeon platinum 8380"),
    ),
    Claim(
        "8480-feeds",
        "70B",
        sentence("claims.text-two-xeon-platinum", "two Xeon Platinum 8480+ feed four H100 80GB with a 70B"),
        lambda: feeds(SEVENTY, "build:large-70b-h100", "bf16", "xeon platinum 8480+"),
    ),
    Claim(
        "9654-feeds",
        "70B",
        sentence("claims.text-two-epyc-9654", "two EPYC 9654 feed four H100 80GB with a 70B"),
        lambda: feeds(SEVENTY, "build:large-70b-h100", "bf16", "epyc 9654"),
    ),
    Claim(
        "own-gpus",
        "70B",
        sentence("claims.text-each-two-cpus", "each of two CPUs has at least two GPUs of its own"),
        own_gpus,
    ),
    Claim(
        "no-pooling",
        "70B",
        sentence("claims.text-consumer-cards-must", "consumer cards must not be pooled for a 70B"),
        pooled,
    ),
)


def judged() -> list[tuple[Claim, Judgement]]:
    """Every claim with its standing."""
    return [(claim, claim.hold()) for claim in CLAIMS]
