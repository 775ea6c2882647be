"""Which checks have a price is seen from estimates; the page lists them, and says why the others have none."""

from __future__ import annotations

import sys
from dataclasses import replace
from itertools import combinations
from pathlib import Path

import pytest
from check_cases import switched
from check_machines import GIB, board, chain, healthy, with_all_gpus, with_device, with_gpu, with_os

from wellfed.catalog.hardware import gpu as card
from wellfed.checks.mend import with_sockets
from wellfed.checks.pricing import as_is, unpriced_of
from wellfed.checks.registry import ALL, check
from wellfed.hardware.machine import Gpu, GpuLink, Machine, PeerAccess
from wellfed.hardware.pcie import PcieLink
from wellfed.hardware.peers import Way, slowest_way, usual_way
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout, NumaPolicy
from wellfed.perf.numa import cpu_share
from wellfed.perf.serving.links import link

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "scripts"))

import check_prices  # noqa: E402

DRAWN = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY, numa=NumaPolicy.INTERLEAVE)


@pytest.mark.slow
def test_most_checks_have_a_price_for_some_plan():
    assert len(check_prices.witnesses()) >= 36


@pytest.mark.parametrize("each", ALL, ids=lambda each: each.id)
def test_a_check_has_a_price_or_says_why_not(each):
    assert (each.id in check_prices.witnesses()) == (unpriced_of(each) is None)


def test_no_repair_makes_a_plan_slower():
    for witness in check_prices.witnesses().values():
        cost = witness.cost
        assert min(cost.decode_tok_s, cost.prefill_tok_s, cost.ttft_s, cost.load_s) >= 0, witness.finding.id


def test_the_page_has_every_check_with_its_price_or_why_not():
    """Its figures are held by `scripts/generate_docs.py --check`: they move with every calibration."""
    page = (ROOT / "docs" / "check-prices.md").read_text(encoding="utf-8")
    for each in ALL:
        row = next(line for line in page.splitlines() if line.startswith(f"| [{each.id}]"))
        assert (str(unpriced_of(each)) in row) == (each.id not in check_prices.witnesses())
    assert f"{len(check_prices.witnesses())} of {len(ALL)} checks have a price" in page


def peers(works: bool | None, name: str = "rtx a6000", count: int = 2) -> Machine:
    spec = card(name)
    gpus = tuple(Gpu(n, spec, spec.name, link=PcieLink(4, 16), vendor=spec.vendor) for n in range(count))
    told = () if works is None else tuple(PeerAccess(a, b, works) for a, b in combinations(range(count), 2))
    return replace(healthy(), gpus=gpus, peers=told, pci=())


def test_what_goes_through_ram_is_slower_and_later():
    spec = card("rtx a6000")
    straight, staged = link(peers(True), spec, 2), link(peers(False), spec, 2)
    assert staged[0] < straight[0] and staged[1] > straight[1]
    assert link(peers(None), spec, 2) == straight


def test_geforce_cards_without_a_word_talk_as_their_driver_has_them():
    spec = card("rtx 3090")
    assert link(peers(None, "rtx 3090"), spec, 2) == link(peers(False, "rtx 3090"), spec, 2)
    assert link(peers(True, "rtx 3090"), spec, 2)[0] > link(peers(None, "rtx 3090"), spec, 2)[0]
    assert usual_way(peers(None, "rtx 3090").gpus[0]) is Way.THROUGH_RAM


@pytest.mark.parametrize(
    ("change", "way"),
    [
        (with_device("0000:0f:00.0", acs_redirect=True), Way.THROUGH_ROOT),
        (with_os(iommu="on"), Way.THROUGH_ROOT),
        (with_all_gpus(bar1_bytes=256 << 20), Way.THROUGH_RAM),
        (with_gpu(0, mig=True), Way.THROUGH_RAM),
        (with_os(iommu="passthrough"), None),
    ],
)
def test_the_way_between_cards_of_one_switch(change, way):
    assert slowest_way(change(switched(healthy())), 2) == way


def test_ports_of_the_root_complex_lose_nothing_by_redirection():
    assert slowest_way(chain(with_os(iommu="on"), with_device("0000:0f:01.1", acs_redirect=True))(healthy()), 2) is None


def test_large_bars_of_some_do_not_help_the_others():
    assert slowest_way(with_gpu(1, bar1_bytes=256 << 20)(healthy()), 2) is Way.THROUGH_RAM
    assert slowest_way(with_gpu(3, bar1_bytes=256 << 20)(healthy()), 2) is None


