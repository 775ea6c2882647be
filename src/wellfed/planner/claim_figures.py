"""What decides a claim: the catalogue's figures and the estimates that it is held against."""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum
from functools import lru_cache

from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import cpu, cpus, gpu
from wellfed.catalog.model_names import model
from wellfed.frozen import dataclass
from wellfed.hardware.pcie import PcieLink
from wellfed.message import Sentence, joined, listed, sentence
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import PRESETS
from wellfed.perf.estimate import speeds
from wellfed.planner.goal import Goal
from wellfed.planner.kinds import Kind
from wellfed.planner.ranking import Ranking
from wellfed.planner.search import Search
from wellfed.planner.sensitivity import sensitivities
from wellfed.planner.which_cpu import WORTH, WhichCpu, behind, which_cpu
from wellfed.units import GB, format_bytes
from wellfed.written.machines import machine

SEVEN, THIRTY_TWO, SEVENTY = "deepseek-r1-distill-qwen-7b", "deepseek-r1-distill-qwen-32b", "r1:70b"


class Standing(StrEnum):
    """What the figures say of a claim."""

    RIGHT = "right"
    WRONG = "wrong"
    MISLEADING = "misleading"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A claim's standing and the figures that decide it."""

    standing: Standing
    figures: str


def _right_or_wrong(holds: bool, figures: str) -> Judgement:
    return Judgement(Standing.RIGHT if holds else Standing.WRONG, figures)


@lru_cache(maxsize=64)
def _best(name: str, machine_line: str, weights: str) -> Plan | None:
    """The best plan that the GPUs carry out alone: what such advice means."""
    return _ranked(name, machine_line, weights).best_of(Kind.GPU)


def _ranked(name: str, machine_line: str, weights: str) -> Ranking:
    calibration: Calibration = bundled()
    kind = quantisation(weights)
    goal = Goal(quantisations=(kind.id,))
    return Search(machine(machine_line), model(name), PRESETS["chat"], goal, calibration, quantisation).run()


def _speed(name: str, machine_line: str, weights: str) -> str:
    plan = _best(name, machine_line, weights)
    if plan is None:
        miss = _ranked(name, machine_line, weights).near_miss
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


def fits(name: str, machine_line: str, weights: str) -> Judgement:
    """Whether the weights fit the machine's GPUs, and the speed they then have."""
    return _right_or_wrong(_best(name, machine_line, weights) is not None, _speed(name, machine_line, weights))


def pcie_generation(name: str, claimed: int) -> Judgement:
    """Whether the CPU's lanes are of that PCIe generation."""
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
    return _right_or_wrong(generation >= claimed, text)


def card_generation(names: Sequence[str], claimed: int) -> Judgement:
    """Whether all those cards are of that PCIe generation."""
    parts = [gpu(name) for name in names]
    text = joined(", ", (joined(": ", (part.name, f"PCIe {part.pcie_generation}.0")) for part in parts))
    return _right_or_wrong(all((part.pcie_generation or 0) >= claimed for part in parts), text)


def core_count(name: str, cores: int, threads: int) -> Judgement:
    """Whether the CPU has so many cores and threads."""
    part = cpu(name)
    return _right_or_wrong(
        (part.cores, part.threads) == (cores, threads), joined(": ", (part.name, f"{part.cores}C/{part.threads}T"))
    )


def memory_channels(name: str, kind: str, channels: int) -> Judgement:
    """Whether the CPU has so many channels of that kind of memory."""
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
    return _right_or_wrong(part.memory_type.upper() == kind and part.memory_channels == channels, text)


def bandwidth_of_channels(channels: int, mt_s: float, claimed_gb_s: float) -> Judgement:
    """Whether so many channels at that rate give the bandwidth claimed, in GB/s."""
    right = channels * mt_s * 8 / 1000
    text = sentence(
        "claims.channels-x-mt",
        "{channels} channels x {mt:.0f} MT/s x 8 bytes = {right:.1f} GB/s",
        channels=channels,
        mt=mt_s,
        right=right,
    )
    return _right_or_wrong(abs(right - claimed_gb_s) < 0.05, text)


def clock(names: Sequence[str], least_ghz: float) -> Judgement:
    """Whether all those CPUs reach a clock of `least_ghz`."""
    parts = [cpu(name) for name in names]
    clocks = [(part.boost_clock_hz or 0) / 1e9 for part in parts]
    gain = _part_gain(SEVEN, "build:entry-7b", "q4_k_m", "CPU clock")
    text = joined(
        ", ",
        (
            sentence("claims.boosts-ghz", "{part} boosts to {clock:.1f} GHz", part=part.name, clock=clock)
            for part, clock in zip(parts, clocks, strict=True)
        ),
    )
    return _right_or_wrong(
        min(clocks) >= least_ghz,
        sentence(
            "claims.half-fast-again", "{text}; half as fast again would buy x{gain:.2f} tokens/s", text=text, gain=gain
        ),
    )


def _part_gain(name: str, machine_line: str, weights: str, part: str) -> float:
    plan = _best(name, machine_line, weights)
    if plan is None:
        return 1.0
    search = Search(plan.machine, plan.model, plan.workload, Goal(), bundled(), quantisation)
    return next(
        (sensitivity.gain for sensitivity in sensitivities(plan, search.estimate) if sensitivity.part == part), 1.0
    )


def bandwidth_floor() -> Judgement:
    """What more DRAM bandwidth would give a model that a GPU holds whole."""
    gain = _part_gain(SEVEN, "build:entry-7b", "q4_k_m", "DRAM bandwidth")
    text = sentence(
        "claims.model-vram-half",
        "with the model in VRAM, half as much DRAM bandwidth again buys x{gain:.2f} tokens/s",
        gain=gain,
    )
    return Judgement(Standing.MISLEADING if gain < 1.01 else Standing.RIGHT, text)


