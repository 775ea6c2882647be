"""Machines from a line, a file or a name: what is said is taken, the rest is assumed aloud, the impossible refused."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellfed.errors import BadInput, UnknownName, WellfedError
from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.pcie import PcieLink, path_up
from wellfed.units import GIB
from wellfed.written.machines import builds, load_machine, machine, network_bytes_per_s, parse_machine

DESK = "2x rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5600"


def memory(made: Machine) -> tuple[int | None, float | None, int]:
    socket = made.sockets[0]
    return socket.channels, socket.mt_s, (made.memory_bytes or 0) // GIB


def links(made: Machine) -> list[str]:
    return [str(gpu.link) for gpu in made.gpus]


def said(made: Machine) -> str:
    return " | ".join(f"{each.text}: {each.reason}" for each in made.assumptions)


def test_a_desk_machine() -> None:
    made = parse_machine(DESK)
    assert made.origin is Origin.PARTS
    assert [gpu.spec.id for gpu in made.gpus if gpu.spec] == ["rtx-4090", "rtx-4090"]
    assert memory(made) == (2, 5200, 64)
    assert made.memory_bandwidth_bytes_per_s == pytest.approx(83.2e9)
    assert links(made) == ["Gen4 x8", "Gen4 x8"]
    assert (made.cores, len(made.cpus), len(made.numa_nodes)) == (16, 32, 1)
    assert "DDR5-5600 at 5200" in said(made) and "share 24 lanes" in said(made)


@pytest.mark.parametrize(
    "line",
    [
        "2x32GB ddr5-5600; 2x rtx 4090; ryzen 9 7950x",
        "ryzen 9 7950x + 2x rtx 4090 + 2x32GB ddr5-5600",
        "7950X,2xRTX4090,2x32gb DDR5 5600 MT/s",
        "2x 4090 24GB and 1x AMD Ryzen 9 7950X with 64GB ddr5-5600",
    ],
)
def test_order_separators_and_spelling_do_not_matter(line: str) -> None:
    made, desk = parse_machine(line), parse_machine(DESK)
    assert (made.gpus, made.sockets, made.pci, made.numa_nodes) == (desk.gpus, desk.sockets, desk.pci, desk.numa_nodes)


def test_a_server() -> None:
    made = parse_machine("8x h200 sxm, 2x xeon 8480+, 16x64GB ddr5-4800")
    assert [gpu.socket for gpu in made.gpus] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert [gpu.numa_node for gpu in made.gpus] == [0, 0, 0, 0, 1, 1, 1, 1]
    assert set(links(made)) == {"Gen5 x16"}
    assert {(link.kind, link.bytes_per_s) for link in made.gpu_links} == {("nvswitch", 450e9)}
    assert len(made.gpu_links) == 28
    assert memory(made) == (8, 4800, 1024)
    assert made.numa_nodes[0].distances == {0: 10, 1: 21}
    assert len(made.numa_nodes[0].cpus) == 112


def test_a_modern_card_in_an_older_host_runs_at_the_hosts_generation() -> None:
    assert links(parse_machine("h100 pcie, epyc 7543")) == ["Gen4 x16"]
    assert links(parse_machine("rtx 4090, epyc 9654")) == ["Gen4 x16"]
    assert links(parse_machine("rtx 4060 ti, ryzen 9 7950x")) == ["Gen4 x8"]


@pytest.mark.parametrize(
    ("line", "channels", "speed", "gib"),
    [
        ("7950x, 2x32GB ddr5-6000", 2, 5200, 64),
        ("7950x, 2x32GB ddr5-6000 oc", 2, 6000, 64),
        ("7950x, 2x32GB ddr5-4800", 2, 4800, 64),
        ("7950x, 4x32GB ddr5-5600", 2, 3600, 128),
        ("7950x, 3x32GB ddr5-5600", 2, 3600, 96),
        ("7950x, 1x32GB ddr5-5600", 1, 5200, 32),
        ("7950x, ddr5-4800", 2, 4800, 64),
        ("13700k, 2x16GB ddr4-3200", 2, 3200, 32),
        ("epyc 9654, 768GB", 12, 4800, 768),
        ("epyc 9654, 1.5TB ram", 12, 4800, 1536),
        ("epyc 9355, 12x64GB ddr5-6400", 12, 6400, 768),
        ("epyc 9355, 24x64GB ddr5-6400", 12, 4400, 1536),
        ("2x xeon 8480+, 8x64GB per socket ddr5-4800", 8, 4800, 1024),
        ("2x xeon 8480+, 32x64GB", 8, 4400, 2048),
        ("xeon 6980p, 12x64GB mrdimm-8800", 12, 8800, 768),
        ("xeon e5-2680 v4, 12x16GB", 4, 1600, 192),
        ("mac studio m3 ultra 512gb", 16, 6400, 512),
        ("m3 max, 64GB", 8, 6400, 64),
        ("strix halo 128gb", 4, 8000, 128),
        ("pi 5, 16GB ram", 1, 4267, 16),
    ],
)
def test_memory_runs_at_what_modules_and_channels_allow(line: str, channels: int, speed: float, gib: int) -> None:
    assert memory(parse_machine(line)) == (channels, speed, gib)


def test_modules_are_told_slot_by_slot() -> None:
    made = parse_machine("2x epyc 9355, 24x64GB ddr5-6000")
    assert len(made.dimms) == 24
    assert {(dimm.socket, dimm.channel) for dimm in made.dimms} == {(s, chr(65 + c)) for s in (0, 1) for c in range(12)}
    assert sum(dimm.bytes or 0 for dimm in made.dimms) == made.memory_bytes


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("rtx 4090, ryzen 9 7950x", ["Gen4 x16"]),
        ("1x rtx 4090 x8, ryzen 9 7950x", ["Gen4 x8"]),
        ("rtx 4090 gen3 x4, ryzen 9 7950x", ["Gen3 x4"]),
        ("rtx 4090 pcie 3.0, ryzen 9 7950x", ["Gen3 x16"]),
        ("2x rtx 3090, ryzen 9 5950x, second gpu chipset x4", ["Gen4 x16", "Gen4 x4"]),
        ("2x rtx 3090 x4, ryzen 9 5950x", ["Gen4 x4", "Gen4 x4"]),
        ("rtx 3090, 1x rtx 3090 chipset slot, ryzen 9 5950x", ["Gen4 x16", "Gen4 x4"]),
        ("3x rtx 3090, ryzen 9 5950x", ["Gen4 x8", "Gen4 x8", "Gen4 x4"]),
        ("2x rtx 3090, threadripper pro 5975wx", ["Gen4 x16", "Gen4 x16"]),
        ("rtx 3090 oculink, ryzen ai max+ 395 128gb", ["Gen4 x4", "None"]),
        ("12x rtx 3090, epyc 7702", ["Gen4 x8"] * 12),
        ("4x rtx 3090, 2x epyc 7702, all x8", ["Gen4 x8"] * 4),
    ],
)
def test_links(line: str, expected: list[str]) -> None:
    assert links(parse_machine(line)) == expected


def test_a_card_behind_the_chipset_shows_in_the_tree() -> None:
    made = parse_machine("2x rtx 3090, ryzen 9 5950x, gpu1 chipset")
    devices = {device.address: device for device in made.pci}
    direct, behind = (path_up(devices, gpu.pci_address or "") for gpu in made.gpus)
    assert [device.port for device in direct] == ["endpoint", "root"]
    assert [device.port for device in behind] == ["endpoint", "downstream", "upstream", "root"]
    assert any(device.chipset for device in behind) and not any(device.chipset for device in direct)


def test_cards_behind_one_switch_share_its_uplink() -> None:
    made = parse_machine("4x rtx pro 6000 server behind a switch, epyc 9575f")
    devices = {device.address: device for device in made.pci}
    paths = [path_up(devices, gpu.pci_address or "") for gpu in made.gpus]
    assert len({path[-1].address for path in paths}) == 1
    assert len({path[1].address for path in paths}) == 4
    assert links(made) == ["Gen5 x16"] * 4


@pytest.mark.parametrize(
    "line", [DESK, "dgx h100", "4x rtx 3090, 2x epyc 7702", "9x rtx 3090, epyc 7702, gpu0 chipset"]
)
def test_the_tree_agrees_with_the_links(line: str) -> None:
    made = machine(line)
    devices = {device.address: device for device in made.pci}
    assert len(devices) == len(made.pci)
    for gpu in made.gpus:
        card = devices[gpu.pci_address or ""]
        assert card.link_current == gpu.link
        assert all(device.parent is None or device.parent in devices for device in made.pci)
        assert path_up(devices, card.address)[-1].port == "root"


@pytest.mark.parametrize(
    ("words", "works"),
    [
        ("p2p", True),
        ("with p2p", True),
        ("p2p=on", True),
        ("no p2p", False),
        ("p2p off", False),
        ("without p2p", False),
    ],
)
def test_peer_access_over_pcie(words: str, works: bool) -> None:
    machine = parse_machine(f"3x rtx 4090, epyc 7702, {words}")
    assert [(pair.a, pair.b, pair.works) for pair in machine.peers] == [(0, 1, works), (0, 2, works), (1, 2, works)]
    assert parse_machine(machine.name).peers == machine.peers
    assert not parse_machine("3x rtx 4090, epyc 7702").peers
    assert len(parse_machine(f"4x rtx 3090 nvlink, epyc 7702, {words}").peers) == 4, (
        "bridged pairs talk over the bridge"
    )


def test_nvlink() -> None:
    bridged = parse_machine("4x rtx 3090, nvlink, epyc 7702")
    assert [(link.a, link.b, link.kind, link.bytes_per_s) for link in bridged.gpu_links] == [
        (0, 1, "nvlink", 56.25e9),
        (2, 3, "nvlink", 56.25e9),
    ]
    assert parse_machine("2x rtx 3090 nvlink, epyc 7702").gpu_links
    assert not parse_machine("2x rtx 3090, epyc 7702").gpu_links
    assert len(parse_machine("2x h100 nvl, epyc 9654").gpu_links) == 1
    assert not parse_machine("2x h100 nvl, epyc 9654, no nvlink").gpu_links
    xgmi = parse_machine("8x mi300x, 2x epyc 9575f").gpu_links
    assert {(link.kind, link.bytes_per_s) for link in xgmi} == {("xgmi", 64e9)}


def test_numa_settings() -> None:
    made = parse_machine("8x l40s, 2x epyc 9554, nps4")
    assert len(made.numa_nodes) == 8
    assert [gpu.numa_node for gpu in made.gpus] == list(range(8))
    assert made.sockets[1].numa_nodes == (4, 5, 6, 7)
    assert sum(node.memory_bytes or 0 for node in made.numa_nodes) == made.memory_bytes
    assert sorted(cpu for node in made.numa_nodes for cpu in node.cpus) == list(range(256))
    assert len(parse_machine("2x epyc 9554, nps0").numa_nodes) == 1
    assert len(parse_machine("2x xeon 6980p, snc3").numa_nodes) == 6


def test_nodes_and_network() -> None:
    made = parse_machine("8x h100 sxm, 2x xeon 8480+, nodes=2, network=400Gb")
    assert (made.count, made.network_bytes_per_s) == (2, 50e9)
    sparks = parse_machine("2x dgx spark")
    assert (sparks.count, len(sparks.gpus), sparks.network_bytes_per_s) == (2, 1, 25e9)
    assert parse_machine("dgx spark, dgx spark").count == 2
    assert "network speed unknown" in said(parse_machine("8x h100 sxm, 2 nodes"))


@pytest.mark.parametrize(
    ("text", "rate"),
    [("400Gb", 50e9), ("8x400Gb", 400e9), ("100GbE", 12.5e9), ("NDR", 50e9), ("50GB/s", 50e9), ("ib hdr", 25e9)],
)
def test_network_speeds(text: str, rate: float) -> None:
    assert network_bytes_per_s(text) == pytest.approx(rate)


@pytest.mark.parametrize("text", ["", "fast", "400", "-5Gb", "0Gb"])
def test_network_speeds_that_are_none(text: str) -> None:
    if text == "400":
        assert network_bytes_per_s(text) == 50e9
        return
    with pytest.raises(BadInput):
        network_bytes_per_s(text)


def test_systems_by_name() -> None:
    h100 = machine("dgx h100")
    assert (len(h100.gpus), len(h100.sockets), h100.network_bytes_per_s) == (8, 2, 400e9)
    assert machine("NVIDIA DGX-A100").gpus[0].memory_bytes == 80 * GIB
    assert machine("dgx a100 40gb").gpus[0].memory_bytes == 40 * GIB
    assert machine("2x dgx h100").count == 2
    rack = machine("gb200 nvl72")
    assert (len(rack.gpus), len(rack.sockets), len(rack.gpu_links)) == (72, 36, 72 * 71 // 2)
    assert len(machine("4x gb200").sockets) == 2
    own = machine("gh200 96gb").sockets[0].cpu
    assert own is not None and own.id == "nvidia-grace"


def test_power_and_price() -> None:
    made = parse_machine("rtx 4090 @300w, 7800x3d, psu 850w, price=2500")
    assert (made.gpus[0].power_limit_w, made.power_supply_w, made.price) == (300, 850, 2500)


def test_what_is_not_said_is_assumed_aloud() -> None:
    made = parse_machine("rtx 4090")
    assert "no CPU was named" in said(made) and "no memory was named" in said(made)
    assert "could also be A100 PCIe" in said(parse_machine("4x a100 80gb, 2x epyc 7763"))
    full = parse_machine("rtx 4090, ryzen 9 7950x, 2x32GB ddr5-5200")
    assert full.assumptions == ()


IMPOSSIBLE = {
    "9x rtx 4090, ryzen 9 7950x": "9 GPUs do not fit on the 24 PCIe lanes",
    "9x rtx 4090, core i7-13700k": "9 GPUs do not fit on the 16 PCIe lanes",
    "2x rtx 4090 x16, ryzen 9 7950x": "do not fit",
    "3x epyc 9654": "3 sockets of EPYC 9654",
    "2x ryzen 9 7950x": "2 sockets",
    "0x rtx 4090": "0 GPUs",
    "99x rtx 4090, epyc 9654": "99 GPUs in one machine",
    "16x h100 sxm": "16 H100",
    "7950x, 2x20GB ddr5": "no 20 GiB DDR5 module",
    "epyc 7543, 8x48GB": "no 48 GiB DDR4 module",
    "7950x, 2x32GB ddr4": "takes DDR5, not DDR4",
    "epyc 7543, 8x32GB ddr5-4800": "takes DDR4, not DDR5",
    "xeon 8380, 8x32GB ddr5": "takes DDR4, not DDR5",
    "7950x, 2x32GB ddr5-99999": "there is no DDR5-99999",
    "7950x, 5x32GB": "5 modules on 1 Ryzen 9 7950X",
    "7950x, 0x32GB": "no memory modules",
    "7950x, 2x32GB, 2x16GB": "memory is given twice",
    "7950x, 13900k": "two kinds of CPU",
    "2x rtx 4090, nvlink": "no NVLink",
    "strix halo 128gb, 2x32GB": "is soldered",
    "m3 max, 65GB": "no M3 Max with 65 GB",
    "dgx spark, epyc 9654": "comes with",
    "dgx spark, strix halo": "two systems",
    "rtx 4090, fifth gpu x4": "unknown part",
    "rtx 4090, second gpu x4": "there is no GPU 1",
    "rtx 4090 socket 3, epyc 9654": "there is no socket 3",
    "epyc 9654, nps9": "nps9 does not exist",
    "rtx 4090, 0 nodes": "0 nodes",
    "rtx 4090, network=fast": "not a network speed",
    "": "not a machine",
    ", ;": "no GPU and no CPU",
    "64GB ddr5-5600": "no GPU and no CPU",
    "x" * 3000: "not a machine",
}


@pytest.mark.parametrize("line", IMPOSSIBLE)
def test_impossible_machines_are_one_error_with_a_hint(line: str) -> None:
    with pytest.raises(WellfedError) as error:
        machine(line)
    assert IMPOSSIBLE[line] in error.value.message
    assert error.value.hint or isinstance(error.value, UnknownName)


def test_an_unknown_part_names_near_ones() -> None:
    with pytest.raises(UnknownName) as error:
        machine("2x rtx 4095, ryzen 9 7950x")
    assert error.value.near


@pytest.mark.parametrize("build", builds(), ids=lambda build: build.id)
def test_every_named_build_is_a_machine(build: object) -> None:
    made = machine(f"build:{build.id}")  # type: ignore[attr-defined]
    assert made.gpus and made.sockets and made.memory_bytes
    assert build.source and build.date and build.title  # type: ignore[attr-defined]
    taken = [each.text for each in made.assumptions if "taken as" in each.text or "no CPU" in each.reason]
    assert not taken, "a reference build names its parts exactly"


def test_the_three_tiers_are_there() -> None:
    assert {"7B", "13B-32B", "70B", "today"} == {build.tier for build in builds()}
    with pytest.raises(UnknownName) as error:
        machine("build:entry-7")
    assert "entry-7b" in error.value.near


def test_from_a_file(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text(
        'name = "my box"\ngpus = ["2x rtx 3090", "1x rtx 3060 12gb chipset x4"]\ncpu = "ryzen 9 5950x"\n'
        'memory = "4x32GB ddr4-3200"\nnvlink = true\nnodes = 2\nnetwork = "100Gb"\n'
        "power_supply_w = 1600\nprice = 3000\n"
    )
    made = machine(str(path))
    assert made.name == "my box"
    line = "2x rtx 3090, 1x rtx 3060 12gb chipset x4, ryzen 9 5950x, 4x32GB ddr4-3200, nvlink, 2 nodes, network=100Gb"
    same = parse_machine(f"{line}, psu 1600w, price=3000")
    assert replace(made, name="") == replace(same, name="")
    path.write_text('machine = "dgx h100"\n')
    assert load_machine(path) == machine("dgx h100")


def test_brackets_and_commas_in_a_file_are_no_separators(tmp_path: Path) -> None:
    path = tmp_path / "box.toml"
    path.write_text('gpus = "RTX 4090 (24 GB, Founders Edition)"\ncpu = "2x AMD EPYC 7313 (16 cores, 32 threads)"\n')
    made = machine(str(path))
    assert [gpu.spec.id for gpu in made.gpus if gpu.spec] == ["rtx-4090"]
    assert [socket.cpu.id for socket in made.sockets if socket.cpu] == ["epyc-7313"] * 2
    assert machine("RTX 4090 (24 GB, FE), 2x AMD EPYC 7313 (16 cores, 32 threads)").name == made.name


@pytest.mark.parametrize(
    "text",
    ['gpu = "rtx 4090"', "nodes = true", "nodes = 'two'", "gpus = 3", "not toml", "", 'machine = "rtx 9999"', "\x00"],
)
def test_bad_files(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.toml"
    path.write_text(text)
    with pytest.raises(WellfedError):
        machine(str(path))
    with pytest.raises(BadInput):
        machine(str(tmp_path / "absent.toml"))


LINES = [
    DESK, "dgx h100", "2x rtx 3090, ryzen 9 5950x, second gpu gen3 x4 chipset", "8x l40s, 2x epyc 9554, nps4",
    "7950x, 3x32GB ddr5-6000 oc", "4x rtx 3090 nvlink, epyc 7702", "2x dgx spark", "strix halo 64gb", "gb200 nvl72",
    "5090+2x4090+A6000, epyc 9355, psu 2000w", "pi 5, 8GB ram", "rtx 4090 x8", "2x h100 nvl, epyc 9654, no nvlink",
    "4x rtx pro 6000 server behind a switch, epyc 9575f", "rtx 4090 @300w, 13700k, 2x16GB ddr4-3200, price=1999",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES)
def test_a_machines_name_is_a_line_that_makes_it_again(line: str) -> None:
    made = machine(line)
    again = machine(made.name)
    assert replace(again, assumptions=()) == replace(made, assumptions=())


PIECES = st.sampled_from(
    ["2x rtx 4090", "rtx 3090 x8", "8x h100 sxm", "epyc 9654", "2x xeon 8480+", "ryzen 9 7950x", "12x64GB", "ddr5-6000",
     "nvlink", "nps4", "nodes=3", "network=400Gb", "second gpu chipset x4", "768GB ram", "dgx spark", "m3 max", "gen4",
     "9x", "x16", "psu 1600w", "oc", "dgx a100", "0x", "+", "each", "128gb"]
)  # fmt: skip


@settings(max_examples=20)  # a strange line may take a tenth of a second
@given(
    st.one_of(
        st.text(max_size=80), st.lists(PIECES, max_size=6).map(", ".join), st.lists(PIECES, max_size=6).map(" ".join)
    )
)
def test_any_line_is_a_machine_or_an_error_of_ours(line: str) -> None:
    try:
        made = parse_machine(line)
    except WellfedError as error:
        assert error.message
        return
    assert made.sockets
    assert all(gpu.link is None or isinstance(gpu.link, PcieLink) for gpu in made.gpus)
    assert made.memory_bandwidth_bytes_per_s is not None


@given(
    st.sampled_from(["ryzen 9 7950x", "epyc 7543", "2x epyc 9355", "xeon 6787p"]),
    st.integers(1, 24),
    st.integers(1, 24),
)
def test_more_modules_never_mean_fewer_channels_or_a_faster_clock(cpu: str, few: int, many: int) -> None:
    few, many = sorted((few, many))
    try:
        less, more = (parse_machine(f"{cpu}, {count}x32GB") for count in (few, many))
    except BadInput:
        return
    assert (less.sockets[0].channels or 0) <= (more.sockets[0].channels or 0)
    assert (less.sockets[0].mt_s or 0) >= (more.sockets[0].mt_s or 0)
    assert (less.memory_bytes or 0) <= (more.memory_bytes or 0)
