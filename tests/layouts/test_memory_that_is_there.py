"""Memory that is really there: what a BIOS carves out, what a driver maps and allocates at once."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.hardware.machine import Gpu
from wellfed.topology.gpu_amd import filled
from wellfed.units import GIB

HALO = "ryzen ai max+ 395, 128gb"


def as_it_is(line: str, on: str, *more: str) -> dict[str, Any]:
    done = CliRunner().invoke(cli, ["plan", "--on", on, "--from-command", line, "--json", *more])
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.output)["as_it_is"]
    return found


def capacity(found: dict[str, Any]) -> float:
    return float(found["memory"][0]["capacity_bytes"]) / GIB


class TestCarveOut:
    LINE = "llama-server -m gpt-oss-120b-mxfp4.gguf -c 131072 -ngl 99"

    @pytest.mark.parametrize(
        ("said", "gib"), [("96GiB", 112), ("512MiB", 0.5 + 63.75), ("512MiB,108GiB", 108.5), ("64GiB", 96)]
    )
    def test_graphics_have_it_and_half_of_the_rest_or_as_said(self, said: str, gib: float) -> None:
        assert capacity(as_it_is(self.LINE, HALO, "--carve-out", said)) == pytest.approx(gib)

    def test_what_it_takes_is_no_ram_for_others(self) -> None:
        """GPU and CPU together still are one pool."""
        found = as_it_is(self.LINE, HALO, "--carve-out", "96GiB")
        ram = next(device for device in found["memory"] if device["device"] == "ram")
        assert ram["capacity_bytes"] == 128 * GIB and ram["needed_bytes"] > found["memory"][0]["needed_bytes"]

    def test_windows_has_limits_of_its_own(self) -> None:
        assert capacity(as_it_is(self.LINE, HALO, "--os", "windows")) == pytest.approx(128 * 0.875)

    def test_linux_is_taken_to_be_told_and_that_is_said(self) -> None:
        told = as_it_is(self.LINE.replace("-c 131072", "-c 131072 -ub 4096"), HALO)["assumptions"]
        assert any("ttm.pages_limit" in str(one["reason"]) for one in told)
        assert not any(
            "ttm" in str(one) for one in as_it_is("llama-server -m Qwen3-8B-Q8_0.gguf -c 8192", HALO)["assumptions"]
        )

    @pytest.mark.parametrize(
        ("on", "said"),
        [
            ("rtx 4090, ryzen 9 7950x, 64gb", "8GiB"),
            (HALO, "200GiB"),
            (HALO, "x"),
            (HALO, "8GiB,8GiB,8GiB"),
            (HALO, "64GiB,100GiB"),
        ],
    )
    def test_what_cannot_be_is_an_error(self, on: str, said: str) -> None:
        done = CliRunner().invoke(cli, ["plan", "qwen3-8b", "--on", on, "--carve-out", said])
        assert done.exit_code != 0

    def test_a_live_machine_tells_both(self) -> None:
        class Sysfs:
            def text(self, path: str) -> str | None:
                name = Path(path).name
                told = {"mem_info_vram_total": 8 * GIB, "mem_info_vram_used": GIB, "mem_info_gtt_total": 44 * GIB}
                return str(told[name]) if name in told else None

            def names(self, path: str) -> list[str]:
                return []

        gpu = filled(Sysfs(), Gpu(0, pci_address="0000:c4:00.0"))  # type: ignore[arg-type]
        assert (gpu.memory_bytes, gpu.gtt_bytes) == (8 * GIB, 44 * GIB)


class TestVulkansBuffers:
    LINE = "llama-server -m Qwen3-Coder-30B-A3B-Q6_K.gguf -c {context} -ngl 99 -np 1 -fa off --device Vulkan0"

    def fits(self, context: int, *more: str) -> bool:
        return bool(as_it_is(self.LINE.format(context=context), HALO, *more)["fits"])

    def test_scores_without_flash_attention_are_one_tensor(self) -> None:
        """512 x 32 heads x context x 4 bytes: 2 GiB at 32,768 tokens, 4 GiB at 65,536."""
        assert self.fits(65_536) and not self.fits(66_560)
        assert self.fits(32_768, "--os", "windows") and not self.fits(40_000, "--os", "windows")

    def test_other_back_ends_have_no_such_limit(self) -> None:
        assert as_it_is(self.LINE.format(context=80_000).replace("Vulkan0", "ROCm0"), HALO)["fits"]

    def test_with_flash_attention_there_are_none(self) -> None:
        assert as_it_is(self.LINE.format(context=80_000).replace("off", "on"), HALO)["fits"]

    def test_an_image_names_the_back_end(self) -> None:
        line = "docker run ghcr.io/ggml-org/llama.cpp:server-vulkan -m Qwen3-8B-Q8_0.gguf -ngl 99 -c 4096"
        assert as_it_is(line, "rx 7900 xtx, ryzen 9 7950x, 64gb")["layout"]["back_end"] == "vulkan"