def test_threads_have_the_cores_that_are_left_to_them():
    whole = cpu_share(healthy(), DRAWN)
    for change in (
        with_os(cpu_quota=4.0),
        with_os(cpus_allowed=(0, 1, 16, 17)),
        with_os(cpus_isolated=tuple(range(8)), cpus_allowed=tuple(range(8, 32))),
    ):
        assert cpu_share(change(healthy()), DRAWN).cores < whole.cores


def test_without_boost_cores_stay_at_base_clock():
    machine = check_prices.real(healthy())
    base = machine.sockets[0].cpu.base_clock_hz
    assert cpu_share(with_os(boost=False)(machine), DRAWN).clock_hz == base < cpu_share(machine, DRAWN).clock_hz


def test_a_hardware_slowdown_halves_the_rates_unless_the_clock_is_seen():
    fault = with_gpu(0, throttle_reasons=("hw_thermal_slowdown",))(healthy())
    whole = healthy().gpus[0].spec.peak.fp16
    assert as_is(fault, ALL).gpus[0].spec.peak.fp16 == whole / 2
    seen = with_gpu(0, clock_hz=1.2e9, clock_max_hz=1.6e9)(fault)
    assert as_is(seen, ALL).gpus[0].spec.peak.fp16 == pytest.approx(whole * 0.75)
    resting = with_gpu(0, performance_state=8)(seen)
    assert as_is(resting, ALL).gpus[0].spec.peak.fp16 == whole / 2
    idle = with_gpu(0, throttle_reasons=("gpu_idle",))(healthy())
    assert as_is(idle, ALL) == idle


def test_cards_without_a_driver_are_not_there_and_the_others_keep_their_links():
    four = replace(healthy(), gpu_links=(GpuLink(0, 1, "nvlink", 50e9), GpuLink(2, 3, "nvlink", 50e9)))
    left = as_is(with_device("0000:10:00.0", driver="nouveau")(four), ALL)
    assert [gpu.index for gpu in left.gpus] == [0, 1, 2]
    assert [(each.a, each.b) for each in left.gpu_links] == [(1, 2)]


def test_a_fabric_that_is_not_configured_leaves_no_gpus():
    assert as_is(with_gpu(0, fabric_state="in progress")(board()), ALL).gpus == ()
    assert as_is(board(), ALL).gpus == board().gpus


def test_slices_have_no_links():
    assert not any(each.active for each in as_is(with_all_gpus(mig=True)(board()), ALL).gpu_links)


def test_a_network_is_no_faster_than_its_cards_links():
    pair = replace(healthy(), count=2, network_bytes_per_s=50e9)
    narrow = with_device("0000:80:00.0", link_current=PcieLink(4, 4))(pair)
    network = as_is(narrow, ALL).network_bytes_per_s
    assert network == pytest.approx(25e9 + PcieLink(4, 4).bytes_per_s, rel=0.01)
    assert as_is(pair, ALL).network_bytes_per_s == 50e9
    assert as_is(replace(narrow, count=1), ALL) == replace(narrow, count=1)


def test_a_measured_bandwidth_grows_with_the_channels_that_are_filled():
    machine = replace(healthy(), measured_memory_bandwidth_bytes_per_s=100e9)
    half = tuple(replace(each, channels=4) for each in machine.sockets)
    filled = with_sockets(replace(machine, sockets=half), machine.sockets)
    assert filled.measured_memory_bandwidth_bytes_per_s == pytest.approx(200e9)


def test_only_cards_that_scrub_their_memory_wake_late():
    cold = with_all_gpus(persistence=False)(healthy())
    price = check("gpu-persistence").price
    assert price(cold, None).load_s == 8.0
    assert price(with_all_gpus(ecc_enabled=False)(cold), None).load_s == 0.0


def test_an_isolated_cpu_is_given_back_to_the_process():
    machine = with_os(cpus_isolated=(8, 9), cpus_allowed=tuple(range(8)))(healthy())
    assert set(check("cpu-isolated").repair(machine).os.cpus_allowed) == set(range(10))


def test_words_that_hide_modules_are_mended_to_what_the_slots_hold():
    hidden = replace(with_os(command_line="ro mem=64G", memory_free_bytes=60 * GIB)(healthy()), memory_bytes=64 * GIB)
    mended = check("kernel-cmdline").repair(hidden)
    assert mended.memory_bytes == 512 * GIB and mended.os.memory_free_bytes == 508 * GIB
