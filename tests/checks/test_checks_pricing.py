"""Costs: estimate(repaired) - estimate(now), singly and together, never negative, nothing said as nothing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from check_cases import CASES, half_channels, switched
from check_machines import GIB, board, chain, every_finding, healthy, with_gpu, with_link, with_os
from hypothesis import given
from hypothesis import strategies as st

from wellfed.checks.pricing import FITS, NOTHING, UNPRICED, price, unpriced_of
from wellfed.checks.registry import ALL, check
from wellfed.checks.run import faults, run_checks
from wellfed.errors import Unsupported
from wellfed.hardware.machine import Machine
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.estimate import DeviceMemory, Estimate, Memory, MemoryTerm, Quantity
from wellfed.nouns.finding import FAULTS, Verdict


def estimate(machine: Machine, weights: float = 60 * GIB) -> Estimate:
    """A toy that more bandwidth and more memory never make slower: VRAM first, then RAM; loads over PCIe."""
    free = sum(gpu.memory_free_bytes or 0 for gpu in machine.gpus)
    on_gpu = min(weights, free)
    ram = machine.memory_bandwidth_bytes_per_s or 50e9
    links = min((gpu.link.bytes_per_s for gpu in machine.gpus if gpu.link), default=1e9)
    tpot = on_gpu / (700e9 * max(1, len(machine.gpus))) + (weights - on_gpu) / ram
    exact = Quantity.exact
    ledger = DeviceMemory("ram", (MemoryTerm("ram", "weights", weights - on_gpu),), machine.memory_bytes)
    return Estimate(
        memory=Memory((ledger,)), decode=(), prefill=(), ttft_s=exact(1.0 + 10e9 / links), tpot_s=exact(tpot),
        prefill_tok_s=exact(links / 1e6), total_tok_s=exact(1 / tpot), limited_by="memory", load_s=weights / links,
    )  # fmt: skip


BAD = [(id, make, change) for id, cases in CASES.items() for make, change in cases["bad"]]


def priced(machine: Machine):
    return price(machine, every_finding(machine), ALL, estimate)


@pytest.mark.parametrize(("id", "make", "change"), BAD)
def test_every_cost_is_at_least_nothing(id, make, change):
    answer = priced(change(make()))
    for finding in answer.findings:
        assert (finding.cost is not None) == (finding.verdict in FAULTS)
    for cost in [f.cost for f in answer.findings if f.cost] + [answer.together]:
        assert min(cost.decode_tok_s, cost.prefill_tok_s, cost.ttft_s, cost.load_s) >= 0


def test_a_healthy_machine_costs_nothing():
    answer = priced(healthy())
    assert answer.together is None and all(finding.cost is None for finding in answer.findings)


def test_a_narrow_link_costs_loading_and_not_decoding_when_weights_are_resident():
    machine = with_link(0, PcieLink(4, 4))(healthy())
    cost = next(f.cost for f in priced(machine).findings if f.id == "pcie-width" and f.cost)
    now, then = estimate(machine), estimate(healthy())
    assert cost.decode_tok_s == 0
    assert cost.load_s == pytest.approx(now.load_s - then.load_s)
    assert cost.ttft_s == pytest.approx(now.ttft_s.value - then.ttft_s.value)


def test_empty_channels_cost_nothing_when_all_weights_are_on_the_gpus_and_this_is_said():
    cost = next(f.cost for f in priced(half_channels(healthy())).findings if f.id == "mem-channels" and f.cost)
    assert (cost.decode_tok_s, cost.load_s, cost.message) == (0, 0, NOTHING)


def test_what_no_estimate_shows_is_not_said_to_be_free():
    answer = priced(with_os(swap_used_bytes=9 * GIB)(healthy()))
    cost = next(f.cost for f in answer.findings if f.id == "swap" and f.cost)
    assert cost.message != NOTHING and str(unpriced_of(check("swap"))) in cost.note
    both = chain(with_os(swap_used_bytes=9 * GIB, numa_balancing=True))(healthy())
    assert priced(both).together.message == UNPRICED


def test_a_shared_uplink_costs_though_each_card_has_all_its_lanes():
    answer = priced(switched(healthy()))
    cost = next(f.cost for f in answer.findings if f.id == "pcie-shared-uplink" and f.cost)
    assert cost.load_s == pytest.approx(estimate(healthy()).load_s)


def test_all_together_is_worth_at_least_each_alone():
    broken = chain(half_channels, with_link(1, PcieLink(4, 4)), with_gpu(2, memory_free_bytes=0))
    machine = chain(broken, with_gpu(3, memory_free_bytes=0), with_gpu(0, memory_free_bytes=0))(healthy())
    answer = priced(machine)
    assert len({f.id for f in answer.findings if f.cost}) >= 3
    for finding in (f for f in answer.findings if f.cost):
        assert answer.together.decode_tok_s >= finding.cost.decode_tok_s - 1e-9
        assert answer.together.load_s >= finding.cost.load_s - 1e-9


def test_an_estimator_without_an_answer_leaves_its_reason():
    def cannot(machine: Machine) -> Estimate:
        raise Unsupported("no layout fits")

    machine = with_gpu(0, memory_free_bytes=0)(healthy())
    costs = [f.cost for f in price(machine, run_checks(machine), ALL, cannot).findings if f.cost]
    assert costs and all("no layout fits" in cost.note for cost in costs)


def test_a_model_that_fits_only_when_mended_says_so():
    def tight(machine: Machine) -> Estimate:
        found = estimate(machine)
        free = machine.gpus[0].memory_free_bytes
        ledger = DeviceMemory("gpu0", (MemoryTerm("gpu0", "weights", 40 * GIB),), 48 * GIB, free)
        return replace(found, memory=Memory((ledger,)))

    machine = with_gpu(0, memory_free_bytes=4 * GIB)(healthy())
    answer = price(machine, run_checks(machine, ALL, tight(machine)), ALL, tight)
    finding = next(f for f in answer.findings if f.id == "vram-free" and f.cost)
    assert finding.verdict is Verdict.FAIL and finding.cost.message == FITS


def test_a_plan_that_fits_what_is_free_is_no_failure():
    machine = with_os(memory_free_bytes=100 * GIB)(healthy())
    ledger = DeviceMemory("ram", (MemoryTerm("ram", "weights", 90 * GIB),), machine.memory_bytes)
    fits = replace(estimate(machine), memory=Memory((ledger,)))
    less = replace(ledger, terms=(MemoryTerm("ram", "weights", 110 * GIB),))
    found = run_checks(machine, [check("ram-free")], fits)
    assert [f.verdict for f in found] == [Verdict.WARN]
    found = run_checks(machine, [check("ram-free")], replace(fits, memory=Memory((less,))))
    assert [f.verdict for f in found] == [Verdict.FAIL]


@given(
    st.sampled_from(["pcie-width", "pcie-speed", "mem-channels", "mem-speed", "vram-free", "ram-free", "nvlink"]),
    st.data(),
)
def test_a_repaired_machine_is_never_slower(id, data):
    make, change = data.draw(st.sampled_from(CASES[id]["bad"]))
    broken = change(make())
    mended = check(id).repair(broken)
    assert estimate(mended).tpot_s.value <= estimate(broken).tpot_s.value
    assert estimate(mended).load_s <= estimate(broken).load_s


def test_mended_together_leaves_no_fault():
    broken = chain(half_channels, with_link(1, PcieLink(2, 4)), with_os(numa_balancing=True, swap_used_bytes=9 * GIB))
    machine = broken(board())
    for each in ALL:
        machine = each.repair(machine)
    assert not faults(run_checks(machine))
