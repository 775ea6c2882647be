"""Parts are found by the names people write, and never by guessing."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellfed.catalog.hardware import (
    cpu,
    cpu_list,
    cpu_or_none,
    find_cpu,
    find_gpu,
    gpu,
    gpu_list,
    gpu_or_none,
    gpus,
    resolve_cpu,
    resolve_gpu,
)
from wellfed.errors import UnknownName, WellfedError

GPU_NAMES = [
    ("3090 24GB", "rtx-3090"), ("RTX-4080", "rtx-4080"), ("rtx4090", "rtx-4090"), ("4090d", "rtx-4090-d"),
    ("NVIDIA H100-SXM-80GB", "h100-sxm5-80gb"), ("NVIDIA H100 80GB HBM3", "h100-sxm5-80gb"),
    ("NVIDIA H100 PCIe", "h100-pcie-80gb"), ("NVIDIA A100-SXM4-40GB", "a100-sxm4-40gb"),
    ("NVIDIA A100 80GB PCIe", "a100-pcie-80gb"), ("a100 40", "a100-sxm4-40gb"), ("GB200 (NVL72)", "gb200-186gb"),
    ("Apple M3 Max 40-Core GPU 64GB", "m3-max-40-core-64gb"), ("m3max 30-core 36gb", "m3-max-30-core-36gb"),
    ("Mac Studio (M3 Ultra 512GB)", "m3-ultra-80-core-512gb"), ("M1 Ultra (48 GPU Core) 64GB", "m1-ultra-48-core-64gb"),
    ("AMD MI300X-NPS1-SPX-192GB-750W", "mi300x"), ("RTX 4080 (from other posts of author in thread)", "rtx-4080"),
    ("RTX 5000 (Ada?)", "rtx-5000-ada"), ("Quadro RTX 5000", "quadro-rtx-5000"), ("3060 8GB", "rtx-3060-8gb"),
    ("4060 Ti 16GB", "rtx-4060-ti-16gb"), ("4070 ti super", "rtx-4070-ti-super"), ("4070s", "rtx-4070-super"),
    ("2080ti 22gb", "rtx-2080-ti-22gb"), ("rtx 4090 48gb", "rtx-4090-48gb"), ("7900xtx", "rx-7900-xtx"),
    ("NVIDIA RTX 6000 Ada Generation", "rtx-6000-ada"), ("DGX Spark", "gb10"), ("strix halo 64gb", "8060s-64gb"),
    ("NVIDIA GeForce RTX 4070 Laptop GPU", "rtx-4070-laptop"), ("RTX PRO 6000 Blackwell Max-Q Workstation Edition",
     "rtx-pro-6000-blackwell-max-q-workstation"), ("Tesla V100-SXM2-16GB", "v100-sxm2-16gb"), ("Gaudi2", "gaudi-2"),
    ("Intel Arc A310 ECO", "arc-a310"), ("AMD Radeon AI Pro R9700", "ai-pro-r9700"), ("gtx 1060 3gb", "gtx-1060-3gb"),
    ("gtx titan x", "geforce-gtx-titan-x"), ("mx570", "mx570"), ("gtx 1630", "gtx-1630"), ("t600 laptop", "t600-laptop"),
]  # fmt: skip
CPU_NAMES = [
    ("Intel(R) Xeon(R) CPU E5-2650 v4 @ 2.20GHz", "xeon-e5-2650-v4"), ("Epyc 9355", "epyc-9355"),
    ("xeon 6980P", "xeon-6980p"), ("AMD EPYC 9654 96-Core Processor", "epyc-9654"), ("9654", "epyc-9654"),
    ("2x Xeon Gold 6454S (32c each)", "xeon-gold-6454s"), ("1x EPYC 7773X 64c, 24 threads", "epyc-7773x"),
    ("Ryzen-7950X", "ryzen-9-7950x"), ("AMD Ryzen 9 7950X 16-Core Processor", "ryzen-9-7950x"),
    ("i9 14900KF", "core-i9-14900k"), ("Intel Core i5-12400F", "core-i5-12400"), ("Ultra 9 285K", "core-ultra-9-285k"),
    ("5975wx", "threadripper-pro-5975wx"), ("xeon platinum 8480+", "xeon-platinum-8480"), ("2630v4", "xeon-e5-2630-v4"),
    ("Intel Xeon Processor (SapphireRapids)", "xeon-platinum-8468"), ("Framework Desktop Mainboard (395+)",
     "ryzen-ai-max-395"), ("Mac Studio (M3 Ultra 512GB)", "apple-m3-ultra"), ("NVIDIA Grace CPU", "nvidia-grace"),
    ("AMD RYZEN AI MAX+ 395 w/ Radeon 8060S", "ryzen-ai-max-395"), ("j4125", "celeron-j4125"), ("n5105", "celeron-n5105"),
]  # fmt: skip


@pytest.mark.parametrize(("text", "part"), GPU_NAMES)
def test_gpus_as_written(text: str, part: str) -> None:
    assert gpu(text).id == part


@pytest.mark.parametrize(("text", "part"), CPU_NAMES)
def test_cpus_as_written(text: str, part: str) -> None:
    assert cpu(text).id == part


@pytest.mark.parametrize(
    "text",
    ["rtx 9999", "rtx", "geforce", "", "gpu", "80gb", "nvidia", "4090 25gb", "rx 4090", "gtx 3090", "amd 4090",
     "b200 pcie", "4080 ultra", "3090 banana", "a6000 ada", "rtx 5080 super", "xeon", "7", "h100 oam", "m3 ultra max"],
)  # fmt: skip
def test_gpus_are_not_guessed(text: str) -> None:
    assert find_gpu(text) is None
    with pytest.raises(UnknownName):
        gpu(text)


@pytest.mark.parametrize(
    "text", ["xeon", "epyc", "ryzen 9", "epyc 9999", "rtx 4090", "i9", "", "threadripper pro", "9"]
)
def test_cpus_are_not_guessed(text: str) -> None:
    assert find_cpu(text) is None
    with pytest.raises(UnknownName):
        cpu(text)


def test_unknown_names_come_with_near_ones() -> None:
    with pytest.raises(UnknownName) as wrong_size:
        gpu("rtx 4090 25gb")
    assert "GeForce RTX 4090" in wrong_size.value.near
    with pytest.raises(UnknownName) as misspelt:
        cpu("epyc 9645f")
    assert any("96" in name for name in misspelt.value.near)
    assert misspelt.value.hint


@pytest.mark.parametrize(
    ("text", "assumed"),
    [("a100", "A100 SXM4 40GB"), ("h100", "H100 SXM5 80GB"), ("3060", "RTX 3060 8GB"), ("rtx 6000", "RTX 6000 Ada")],
)
def test_what_a_name_leaves_open_is_said(text: str, assumed: str) -> None:
    found = resolve_gpu(text)
    assert assumed in found.spec.name
    assert any(assumed in each.text for each in found.assumptions)


def test_a_complete_name_needs_no_assumption() -> None:
    for text in ("rtx 4090", "h100 sxm 80gb", "a100 pcie 40gb", "m3 max 40-core 64gb"):
        assert resolve_gpu(text).assumptions == ()
    assert resolve_cpu("epyc 9654").assumptions == ()


def test_lists() -> None:
    def counts(text: str) -> list[tuple[int, str]]:
        return [(count, spec.id) for count, spec in gpu_list(text)]

    assert counts("5090; 2x3090") == [(1, "rtx-5090"), (2, "rtx-3090")]
    assert counts("5090+2x4090+A6000") == [(1, "rtx-5090"), (2, "rtx-4090"), (1, "rtx-a6000")]
    assert counts("15 dev: NVIDIA GeForce RTX 3090") == [(15, "rtx-3090")]
    assert counts("CUDA0 [2x NVIDIA RTX A6000]") == [(2, "rtx-a6000")]
    assert counts("4 dev: NVIDIA GeForce RTX 4090; NVIDIA RTX A6000") == [(3, "rtx-4090"), (1, "rtx-a6000")]
    assert counts("AMD Instinct MI300X 192GB HBM3 (x32)") == [(32, "mi300x")]
    assert counts("none (CPU only)") == []
    assert (cpu_list("2x 2xAMD EPYC 9374F (32 cores)")[0], cpu_list("EPYC 7713")[0]) == (2, 1)


def test_what_drivers_report_chooses_the_variant() -> None:
    def found(name: str, mib: int) -> str | None:
        spec = gpu_or_none(name, mib * 2**20)
        return spec.id if spec else None

    assert found("NVIDIA GeForce RTX 4090", 49140) == "rtx-4090-48gb"
    assert found("NVIDIA GeForce RTX 3060", 8192) == "rtx-3060-8gb"
    assert found("NVIDIA A100-SXM4-80GB", 81251) == "a100-sxm4-80gb"
    assert found("NVIDIA GH200 480GB", 97871) == "gh200-96gb"
    assert found("NVIDIA H20", 143771) == "h20-141gb"
    assert gpu_or_none("a card nobody knows", 1) is None
    few = cpu_or_none("AMD EPYC 9654 96-Core Processor", 8)
    assert few is not None and few.id == "epyc-9654"
    assert cpu_or_none("AMD EPYC 9654 96-Core Processor", 128) is None
    assert cpu_or_none("Intel Xeon Processor (SapphireRapids)", 8) is None
    assert cpu_or_none("13th Gen Intel(R) Core(TM) i7-13700K", 16) == cpu("13700k")


def test_shared_names_resolve(shared: Path) -> None:
    """At least 97 % of the rows of each column; what does not is a text that names no part."""
    for column, read in (("gpu", gpu_list), ("cpu", cpu_list)):
        rows = resolved = 0
        unresolved: set[str] = set()
        for path in sorted((shared / "truth").glob("*.csv")):
            if path.name == "memory.csv":  # its column holds buffer names such as CUDA0
                continue
            with path.open(encoding="utf-8", newline="") as table:
                for row in csv.DictReader(table):
                    if not row.get(column):
                        continue
                    rows += 1
                    try:
                        read(row[column])
                        resolved += 1
                    except UnknownName:
                        unresolved.add(row[column])
        assert rows > 2000
        assert resolved / rows >= 0.97, unresolved
        assert unresolved <= {"(2 GPU, unnamed)"}


def test_shared_parts_facts(shared: Path) -> None:
    """The collected figures of parts agree with the catalogue's."""
    with (shared / "truth" / "hardware_facts.csv").open(encoding="utf-8", newline="") as table:
        for row in csv.DictReader(table):
            gb_per_s = float(row["mem_bandwidth_gb_s"])
            if row["kind"] == "gpu":
                spec = gpu(row["part"])
                assert spec.memory_bandwidth_bytes_per_s / 1e9 == pytest.approx(gb_per_s, rel=0.005), row["part"]
                assert (spec.pcie_generation, spec.pcie_lanes) == (float(row["pcie_gen"]), int(row["pcie_lanes"]))
                assert (spec.link_bytes_per_s is None) == (row["nvlink_gb_s_bidir"] == "none")
            else:
                part = cpu(row["part"])
                assert part.memory_bandwidth_bytes_per_s() / 1e9 == pytest.approx(gb_per_s, rel=0.005), row["part"]
                assert (part.cores, part.threads) == (int(row["cores"]), int(row["threads"]))
                assert (part.pcie_generation, part.pcie_lanes) == (float(row["pcie_gen"]), int(row["pcie_lanes"]))


@settings(max_examples=15)  # each is read in four ways
@given(st.text(max_size=60))
def test_any_text_is_a_part_or_an_error_of_ours(text: str) -> None:
    for read in (gpu, cpu, gpu_list, cpu_list):
        try:
            read(text)
        except WellfedError as error:
            assert error.message


@given(
    st.sampled_from(gpus()), st.sampled_from(["{}", "NVIDIA {}", "1x {}", "{} (from my other box)", "{} graphics card"])
)
def test_dressing_up_a_name_changes_nothing(spec: object, dress: str) -> None:
    name = spec.name  # type: ignore[attr-defined]
    if spec.vendor != "nvidia" and "NVIDIA" in dress:  # type: ignore[attr-defined]
        return
    for text in (name, name.lower(), name.upper(), name.replace(" ", "-")):
        assert gpu(dress.format(text)) == spec
