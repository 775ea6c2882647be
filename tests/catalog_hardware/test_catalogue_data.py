"""The part tables: every entry is complete, sourced and plausible, and agrees with what vendors publish."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Sequence
from pathlib import Path

import pytest

import wellfed.catalog
from samples import holds_for_all, shares
from wellfed.catalog.hardware import cpu, cpus, gpu, gpus, resolve_cpu, resolve_gpu
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.units import GB, TFLOP

DATA = Path(wellfed.catalog.__file__).parent / "data"
# Gb/s per pin that the memory type reaches, from its slowest to its fastest use in the tables.
PIN_RATES = {
    "GDDR5": (3.2, 9.5),
    "GDDR5X": (9, 12),
    "GDDR6": (9.9, 20.5),
    "GDDR6X": (18.5, 23.5),
    "GDDR7": (17.5, 32),
    "HBM": (1, 1),
    "HBM2": (1.4, 2.5),
    "HBM2e": (2.4, 3.7),
    "HBM3": (3.8, 5.4),
    "HBM3e": (5.8, 8.2),
    "HBM4": (6.3, 9.6),
    "LPDDR4": (3.1, 3.3),
    "LPDDR4X": (3.7, 4.3),
    "LPDDR5": (4.2, 6.5),
    "LPDDR5X": (7.4, 9.7),
}

KEYS = """vendor architecture prefix form words source date columns parts same suffixes aliases assumed_for note rare
memory_type memory_gib memory_gb memory_bus_bits memory_bandwidth_gb_s reported_mib unified_memory
compute_units boost_clock_mhz l2_mib board_power_w year compute_capability pcie_generation pcie_lanes cpu
link_gb_s link_peers ops_per_unit_and_clock fp32_tflops fp16_tflops bf16_tflops fp8_tflops fp4_tflops
int8_tflops int4_tflops cores performance_cores threads threads_per_core base_ghz boost_ghz l3_mib power_w
dies memory_channels memory_mt_s memory_bus_bytes validated_mt_s other_memory_mt_s pcie_lanes_of_two
sockets_max isa single_thread single_thread_per_ghz soldered_memory_gb
network_gbit_s memory_of_host graphics link_kind link_switched vllm
ecc_default mesh"""


def rows(folder: str) -> list[tuple[str, str, dict[str, object], list[object]]]:
    found = []
    for path in sorted((DATA / folder).glob("*.toml")):
        for family, table in tomllib.loads(path.read_text(encoding="utf-8")).items():
            found += [(family, name, table, cells) for name, cells in table["parts"].items()]
    return found


@pytest.mark.parametrize("folder", ["gpus", "cpus"])
def test_every_row_fills_its_columns_and_its_family_names_source_and_day(folder: str) -> None:
    for family, name, table, cells in rows(folder):
        columns = table["columns"]
        assert isinstance(columns, list)
        values = [cell for cell in cells if not isinstance(cell, dict)]
        assert len(values) == len(columns), f"{family}: {name}"
        assert isinstance(table["source"], str) and len(table["source"]) >= 8, family
        assert re.fullmatch(r"20\d\d-\d\d-\d\d", str(table["date"])), family


@pytest.mark.parametrize("folder", ["gpus", "cpus"])
def test_no_key_is_misspelt(folder: str) -> None:
    known = set(re.findall(r"\w+", KEYS))
    for family, name, table, cells in rows(folder):
        own = cells[-1] if isinstance(cells[-1], dict) else {}
        columns = table["columns"]
        assert isinstance(columns, list)
        assert {*table, *columns, *own} <= known, f"{family}: {name}"


def test_ids_are_unique() -> None:
    for specs in (gpus(), cpus()):
        ids = [spec.id for spec in specs]
        assert len(ids) == len(set(ids))


def test_memory_bandwidth_is_bus_width_times_a_rate_of_that_memory() -> None:
    buses = {name: (table, cells) for _, name, table, cells in rows("gpus")}
    for spec in gpus():
        if spec.memory_of_host:
            continue  # as fast as the machine's modules are
        base = re.sub(r" \d+GB$", "", spec.name) if spec.name not in buses else spec.name
        table, cells = buses[base]
        columns = table["columns"]
        assert isinstance(columns, list)
        bits = cells[columns.index("memory_bus_bits")]
        assert isinstance(bits, int)
        per_pin = spec.memory_bandwidth_bytes_per_s / GB * 8 / bits
        low, high = PIN_RATES[spec.memory_type]
        assert low <= per_pin <= high, f"{spec.name}: {per_pin:.2f} Gb/s per pin of {spec.memory_type}"


# Dense rates in TFLOPS (TOPS) as the data sheets and whitepapers give them, halved where these print sparse ones.
PUBLISHED = [
    ("rtx 2080 ti", "fp16", 53.8), ("t4", "fp16", 65), ("t4", "int8", 130), ("v100 sxm2 32gb", "fp16", 125),
    ("rtx 3060 12gb", "fp16", 25.5), ("rtx 3080 10gb", "fp16", 59.5), ("rtx 3090", "fp16", 71.0),
    ("rtx 3090", "int8", 284), ("rtx a6000", "fp16", 154.8), ("a40", "fp16", 149.7), ("a10", "fp16", 125),
    ("a30", "fp16", 165), ("a100 sxm 80gb", "bf16", 312), ("a100 pcie 40gb", "int8", 624), ("rtx 4080", "fp16", 97.5),
    ("rtx 4090", "fp16", 165.2), ("rtx 4090", "fp8", 330.3), ("rtx 4090", "int8", 660.6), ("rtx 4090", "fp32", 82.6),
    ("rtx 4090 d", "fp16", 147), ("rtx 6000 ada", "fp16", 364.2), ("rtx 5000 ada", "fp16", 261.1),
    ("l4", "fp16", 121), ("l40", "fp16", 181), ("l40s", "fp16", 362), ("l20", "fp16", 119.5),
    ("h100 sxm", "bf16", 989.4), ("h100 sxm", "fp8", 1978.9), ("h100 pcie", "fp16", 756), ("h100 nvl", "fp16", 835.5),
    ("h200 sxm", "fp8", 1978.9), ("h20", "bf16", 148), ("b200", "fp16", 2250), ("b200", "fp4", 9000),
    ("b300", "fp4", 13500), ("gb200", "fp8", 5000), ("gb300", "fp4", 15000), ("rtx 5090", "fp16", 209.5),
    ("rtx 5090", "fp4", 1676), ("rtx 5080", "fp16", 112.6), ("rtx pro 6000 workstation", "fp16", 503.8),
    ("gb10", "fp4", 500), ("mi210", "fp16", 181), ("mi250x", "fp16", 383), ("mi300x", "fp16", 1307.4),
    ("mi300x", "fp8", 2614.9), ("mi325x", "bf16", 1307.4), ("mi355x", "fp16", 2516.6), ("mi50", "fp16", 26.5),
    ("7900 xtx", "fp16", 122.8), ("9070 xt", "fp16", 194.6), ("9070 xt", "fp8", 389), ("b580", "int8", 233),
    ("gaudi 2", "bf16", 432), ("m2 ultra 76-core", "fp32", 27.2),
]  # fmt: skip


@pytest.mark.parametrize(("name", "rate", "tflops"), PUBLISHED)
def test_dense_peak_is_the_published_one(name: str, rate: str, tflops: float) -> None:
    assert getattr(gpu(name).peak, rate) / TFLOP == pytest.approx(tflops, rel=0.01)


def test_rates_are_dense_and_consistent() -> None:
    """A narrower type is never slower, and a sparse figure (twice the dense) would break the usual ratios."""
    for spec in gpus():
        peak = spec.peak
        assert peak.fp32 is not None or spec.architecture == "gaudi", spec.name
        if peak.fp16 and peak.fp8:
            assert peak.fp8 / peak.fp16 == pytest.approx(2, rel=0.05) or spec.architecture == "gaudi", spec.name
        if peak.fp8 and peak.fp4:
            assert 1.9 <= peak.fp4 / peak.fp8 <= 4.1, spec.name
        if peak.fp16 and peak.bf16 and spec.architecture != "cdna":
            assert peak.bf16 == peak.fp16, spec.name


def test_geforce_halves_the_matrix_rate_and_workstation_cards_do_not() -> None:
    for geforce, workstation in (
        ("rtx 3090", "rtx a6000"),
        ("rtx 4090", "rtx 6000 ada"),
        ("rtx 5090", "pro 6000 max-q"),
    ):
        ratios = [spec.peak.fp16 / spec.peak.fp32 for spec in (gpu(geforce), gpu(workstation)) if spec.peak.fp16]  # type: ignore[operator]
        assert ratios == pytest.approx([2, 4], rel=0.01)


def memory_is_what_drivers_report(spec: GpuSpec, nominal_gb: float) -> bool:
    return 0.92 * nominal_gb * 2**30 <= spec.memory_bytes <= nominal_gb * 2**30


@pytest.mark.parametrize(
    ("name", "nominal_gb"),
    [("3090", 24), ("4090", 24), ("a100 80gb", 80), ("a100 40gb", 40), ("h100", 80), ("l40s", 48), ("t4", 16)],
)
def test_memory_is_binary_and_never_more_than_nominal(name: str, nominal_gb: float) -> None:
    assert memory_is_what_drivers_report(gpu(name), nominal_gb)


def test_memory_of_decimal_parts() -> None:
    assert gpu("h200").memory_bytes / 2**30 == pytest.approx(140.4, abs=0.1)
    assert gpu("b200").memory_bytes / 2**30 == pytest.approx(179.1, abs=0.1)


def test_traps_that_guides_fall_into() -> None:
    assert gpu("h100 pcie").memory_bandwidth_bytes_per_s < 0.62 * gpu("h100 sxm").memory_bandwidth_bytes_per_s
    assert gpu("a100 40gb").memory_bandwidth_bytes_per_s == 1555e9
    assert all(gpu(name).link_bytes_per_s is None for name in ("4090", "4080", "rtx 6000 ada", "5090"))
    assert all(gpu(name).pcie_generation == 4 for name in ("4090", "4080", "3060", "rtx 6000 ada", "a100"))
    assert (cpu("epyc 7543").pcie_generation, cpu("xeon 8380").pcie_generation) == (4, 4)
    assert (cpu("epyc 7543").memory_type, cpu("xeon 8380").memory_type) == ("DDR4", "DDR4")
    assert (cpu("xeon 8380").cores, cpu("xeon 8380").threads, cpu("xeon 8380").power_w) == (40, 80, 270)
    assert cpu("13700k").threads == 24


@pytest.mark.parametrize(
    ("name", "gb_per_s"),
    [
        ("7950x", 83.2), ("13700k", 89.6), ("epyc 7543", 204.8), ("8380", 204.8), ("8480+", 307.2), ("9654", 460.8),
        ("epyc 9355", 576), ("xeon 6980p", 614.4), ("threadripper pro 7965wx", 332.8), ("e5-2650 v4", 76.8),
        ("ryzen ai max 395", 256), ("m2 ultra", 819.2), ("m4 max", 546.1), ("gb10", 273), ("pi 5", 17.1),
    ],
)  # fmt: skip
def test_memory_bandwidth_of_cpus(name: str, gb_per_s: float) -> None:
    assert cpu(name).memory_bandwidth_bytes_per_s() / GB == pytest.approx(gb_per_s, rel=0.005)


WITHOUT_AVX2 = {"penryn", "nehalem", "westmere", "sandy-bridge", "ivy-bridge", "k10", "bulldozer", "piledriver"} | {
    "goldmont-plus",
    "tremont",
}


def test_cpus_are_plausible() -> None:
    for spec in cpus():
        assert 0 < spec.cores <= spec.threads <= 2 * spec.cores, spec.name
        assert all(a >= b for a, b in zip(spec.memory_mt_s, spec.memory_mt_s[1:], strict=False)), spec.name
        assert spec.sockets_max in (1, 2, 4, 8), spec.name
        if spec.base_clock_hz and spec.boost_clock_hz:
            assert 0.7e9 <= spec.base_clock_hz <= spec.boost_clock_hz < 6.3e9, spec.name
        old = spec.architecture in WITHOUT_AVX2 or spec.name.startswith(("Pentium", "Celeron"))
        assert ("avx2" in spec.isa) or spec.vendor not in ("intel", "amd") or old, spec.name
        assert ("amx" not in spec.isa) or "avx512_vnni" in spec.isa, spec.name


@pytest.mark.parametrize(
    ("name", "rating"),
    [("epyc 7551", 1738), ("epyc 9575f", 4173), ("7950x", 4252), ("9950x", 4727), ("core ultra 9 285k", 5085)],
)
def test_single_thread_ratings_are_the_charts(name: str, rating: float) -> None:
    part = cpu(name)
    assert (part.single_thread_rating, part.single_thread_derived) == (rating, False)
    assert any("PassMark" in source.text for source in part.sources)


def test_every_cpu_has_a_single_thread_rating_that_its_clock_explains() -> None:
    for spec in cpus():
        assert spec.single_thread_rating is not None and spec.boost_clock_hz is not None, spec.name
        assert 180 <= spec.single_thread_rating / spec.boost_clock_hz * 1e9 <= 1250, spec.name
    published = [spec for spec in cpus() if not spec.single_thread_derived]
    assert len(published) > 350


def test_a_derived_rating_grows_with_the_boost_clock_of_the_same_core() -> None:
    slow, fast = cpu("xeon 6756e"), cpu("xeon 6710e")
    assert slow.single_thread_derived and fast.single_thread_derived
    assert slow.single_thread_rating is not None and fast.single_thread_rating is not None
    assert slow.single_thread_rating / fast.single_thread_rating == pytest.approx(2.6 / 3.2, rel=0.01)


def test_every_own_cpu_of_a_gpu_exists() -> None:
    own = {spec.cpu_id for spec in gpus() if spec.cpu_id}
    assert own <= {spec.id for spec in cpus()}
    for spec in gpus():
        if spec.cpu_id and spec.unified_memory and spec.form == "soc" and spec.vendor != "nvidia":
            shared = cpu(spec.cpu_id).memory_bandwidth_bytes_per_s()
            assert shared == pytest.approx(spec.memory_bandwidth_bytes_per_s, rel=0.01), spec.name


@pytest.mark.parametrize("specs", shares((*gpus(), *cpus()), 6))
def test_ids_names_and_aliases_mean_their_part(specs: Sequence[GpuSpec | CpuSpec]) -> None:
    def is_named(spec: GpuSpec | CpuSpec) -> None:
        for text in (spec.id, spec.name, *spec.aliases):
            resolved = resolve_gpu(text).spec if isinstance(spec, GpuSpec) else resolve_cpu(text).spec
            assert resolved == spec, text

    holds_for_all(is_named, specs)
