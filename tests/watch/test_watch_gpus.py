"""From the driver's answers to the diagnosis: NVML scenes through the sampler, the window and the rules."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest
from tests.watch.fake_nvml import FakeNvml
from tests.watch.scenes import PID, Scene, T

from wellfed.watching.diagnose import Diagnosis, diagnose
from wellfed.watching.samplers.nvml import GpuSampler
from wellfed.watching.window import view

GIB = 2**30
FED: dict[str, Any] = {
    "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=98, memory=61),
    "nvmlDeviceGetMemoryInfo": SimpleNamespace(used=20 * GIB, total=24 * GIB),
    "nvmlDeviceGetClockInfo": 2520,
    "nvmlDeviceGetMaxClockInfo": 2580,
    "nvmlDeviceGetPowerUsage": 330_000,
    "nvmlDeviceGetEnforcedPowerLimit": 450_000,
    "nvmlDeviceGetTemperature": 66,
    "nvmlDeviceGetPerformanceState": 2,
    "nvmlDeviceGetCurrentClocksThrottleReasons": 0,
    "nvmlDeviceGetPcieThroughput": 40_000,
    "nvmlDeviceGetCurrPcieLinkGeneration": 4,
    "nvmlDeviceGetCurrPcieLinkWidth": 16,
    "nvmlDeviceGetPcieReplayCounter": 3,
    "nvmlDeviceGetTotalEccErrors": FakeNvml.NVMLError("Not Supported"),
    "nvmlDeviceGetComputeRunningProcesses": [SimpleNamespace(pid=PID, usedGpuMemory=19 * GIB)],
}
STARVED = {"nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=38, memory=14), "nvmlDeviceGetPowerUsage": 120_000}
DECODE = Scene(threads=(T(0.99), T(0.05)), gpus=())
PREFILL = replace(DECODE, tok_s=1.0, prompt_tok_s=5000.0)
STEPS = {"now": 0}


def growing(start: int, by: int) -> Any:
    """A counter."""
    return lambda *_: start + by * STEPS["now"]


SCENES: dict[str, tuple[str, dict[str, Any], Scene]] = {
    "fed": ("hbm-bound", {}, DECODE),
    "prompts": ("compute-bound-prefill", {}, PREFILL),
    "starved by a slow core": ("gpu-launch-bound", STARVED, DECODE),
    "starved, the core is not the engine's": (
        "other-tenant-cpu",
        STARVED,
        replace(DECODE, threads=(T(0.5, 0.5), T(0.02)), cpus=2, foreign=1.5),
    ),
    "starved by a quota": ("cpu-quota", STARVED, replace(DECODE, threads=(T(0.5, 0.4),), throttled=0.8)),
    "experts over a Gen4 x4 link": (
        "pcie-bound",
        {**STARVED, "nvmlDeviceGetPcieThroughput": 6_300_000, "nvmlDeviceGetCurrPcieLinkWidth": 4},
        DECODE,
    ),
    "the same traffic over x16": (
        "gpu-launch-bound",
        {**STARVED, "nvmlDeviceGetPcieThroughput": 6_300_000},
        DECODE,
    ),
    "hot": (
        "gpu-throttled",
        {"nvmlDeviceGetCurrentClocksThrottleReasons": 0x60, "nvmlDeviceGetClockInfo": 1200},
        DECODE,
    ),
    "at its power limit, little lost": ("hbm-bound", {"nvmlDeviceGetCurrentClocksThrottleReasons": 0x4}, DECODE),
    "clocks locked low": (
        "gpu-low-clocks",
        {"nvmlDeviceGetCurrentClocksThrottleReasons": 0x2, "nvmlDeviceGetClockInfo": 800},
        DECODE,
    ),
    "riser": ("gpu-errors", {"nvmlDeviceGetPcieReplayCounter": growing(3, 9)}, DECODE),
    "dying memory": ("gpu-errors", {"nvmlDeviceGetTotalEccErrors": growing(0, 1)}, DECODE),
    "idle clocks without demand": (
        "no-demand",
        {
            "nvmlDeviceGetUtilizationRates": SimpleNamespace(gpu=0, memory=0),
            "nvmlDeviceGetClockInfo": 210,
            "nvmlDeviceGetPerformanceState": 8,
            "nvmlDeviceGetCurrentClocksThrottleReasons": 0x1,
            "nvmlDeviceGetCurrPcieLinkGeneration": 1,
        },
        replace(DECODE, threads=(T(0.01),), running=0.0, tok_s=0.0, steps_s=0.0),
    ),
}  # fmt: skip


def played(answers: dict[str, Any], scene: Scene) -> Diagnosis:
    """The scene with what the driver says meanwhile."""
    sampler = GpuSampler(FakeNvml(**{**FED, **answers}))
    samples = []
    for STEPS["now"], sample in enumerate(scene.samples(16)):
        samples.append(replace(sample, gpus=sampler.sample()))
    return diagnose(view(samples))


@pytest.mark.parametrize("name", SCENES)
def test_each_scene_of_the_driver_is_called_by_its_name(name: str) -> None:
    wanted, answers, scene = SCENES[name]
    found = played(answers, scene)
    assert found.id == wanted, [(cause.rule.id, cause.sign.evidence) for cause in found.causes]
    assert not found.crashed


@pytest.mark.parametrize("missing", sorted(FED))
def test_a_fed_gpu_is_never_ill_whatever_the_driver_keeps_back(missing: str) -> None:
    found = played({missing: FakeNvml.NVMLError("Not Supported")}, DECODE)
    assert not found.ill, [(cause.rule.id, cause.sign.evidence) for cause in found.causes]
    assert not found.crashed


def test_a_driver_that_keeps_everything_back_says_nothing_ill() -> None:
    found = played({name: FakeNvml.NVMLError("Insufficient Permissions") for name in FED}, DECODE)
    assert not found.ill
