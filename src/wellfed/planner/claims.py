"""The usual advice held against the catalogue and the estimates: what is right, what is wrong, and the right value."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from functools import lru_cache

from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import cpu, cpus, gpu
from wellfed.catalog.models import model
from wellfed.frozen import dataclass
from wellfed.hardware.pcie import PcieLink
from wellfed.message import Sentence, joined, listed, sentence
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import PRESETS
from wellfed.perf.estimate import estimate
from wellfed.planner.goal import Goal
from wellfed.planner.kinds import Kind
from wellfed.planner.search import Ranking, Search
from wellfed.planner.sensitivity import sensitivities
from wellfed.planner.which_cpu import WORTH, WhichCpu, behind, which_cpu
from wellfed.units import GB, format_bytes
from wellfed.written.machines import machine

_SEVEN, _THIRTY_TWO, _SEVENTY = "deepseek-r1-distill-qwen-7b", "deepseek-r1-distill-qwen-32b", "r1:70b"


class Standing(StrEnum):
    """What a claim is worth."""

    RIGHT = "right"
    WRONG = "wrong"
    MISLEADING = "misleading"


@dataclass(frozen=True, slots=True)
class Held:
    """A claim's standing and the figures that decide it."""

    standing: Standing
    figures: str


@dataclass(frozen=True, slots=True)
class Claim:
    """Advice as it is usually given, and how it is held against the figures."""

    id: str
    tier: str
    text: str
    hold: Callable[[], Held]


def _is(holds: bool, figures: str) -> Held:
    return Held(Standing.RIGHT if holds else Standing.WRONG, figures)


@lru_cache(maxsize=64)
def _best(name: str, where: str, weights: str) -> Plan | None:
    """The best plan that the GPUs carry out alone: what such advice means."""
    return _ranked(name, where, weights).best_of(Kind.GPU)


def _ranked(name: str, where: str, weights: str) -> Ranking:
    found: Calibration = bundled()
    kind = quantisation(weights)
    goal = Goal(quantisations=(kind.id,))
    return Search(machine(where), model(name), PRESETS["chat"], goal, found, quantisation).run()


def _speed(name: str, where: str, weights: str) -> str:
    plan = _best(name, where, weights)
    if plan is None:
        miss = _ranked(name, where, weights).near_miss
        short = (
            sentence(
                "claims.short",
                ": {missing_bytes} short on {device}",
                missing_bytes=format_bytes(miss.missing_bytes),
                device=miss.device,
            )
            if miss
            else ""
        )
        return sentence("claims.does-fit", "does not fit{short}", short=short)
    rate = plan.estimate.decode_tok_s
    layout = plan.layout
    return sentence(
        "claims.speed",
        "{rate:.0f} tokens/s ({low:.0f}-{high:.0f}), {engine} {weights}",
        rate=rate.value,
        low=rate.low,
        high=rate.high,
        engine=layout.engine,
        weights=layout.quantisation,
    )


def _fits(name: str, where: str, weights: str) -> Held:
    return _is(_best(name, where, weights) is not None, _speed(name, where, weights))


def _pcie(name: str, claimed: int) -> Held:
    part = cpu(name)
    generation = part.pcie_generation or 0
    rate = PcieLink(generation, 16).bytes_per_s / GB
    text = sentence(
        "claims.pcie-0-lanes",
        "PCIe {generation}.0, {pcie_lanes} lanes; x16 carries {rate:.1f} GB/s before protocol overhead",
        generation=generation,
        pcie_lanes=part.pcie_lanes,
        rate=rate,
    )
    return _is(generation >= claimed, text)


def _card_generation(names: Sequence[str], claimed: int) -> Held:
    parts = [gpu(name) for name in names]
    text = joined(", ", (joined(": ", (part.name, f"PCIe {part.pcie_generation}.0")) for part in parts))
    return _is(all((part.pcie_generation or 0) >= claimed for part in parts), text)


def _cores(name: str, cores: int, threads: int) -> Held:
    part = cpu(name)
    return _is(
        (part.cores, part.threads) == (cores, threads), joined(": ", (part.name, f"{part.cores}C/{part.threads}T"))
    )


def _memory(name: str, kind: str, channels: int) -> Held:
    part = cpu(name)
    bandwidth = part.memory_bandwidth_bytes_per_s() / GB
    text = sentence(
        "claims.channels-gb-s",
        "{memory_channels} channels of {memory_type}-{memory_mt:.0f}: {bandwidth:.1f} GB/s",
        memory_channels=part.memory_channels,
        memory_type=part.memory_type,
        memory_mt=part.memory_mt_s[0],
        bandwidth=bandwidth,
    )
    return _is(part.memory_type.upper() == kind and part.memory_channels == channels, text)


