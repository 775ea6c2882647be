"""What joins GPUs: links of their own, PCIe with peer access, PCIe through RAM."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_serving.serving_requests import CALIBRATION, request

from wellfed.catalog.hardware import gpu
from wellfed.checks.rules.gpu_p2p import repair
from wellfed.hardware.machine import GpuLink, PeerAccess
from wellfed.hardware.pcie import PcieLink
from wellfed.hardware.peers import Way, slowest_way, usual_way
from wellfed.nouns.plan import Request
from wellfed.perf.serving import estimate_serving
from wellfed.perf.serving.estimate import replica
from wellfed.perf.serving.links import link
from wellfed.perf.serving.room import room
from wellfed.perf.serving.step import sides


def pair(card: str, works: bool | None = None, nvlink: bool = False) -> Request:
    asked = request("qwen3-8b", "bf16", card=card, gpus=2, clients=1, prompt=4096, output=256)
    peers = () if works is None else (PeerAccess(0, 1, works),)
    links = (GpuLink(0, 1, "nvlink", 56e9),) if nvlink else ()
    return replace(asked, machine=replace(asked.machine, peers=peers, gpu_links=links))


@pytest.mark.parametrize(("card", "latency"), [("RTX 3090", 5.0), ("RTX 5090", 5.0), ("RTX A6000", 3.0)])
def test_geforce_cards_copy_through_ram_where_nothing_is_told(card: str, latency: float) -> None:
    asked = pair(card)
    assert slowest_way(asked.machine, 2) is None
    assert (usual_way(asked.machine.gpus[0]) is Way.THROUGH_RAM) is (latency > 3)
    assert link(asked.machine, gpu(card), 2).latency == pytest.approx(latency)


def test_what_is_told_counts_more_than_the_name() -> None:
    assert link(pair("RTX 3090", works=True).machine, gpu("RTX 3090"), 2).latency == pytest.approx(3.0)
    assert link(pair("RTX A6000", works=False).machine, gpu("RTX A6000"), 2).latency == pytest.approx(5.0)


def test_copies_through_ram_get_less_and_wait_longer() -> None:
    straight, detour = (link(pair("RTX 3090", works).machine, gpu("RTX 3090"), 2) for works in (True, False))
    assert 0.3 < detour.bytes_per_s / straight.bytes_per_s < 0.6
    assert detour.latency > straight.latency
    assert straight.direct == detour.direct == 0.0


def test_links_of_their_own_do_not_ask_for_peer_access() -> None:
    bridged = link(pair("RTX 3090", works=False, nvlink=True).machine, gpu("RTX 3090"), 2)
    assert (bridged.latency, bridged.direct) == (1.0, 1.0)


def test_peer_access_has_a_price() -> None:
    before = pair("RTX 3090", works=False)
    after = replace(before, machine=repair(before.machine))
    slow, fast = (estimate_serving(one, CALIBRATION) for one in (before, after))
    assert 1.02 < slow.tpot_s.value / fast.tpot_s.value < 1.5
    assert slow.ttft_s.value > 1.1 * fast.ttft_s.value


def test_a_bus_is_reached_as_its_own_share_says() -> None:
    asked = pair("RTX A6000")
    shape, knobs = replica(asked, CALIBRATION, room(asked))
    wire = shape.reduce_bytes * 5 / (shape.link_bandwidth * knobs.bus_fraction)
    assert sides(shape, knobs, 5.0, 0.0).link[0] == pytest.approx(wire)


def test_over_a_network_a_card_sends_no_more_than_its_own_slot_does() -> None:
    """A slow network bounds cards in wide slots, a narrow slot those on a fast one; what has no slot, neither."""

    def share_sent(card: str, network: float, lanes: int) -> float:
        """Of a card's share of the network."""
        on = replace(pair(card).machine, network_bytes_per_s=network)
        gpus = tuple(replace(one, link=PcieLink(4, lanes)) for one in on.gpus)
        return link(replace(on, gpus=gpus), gpu(card), 4).bytes_per_s * len(gpus) / network

    assert share_sent("RTX A6000", 25e9, 16) == share_sent("RTX A6000", 25e9, 8) == pytest.approx(1.0)
    assert share_sent("RTX A6000", 100e9, 4) == pytest.approx(0.13)  # 6.5 of 50 GB/s
    assert share_sent("GB10", 100e9, 4) == pytest.approx(1.0)
