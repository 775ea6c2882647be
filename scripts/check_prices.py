"""For each check a faulty machine and a plan whose estimate shows the fault: `python scripts/check_prices.py`.

Prints what the fault costs that plan. The faults are those that the tests of checks make
(`tests/checks/check_cases.py`), on parts of the catalogue; the plans are below. A check for which no plan shows
anything says why.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path.insert(0, str(ROOT / "tests" / "checks"))

from check_cases import CASES, PAGE, chipset_intel, half_channels, switched, with_dimms  # noqa: E402
from check_machines import GIB, chain, healthy, with_all_gpus, with_device, with_gpu, with_link, with_os, with_socket  # noqa: E402

from wellfed.catalog.calibration import bundled  # noqa: E402
from wellfed.catalog.hardware import cpu, gpu  # noqa: E402
from wellfed.catalog.model_names import model  # noqa: E402
from wellfed.checks.base import Check  # noqa: E402
from wellfed.checks.pricing import FITS, as_is, price, unpriced_of  # noqa: E402
from wellfed.checks.registry import ALL  # noqa: E402
from wellfed.checks.run import run_checks  # noqa: E402
from wellfed.errors import Unsupported, WellfedError  # noqa: E402
from wellfed.hardware.machine import Machine  # noqa: E402
from wellfed.hardware.pcie import PcieLink  # noqa: E402
from wellfed.models.quantisation import weights  # noqa: E402
from wellfed.models.quantisation_names import quantisation  # noqa: E402
from wellfed.nouns.estimate import Estimate  # noqa: E402
from wellfed.nouns.finding import FAULTS, Cost, Finding  # noqa: E402
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy  # noqa: E402
from wellfed.nouns.plan import Request  # noqa: E402
from wellfed.nouns.workload import Workload  # noqa: E402
from wellfed.perf.estimate import estimate  # noqa: E402
from wellfed.verbs.checking import Pricer  # noqa: E402

_SMALL = "rtx a4500"
_CARD, _MODULE, _CPU = "rtx a6000", "a100 sxm 80gb", "epyc 7262"
_CHAT = Workload("chat", 1, 1024, 256)
_MANY = Workload("many", 16, 1024, 256)
_NETWORK_BYTES_PER_S = 50e9  # two ports of 200 Gb/s


@dataclass(frozen=True, slots=True)
class Setup:
    """A plan: what is run how, for whom; on how many machines. Without a layout, the best there is."""

    title: str
    model: str
    layout: Layout | None
    load: Workload
    machines: int = 1
    bare: bool = False  # without the GPUs


@dataclass(frozen=True, slots=True)
class Witness:
    """A fault with a plan that shows it."""

    finding: Finding
    setup: Setup
    cost: Cost
    now: Estimate


SETUPS = (
    Setup("tensor parallel over 4 GPUs", "qwen3-32b",
          Layout(Engine.VLLM, "bf16", gpus=4, tensor_parallel=4, max_sequences=64), _MANY),
    Setup("layers in one GPU", "qwen3-8b", Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=1, offload=ALL_GPU), _CHAT),
    Setup("experts in RAM", "qwen3-235b-a22b",
          Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=2, offload=EXPERTS_ON_CPU, numa=NumaPolicy.ONE_SOCKET), _CHAT),
    Setup("on the CPUs", "qwen3-8b",
          Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY, numa=NumaPolicy.INTERLEAVE), _CHAT),
    Setup("tensor parallel over 2 machines", "qwen3-32b",
          Layout(Engine.VLLM, "bf16", gpus=8, tensor_parallel=8, max_sequences=64), _MANY, machines=2),
    Setup("the best plan", "qwen3-8b", None, _CHAT),
    Setup("the best plan without GPUs", "qwen3-8b", None, _CHAT, bare=True),
)  # fmt: skip

Change = Callable[[Machine], Machine]
_HALF = tuple(range(16))
_REDIRECTING = "0000:0f:00.0"
# Faults as they are met, where those of the tests show only what the rule reads.
MORE: dict[str, Change] = {
    "pcie-chipset": chain(with_link(0, PcieLink(3, 4)), chipset_intel),
    "mem-channels": chain(half_channels, with_dimms(1, lambda d: replace(d, bytes=0), slice(4, None)),
                          with_socket(1, channels=4)),
    "mem-mixed-dimms": chain(*(
        chain(with_socket(n, mt_s=2666.0),
              with_dimms(n, lambda d: replace(d, rated_mt_s=2666.0, mt_s=2666.0), slice(0, 2)))
        for n in (0, 1))),
    "mem-speed": chain(with_socket(0, mt_s=2133.0), with_socket(1, mt_s=2133.0)),
    "hugepages": with_os(huge_pages={0: {PAGE: 70000}}, huge_pages_free={0: {PAGE: 70000}},
                         memory_free_bytes=100 * GIB),
    "cpu-offline": chain(with_os(cpus_offline=tuple(range(16, 32)), cpus_online=_HALF, cpus_allowed=_HALF),
                         with_socket(0, cores=4), with_socket(1, cores=4)),
    "cpu-isolated": with_os(cpus_isolated=tuple(range(8, 16)), cpus_allowed=(*range(8), *range(16, 32))),
    "kernel-cmdline": chain(with_os(command_line="ro quiet maxcpus=16", cpus_online=_HALF, cpus_allowed=_HALF),
                            with_socket(0, cores=4), with_socket(1, cores=4)),
    "gpu-driver": chain(*(with_device(f"0000:{bus}:00.0", driver="nouveau") for bus in (10, 20, 30, 40))),
    "vram-free": with_all_gpus(memory_free_bytes=12 * GIB),
    "acs": chain(switched, with_device(_REDIRECTING, acs_redirect=True)),
    "iommu": chain(switched, with_os(iommu="on")),
    "gpu-mixed": with_gpu(1, spec=gpu(_SMALL), name=gpu(_SMALL).name, memory_bytes=20 * GIB,
                          memory_free_bytes=20 * GIB),
}  # fmt: skip


def real(machine: Machine) -> Machine:
    """The machine with parts of the catalogue for those of the tests."""
    cards = {"test-gpu": gpu(_CARD), "test-sxm": gpu(_MODULE)}
    gpus = tuple(replace(each, spec=cards.get(each.spec.id, each.spec) if each.spec else None) for each in machine.gpus)
    part = cpu(_CPU)
    sockets = tuple(replace(each, cpu=part if each.cpu else None, name=part.name) for each in machine.sockets)
    return replace(machine, gpus=gpus, sockets=sockets)


def estimator(setup: Setup, machine: Machine) -> Callable[[Machine], Estimate]:
    """What estimates a machine as it would run that plan."""
    if setup.layout is None:
        return Pricer.of(machine, setup.model, setup.load)
    built = model(setup.model)
    sizes = weights(built, quantisation(setup.layout.quantisation))
    layout = setup.layout

    def estimated(seen: Machine) -> Estimate:
        if layout.gpus > len(seen.gpus) * seen.count:
            raise Unsupported(f"this plan needs {layout.gpus} GPUs")
        return estimate(Request(seen, built, sizes, layout, setup.load), bundled())

    return estimated


def priced(check: Check) -> Iterator[Witness]:
    """Every fault that its tests make, with every plan that shows it; the best plans only where no other does."""
    fixed = [setup for setup in SETUPS if setup.layout]
    found = [each for machine in faulty(check) for setup in fixed for each in shown(check, machine, setup)]
    yield from found
    if not found:
        best = [setup for setup in SETUPS if not setup.layout]
        yield from (each for machine in faulty(check) for setup in best for each in shown(check, machine, setup))


def faulty(check: Check) -> Iterator[Machine]:
    """Machines with its fault."""
    more = [(healthy, MORE[check.id])] if check.id in MORE else []
    for make, change in more or CASES[check.id]["bad"]:
        machine = real(change(make()))
        measured = machine.measured_memory_bandwidth_bytes_per_s
        if check.id != "mem-bandwidth":  # a measurement would be of another machine
            measured = None
        yield replace(machine, measured_memory_bandwidth_bytes_per_s=measured)


def shown(check: Check, machine: Machine, setup: Setup) -> Iterator[Witness]:
    """The fault with its price for a plan, where it has one."""
    machine = _where(machine, setup)
    try:
        estimated = estimator(setup, machine)
        now = estimated(as_is(machine, ALL))
    except WellfedError:
        return
    found = [each for each in run_checks(machine, [check], now) if each.verdict in FAULTS]
    for finding in price(machine, found, ALL, estimated).findings[:1]:
        cost = finding.cost
        if cost and (cost.message == FITS or any((cost.decode_tok_s, cost.prefill_tok_s, cost.ttft_s, cost.load_s))):
            yield Witness(finding, setup, cost, now)


def _where(machine: Machine, setup: Setup) -> Machine:
    if setup.bare:
        machine = replace(machine, gpus=(), gpu_links=(), peers=())
    if setup.machines == 1:
        return machine
    return replace(machine, count=setup.machines, network_bytes_per_s=_NETWORK_BYTES_PER_S)


def share(witness: Witness) -> float:
    """How much of what it has the plan loses, by what it loses most of."""
    now, cost = witness.now, witness.cost
    if cost.message == FITS:
        return 1.0
    parts = (
        (cost.decode_tok_s, now.decode_tok_s.value + cost.decode_tok_s),
        (cost.prefill_tok_s, now.prefill_tok_s.value + cost.prefill_tok_s),
        (cost.load_s, now.load_s or 0.0),
    )
    return max((lost / whole for lost, whole in parts if whole), default=0.0)


@cache
def witnesses() -> dict[str, Witness]:
    """Check id -> the fault and plan that show it most; checks that nothing shows are not in it."""
    found = {check.id: max(priced(check), key=share, default=None) for check in ALL}
    return {id: witness for id, witness in found.items() if witness}


def cost_words(witness: Witness) -> str:
    """The loss in figures."""
    cost, now = witness.cost, witness.now
    words = [str(cost.message)] if cost.message == FITS else []
    if cost.decode_tok_s:
        words.append(
            f"decode {now.decode_tok_s.value:.3g} instead of {now.decode_tok_s.value + cost.decode_tok_s:.3g} tok/s"
        )
    if cost.prefill_tok_s:
        whole = now.prefill_tok_s.value + cost.prefill_tok_s
        words.append(f"prefill {now.prefill_tok_s.value:,.0f} instead of {whole:,.0f} tok/s")
    if cost.load_s:
        words.append(f"{cost.load_s:.3g} s more of loading")
    return "; ".join(words) or f"{cost.ttft_s:.3g} s more to the first token"


def page() -> str:
    """docs/check-prices.md."""
    found = witnesses()
    lines = [
        "# What each fault costs",
        "",
        "Generated by `scripts/check_prices.py`. A price is the estimate of the repaired machine minus that of the",
        "machine as it is; here for one fault of each check on a server with two",
        f"{cpu(_CPU).name}, four {gpu(_CARD).name} (or {gpu(_MODULE).name} on a board) and two network cards,",
        "and for the plan that shows it most.",
        "`wellfed check -m MODEL` tells it of your machine and your model.",
        "",
        f"{len(found)} of {len(ALL)} checks have a price for some plan.",
        "",
        "| check | fault | plan | what it costs |",
        "|---|---|---|---|",
    ]
    for check in ALL:
        witness = found.get(check.id)
        if witness is None:
            lines.append(f"| [{check.id}](checks/{check.id}.md) | | none shows it | {unpriced_of(check) or '?'} |")
            continue
        finding, setup = witness.finding, witness.setup
        fault = f"{finding.subject}: {finding.measured or finding.why}"
        plan = f"{setup.model}, {setup.title}"
        lines.append(f"| [{check.id}](checks/{check.id}.md) | {fault} | {plan} | {cost_words(witness)} |")
    return "\n".join(lines) + "\n"


if __name__ == "__main__":
    print(page(), end="")