def _arithmetic(channels: int, mt_s: float, claimed_gb_s: float) -> Held:
    right = channels * mt_s * 8 / 1000
    text = sentence(
        "claims.channels-x-mt",
        "{channels} channels x {mt:.0f} MT/s x 8 bytes = {right:.1f} GB/s",
        channels=channels,
        mt=mt_s,
        right=right,
    )
    return _is(abs(right - claimed_gb_s) < 0.05, text)


def _clock(names: Sequence[str], least_ghz: float) -> Held:
    parts = [cpu(name) for name in names]
    clocks = [(part.boost_clock_hz or 0) / 1e9 for part in parts]
    gain = _part_gain(_SEVEN, "build:entry-7b", "q4_k_m", "CPU clock")
    text = joined(
        ", ",
        (
            sentence("claims.boosts-ghz", "{part} boosts to {clock:.1f} GHz", part=part.name, clock=clock)
            for part, clock in zip(parts, clocks, strict=True)
        ),
    )
    return _is(
        min(clocks) >= least_ghz,
        sentence(
            "claims.half-fast-again", "{text}; half as fast again would buy x{gain:.2f} tokens/s", text=text, gain=gain
        ),
    )


def _part_gain(name: str, where: str, weights: str, part: str) -> float:
    plan = _best(name, where, weights)
    if plan is None:
        return 1.0
    search = Search(plan.machine, plan.model, plan.workload, Goal(), bundled(), quantisation)
    return next((one.gain for one in sensitivities(plan, search.estimate) if one.part == part), 1.0)


def _bandwidth_floor() -> Held:
    gain = _part_gain(_SEVEN, "build:entry-7b", "q4_k_m", "DRAM bandwidth")
    text = sentence(
        "claims.model-vram-half",
        "with the model in VRAM, half as much DRAM bandwidth again buys x{gain:.2f} tokens/s",
        gain=gain,
    )
    return Held(Standing.MISLEADING if gain < 1.01 else Standing.RIGHT, text)


def _quad_channel() -> Held:
    parts = [cpu("ryzen 9 7950x"), cpu("core i7-13700k")]
    four = machine("ryzen 9 7950x, 4x32GB ddr5-5600").memory_bandwidth_bytes_per_s or 0.0
    two = machine("ryzen 9 7950x, 2x32GB ddr5-5600").memory_bandwidth_bytes_per_s or 0.0
    text = joined(
        ", ",
        (
            sentence(
                "claims.channels",
                "{part}: {memory_channels} channels",
                part=part.name,
                memory_channels=part.memory_channels,
            )
            for part in parts
        ),
    )
    text += sentence(
        "claims.four-modules-7950x",
        "; four modules on the 7950X carry {four:.1f} GB/s, two carry {two:.1f}",
        four=four / GB,
        two=two / GB,
    )
    return _is(all(part.memory_channels >= 4 for part in parts), text)


def _nvlink(names: Sequence[str]) -> Held:
    parts = [gpu(name) for name in names]
    text = joined("; ", (joined(": ", (part.name, _link(part.link_bytes_per_s))) for part in parts))
    return _is(all(part.link_bytes_per_s for part in parts), text)


def _link(rate: float | None) -> str:
    return (
        sentence("claims.no-nvlink", "no NVLink")
        if rate is None
        else sentence("claims.gb-s-both", "{rate:.0f} GB/s, both directions together", rate=2 * rate / GB)
    )


def _nvlink_rate(name: str, claimed_gb_s: float) -> Held:
    part = gpu(name)
    rate = 2 * (part.link_bytes_per_s or 0.0) / GB
    return _is(
        rate >= claimed_gb_s * 0.999,
        sentence(
            "claims.half-each-way",
            "{part}: {link} (half of it each way)",
            part=part.name,
            link=_link(part.link_bytes_per_s),
        ),
    )


def _same_bandwidth(first: str, second: str) -> Held:
    a, b = gpu(first), gpu(second)
    rates = [part.memory_bandwidth_bytes_per_s / GB for part in (a, b)]
    both = ((part.name, f"{rate:.0f} GB/s") for part, rate in zip((a, b), rates, strict=True))
    text = joined("; ", (joined(": ", pair) for pair in both))
    return _is(abs(rates[0] / rates[1] - 1) < 0.05, text)