def quad_channel() -> Judgement:
    """Whether desktop CPUs have four memory channels, and what more would give."""
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
    return _right_or_wrong(all(part.memory_channels >= 4 for part in parts), text)


def nvlink(names: Sequence[str]) -> Judgement:
    """Whether all those cards have NVLink."""
    parts = [gpu(name) for name in names]
    text = joined("; ", (joined(": ", (part.name, _link(part.link_bytes_per_s))) for part in parts))
    return _right_or_wrong(all(part.link_bytes_per_s for part in parts), text)


def _link(rate: float | None) -> str:
    return (
        sentence("claims.no-nvlink", "no NVLink")
        if rate is None
        else sentence("claims.gb-s-both", "{rate:.0f} GB/s, both directions together", rate=2 * rate / GB)
    )


def nvlink_rate(name: str, claimed_gb_s: float) -> Judgement:
    """Whether a card's NVLink carries the rate claimed, in GB/s."""
    part = gpu(name)
    rate = 2 * (part.link_bytes_per_s or 0.0) / GB
    return _right_or_wrong(
        rate >= claimed_gb_s * 0.999,
        sentence(
            "claims.half-each-way",
            "{part}: {link} (half of it each way)",
            part=part.name,
            link=_link(part.link_bytes_per_s),
        ),
    )


def same_bandwidth(first: str, second: str) -> Judgement:
    """Whether two cards read their memory equally fast."""
    a, b = gpu(first), gpu(second)
    rates = [part.memory_bandwidth_bytes_per_s / GB for part in (a, b)]
    both = ((part.name, f"{rate:.0f} GB/s") for part, rate in zip((a, b), rates, strict=True))
    text = joined("; ", (joined(": ", pair) for pair in both))
    return _right_or_wrong(abs(rates[0] / rates[1] - 1) < 0.05, text)


def has_bandwidth(name: str, claimed_gb_s: float) -> Judgement:
    """Whether a card reads its memory at the rate claimed, in GB/s."""
    part = gpu(name)
    rate = part.memory_bandwidth_bytes_per_s / GB
    return _right_or_wrong(rate >= claimed_gb_s * 0.95, joined(": ", (part.name, f"{rate:.0f} GB/s")))


def pooled() -> Judgement:
    """What is forbidden has a price, and here it is."""
    consumer = _best(SEVENTY, "build:4090x4", "int4")
    large = _best(SEVENTY, "build:large-70b", "int4")
    if consumer is None:
        return Judgement(Standing.RIGHT, sentence("claims.four-rtx-4090", "four RTX 4090 cannot hold it"))
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
    return Judgement(Standing.WRONG, text)


@lru_cache(maxsize=8)
def _hosts(name: str, machine_line: str, weights: str) -> WhichCpu | None:
    """Which CPUs feed the best plan of a tier."""
    plan = _best(name, machine_line, weights)
    return None if plan is None else which_cpu(plan, bundled(), cpus())


def feeds(name: str, machine_line: str, weights: str, host: str) -> Judgement:
    """Whether a CPU costs the tier's plan less than 3 % against the best host, and what would do, too."""
    hosts, plan, part = _hosts(name, machine_line, weights), _best(name, machine_line, weights), cpu(host)
    if hosts is None or plan is None:
        return Judgement(Standing.WRONG, sentence("claims.tier-gpus-plan", "the tier's GPUs have no plan"))
    sockets = max(1, len(plan.machine.sockets))
    rehosted = behind(plan.machine, part, sockets)
    if rehosted is None:
        return Judgement(
            Standing.WRONG,
            sentence("claims.too-few-pcie", "{part} has too few PCIe lanes for these GPUs", part=part.name),
        )
    here = speeds(Request(rehosted, plan.model, plan.weights, plan.layout, plan.workload), bundled())
    loss = max(0.0, 1 - here.total_tok_s / hosts.best.speeds.total_tok_s)
    count = f"{sockets}x " if sockets > 1 else ""
    text = sentence(
        "claims.loses-tokens-s",
        "{count}{part} loses {loss:.1%} of the tokens/s behind {count}{cpu}",
        count=count,
        part=part.name,
        loss=loss,
        cpu=hosts.best.cpu.name,
    )
    text += sentence(
        "claims.least-loses-under",
        "; {count}{cpu} is the least that loses under {worth:.0%}",
        count=count,
        cpu=hosts.pick.cpu.name,
        worth=WORTH,
    )
    return _right_or_wrong(loss <= WORTH, text)


def _and(counts: list[int]) -> Sentence:
    return sentence("claims.and", "{most} and {last}", most=listed(counts[:-1]), last=counts[-1])


def own_gpus() -> Judgement:
    """Whether each socket of the large build has GPUs of its own: two or more."""
    build = machine("build:large-70b")
    counts = [sum(1 for g in build.gpus if g.socket == socket.index) for socket in build.sockets]
    return _right_or_wrong(
        min(counts) >= 2,
        sentence("claims.four-gpus-over", "four GPUs over two sockets: {counts}", counts=_and(counts)),
    )


def official_speed() -> Judgement:
    """Whether DDR5-5600 is what the usual desktop CPU is rated for."""
    part = cpu("ryzen 9 7950x")
    text = sentence(
        "claims.rated-faster-modules",
        "{part} is rated for {memory_type}-{memory_mt:.0f}; faster modules are overclocking",
        part=part.name,
        memory_type=part.memory_type,
        memory_mt=part.memory_mt_s[0],
    )
    return _right_or_wrong(part.memory_mt_s[0] >= 5600, text)