def _has_bandwidth(name: str, claimed_gb_s: float) -> Held:
    part = gpu(name)
    rate = part.memory_bandwidth_bytes_per_s / GB
    return _is(rate >= claimed_gb_s * 0.95, joined(": ", (part.name, f"{rate:.0f} GB/s")))


def _pooled() -> Held:
    """What is forbidden has a price, and here it is."""
    consumer = _best(_SEVENTY, "build:4090x4", "int4")
    large = _best(_SEVENTY, "build:large-70b", "int4")
    if consumer is None:
        return Held(Standing.RIGHT, sentence("claims.four-rtx-4090", "four RTX 4090 cannot hold it"))
    rate = consumer.estimate.decode_tok_s.value
    text = sentence(
        "claims.four-rtx-4090-2",
        "four RTX 4090 run a 70B at {rate:.0f} tokens/s ({engine}, {quantisation})",
        rate=rate,
        engine=consumer.layout.engine,
        quantisation=consumer.layout.quantisation,
    )
    if large is not None:
        share = rate / large.estimate.decode_tok_s.value
        text += sentence(
            "claims.four-a100-80gb", ", {share:.0%} of four A100 80GB SXM in the same weights", share=share
        )
    return Held(Standing.WRONG, text)


@lru_cache(maxsize=8)
def _hosts(name: str, where: str, weights: str) -> WhichCpu | None:
    """Which CPUs feed the best plan of a tier."""
    plan = _best(name, where, weights)
    return None if plan is None else which_cpu(plan, bundled(), cpus())


def _feeds(name: str, where: str, weights: str, host: str) -> Held:
    """Whether a CPU costs the tier's plan less than 3 % against the best host, and what would do, too."""
    found, plan, part = _hosts(name, where, weights), _best(name, where, weights), cpu(host)
    if found is None or plan is None:
        return Held(Standing.WRONG, sentence("claims.tier-gpus-plan", "the tier's GPUs have no plan"))
    sockets = max(1, len(plan.machine.sockets))
    there = behind(plan.machine, part, sockets)
    if there is None:
        return Held(
            Standing.WRONG,
            sentence("claims.too-few-pcie", "{part} has too few PCIe lanes for these GPUs", part=part.name),
        )
    rate = estimate(Request(there, plan.model, plan.weights, plan.layout, plan.workload), bundled())
    loss = max(0.0, 1 - rate.total_tok_s.value / found.best.estimate.total_tok_s.value)
    count = f"{sockets}x " if sockets > 1 else ""
    text = sentence(
        "claims.loses-tokens-s",
        "{count}{part} loses {loss:.1%} of the tokens/s behind {count}{cpu}",
        count=count,
        part=part.name,
        loss=loss,
        cpu=found.best.cpu.name,
    )
    text += sentence(
        "claims.least-loses-under",
        "; {count}{cpu} is the least that loses under {worth:.0%}",
        count=count,
        cpu=found.pick.cpu.name,
        worth=WORTH,
    )
    return _is(loss <= WORTH, text)


def _and(counts: list[int]) -> Sentence:
    return sentence("claims.and", "{most} and {last}", most=listed(counts[:-1]), last=counts[-1])


def _own_gpus() -> Held:
    found = machine("build:large-70b")
    counts = [sum(1 for g in found.gpus if g.socket == socket.index) for socket in found.sockets]
    return _is(
        min(counts) >= 2,
        sentence("claims.four-gpus-over", "four GPUs over two sockets: {counts}", counts=_and(counts)),
    )


def _official_speed() -> Held:
    part = cpu("ryzen 9 7950x")
    text = sentence(
        "claims.rated-faster-modules",
        "{part} is rated for {memory_type}-{memory_mt:.0f}; faster modules are overclocking",
        part=part.name,
        memory_type=part.memory_type,
        memory_mt=part.memory_mt_s[0],
    )
    return _is(part.memory_mt_s[0] >= 5600, text)


CLAIMS: tuple[Claim, ...] = (
    Claim(
        "4090-fp16-7b",
        "7B",
        sentence("claims.text-rtx-4090-24gb", "an RTX 4090 24GB runs a 7B in FP16 in real time"),
        lambda: _fits(_SEVEN, "build:entry-7b", "f16"),
    ),
    Claim(
        "3060-q4-7b",
        "7B",
        sentence("claims.text-rtx-3060-12gb", "an RTX 3060 12GB runs a 7B in Q4_K_M"),
        lambda: _fits(_SEVEN, "build:entry-7b-3060", "q4_k_m"),
    ),
    Claim(
        "4080-q4-7b",
        "7B",
        sentence("claims.text-rtx-4080-16gb", "an RTX 4080 16GB runs a 7B in Q4_K_M"),
        lambda: _fits(_SEVEN, "build:entry-7b-4080", "q4_k_m"),
    ),
    Claim(
        "7950x-cores",
        "7B",
        sentence("claims.text-ryzen-9-7950x", "Ryzen 9 7950X is 16C/32T"),
        lambda: _cores("ryzen 9 7950x", 16, 32),
    ),
    Claim(
        "13700k-cores",
        "7B",
        sentence("claims.text-core-i7-13700k", "Core i7-13700K is 16C/24T"),
        lambda: _cores("core i7-13700k", 16, 24),
    ),
    Claim(
        "5ghz",
        "7B",
        sentence("claims.text-cpu-should-reach", "the CPU should reach 5.0 GHz"),
        lambda: _clock(("ryzen 9 7950x", "core i7-13700k"), 5.0),
    ),
    Claim(
        "7950x-5600",
        "7B",
        sentence("claims.text-ryzen-9-7950x-2", "Ryzen 9 7950X takes dual-channel DDR5-5600"),
        _official_speed,
    ),
    Claim(
        "7b-51.2",
        "7B",
        sentence("claims.text-7b-needs-51", "a 7B needs 51.2 GB/s, which is dual-channel DDR5-4800"),
        lambda: _arithmetic(2, 4800, 51.2),
    ),
    Claim(
        "ddr-limits-vram",
        "7B",
        sentence("claims.text-dram-bandwidth", "DRAM bandwidth limits a model held in VRAM"),
        _bandwidth_floor,
    ),
    Claim(
        "quad-channel",
        "7B",
        sentence("claims.text-7950x-13700k-host", "the 7950X and the 13700K can host four channels"),
        _quad_channel,
    ),
    Claim(
        "pcie5-cards",
        "7B",
        sentence("claims.text-pcie-5-0", "PCIe 5.0 x16 helps RTX 4090, 4080, 3060, RTX 6000 Ada and A100"),
        lambda: _card_generation(("rtx 4090", "rtx 4080", "rtx 3060 12gb", "rtx 6000 ada", "a100 pcie 80gb"), 5),
    ),
    Claim(
        "geforce-nvlink",
        "7B",
        sentence("claims.text-rtx-4090-4080", "RTX 4090, 4080 and RTX 6000 Ada have NVLink"),
        lambda: _nvlink(("rtx 4090", "rtx 4080", "rtx 6000 ada")),
    ),
    Claim(
        "7543-pcie5",
        "13B-32B",
        sentence("claims.text-epyc-7543-board", "an EPYC 7543 board gives PCIe 5.0 x16"),
        lambda: _pcie("epyc 7543", 5),
    ),
    Claim(
        "8380-pcie5",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380", "a Xeon Platinum 8380 board gives PCIe 5.0 x16"),
        lambda: _pcie("xeon platinum 8380", 5),
    ),
    Claim(
        "7543-cores",
        "13B-32B",
        sentence("claims.text-epyc-7543-32c", "EPYC 7543 is 32C/64T"),
        lambda: _cores("epyc 7543", 32, 64),
    ),
    Claim(
        "8380-cores",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380-2", "Xeon Platinum 8380 is 32C/64T"),
        lambda: _cores("xeon platinum 8380", 32, 64),
    ),
    Claim(
        "7543-ddr5",
        "13B-32B",
        sentence("claims.text-epyc-7543-eight", "EPYC 7543 has eight channels of DDR5"),
        lambda: _memory("epyc 7543", "DDR5", 8),
    ),
    Claim(
        "8380-ddr5",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380-3", "Xeon Platinum 8380 has eight channels of DDR5"),
        lambda: _memory("xeon platinum 8380", "DDR5", 8),
    ),
    Claim(
        "32b-102.4",
        "13B-32B",
        sentence("claims.text-32b-needs-102", "a 32B needs 102.4 GB/s, which is quad-channel DDR5-5600"),
        lambda: _arithmetic(4, 5600, 102.4),
    ),
    Claim(
        "2xa100-32b",
        "13B-32B",
        sentence("claims.text-two-a100-40gb", "two A100 40GB with NVLink run a 32B in FP16"),
        lambda: _fits(_THIRTY_TWO, "build:middle-32b-40gb", "bf16"),
    ),
    Claim(
        "a100-nvlink-600",
        "13B-32B",
        sentence("claims.text-a100-nvlink-carries", "A100 NVLink carries 600 GB/s"),
        lambda: _nvlink_rate("a100 pcie 80gb", 600),
    ),
    Claim(
        "6000ada-32b-fp16",
        "13B-32B",
        sentence("claims.text-one-rtx-6000", "one RTX 6000 Ada 48GB runs a 32B in FP16"),
        lambda: _fits(_THIRTY_TWO, "build:middle-32b-6000ada", "bf16"),
    ),
    Claim(
        "a100-40-2tb",
        "13B-32B",
        sentence("claims.text-a100-40gb-2", "A100 40GB has 2 TB/s"),
        lambda: _has_bandwidth("a100 pcie 40gb", 2000),
    ),
    Claim(
        "h100-pcie-sxm",
        "70B",
        sentence("claims.text-h100-pcie-fast", "H100 PCIe is as fast as H100 SXM"),
        lambda: _same_bandwidth("h100 pcie", "h100 sxm"),
    ),
    Claim(
        "4xa100-70b",
        "70B",
        sentence("claims.text-four-a100-80gb", "four A100 80GB run a 70B in FP16 with tensor parallelism"),
        lambda: _fits(_SEVENTY, "build:large-70b", "bf16"),
    ),
    Claim(
        "4xh100-70b",
        "70B",
        sentence("claims.text-four-h100-80gb", "four H100 80GB run a 70B in FP16 with tensor parallelism"),
        lambda: _fits(_SEVENTY, "build:large-70b-h100", "bf16"),
    ),
    Claim(
        "8480-cores",
        "70B",
        sentence("claims.text-xeon-platinum-8480", "Xeon Platinum 8480+ is 56C/112T"),
        lambda: _cores("xeon platinum 8480+", 56, 112),
    ),
    Claim(
        "9654-cores",
        "70B",
        sentence("claims.text-epyc-9654-96c", "EPYC 9654 is 96C/192T"),
        lambda: _cores("epyc 9654", 96, 192),
    ),
    Claim(
        "7950x-feeds",
        "7B",
        sentence("claims.text-ryzen-9-7950x-3", "a Ryzen 9 7950X feeds an RTX 4090 with a 7B"),
        lambda: _feeds(_SEVEN, "build:entry-7b", "q4_k_m", "ryzen 9 7950x"),
    ),
    Claim(
        "13700k-feeds",
        "7B",
        sentence("claims.text-core-i7-13700k-2", "a Core i7-13700K feeds an RTX 4090 with a 7B"),
        lambda: _feeds(_SEVEN, "build:entry-7b", "q4_k_m", "core i7-13700k"),
    ),
    Claim(
        "7543-feeds",
        "13B-32B",
        sentence("claims.text-epyc-7543-feeds", "an EPYC 7543 feeds two A100 40GB with a 32B"),
        lambda: _feeds(_THIRTY_TWO, "build:middle-32b-40gb", "bf16", "epyc 7543"),
    ),
    Claim(
        "8380-feeds",
        "13B-32B",
        sentence("claims.text-xeon-platinum-8380-4", "a Xeon Platinum 8380 feeds two A100 40GB with a 32B"),
        lambda: _feeds(_THIRTY_TWO, "build:middle-32b-40gb", "bf16", "xeon platinum 8380"),
    ),
    Claim(
        "8480-feeds",
        "70B",
        sentence("claims.text-two-xeon-platinum", "two Xeon Platinum 8480+ feed four H100 80GB with a 70B"),
        lambda: _feeds(_SEVENTY, "build:large-70b-h100", "bf16", "xeon platinum 8480+"),
    ),
    Claim(
        "9654-feeds",
        "70B",
        sentence("claims.text-two-epyc-9654", "two EPYC 9654 feed four H100 80GB with a 70B"),
        lambda: _feeds(_SEVENTY, "build:large-70b-h100", "bf16", "epyc 9654"),
    ),
    Claim(
        "own-gpus",
        "70B",
        sentence("claims.text-each-two-cpus", "each of two CPUs has at least two GPUs of its own"),
        _own_gpus,
    ),
    Claim(
        "no-pooling",
        "70B",
        sentence("claims.text-consumer-cards-must", "consumer cards must not be pooled for a 70B"),
        _pooled,
    ),
)


def held() -> list[tuple[Claim, Held]]:
    """Every claim with its standing."""
    return [(claim, claim.hold()) for claim in CLAIMS]
