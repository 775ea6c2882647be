"""vLLM's build for CPUs, really started: what it says of its cache is what was predicted, and nothing of it stays."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import urllib.request
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import psutil
import pytest

from launch import vllm_models
from launch.conftest import gone
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.launch.process import EngineFailed, free_port
from wellfed.launch.programs import Program
from wellfed.launch.service import Service, end, serve
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import PRESETS
from wellfed.perf.memory import pool_tokens
from wellfed.verbs import as_started, planning, running

pytestmark = pytest.mark.vllm
START_S = 300.0
MADE_UP = ("--load-format", "dummy")


@pytest.fixture(scope="session")
def vllm() -> str:
    """A vLLM built for CPUs, on a machine with two cores for its ranks."""
    found = os.environ.get("WELLFED_VLLM") or shutil.which("vllm")
    if found is None or shutil.which(found) is None:
        pytest.skip("no vLLM: WELLFED_VLLM names none and none is on PATH")
    told = subprocess.run([found, "--version"], capture_output=True, text=True, timeout=120, check=False).stdout
    if "cpu" not in told:
        pytest.skip(f"vLLM {told.strip()} is not built for CPUs")
    if len(os.sched_getaffinity(0)) < 2:
        pytest.skip("two ranks need two cores")
    return found


@pytest.fixture(autouse=True)
def own_folders(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """State of its own, and nothing left in shared memory or beside it."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    monkeypatch.setenv("VLLM_NO_USAGE_STATS", "1")
    before = lying_about()
    yield
    assert lying_about() <= before


def lying_about() -> set[Path]:
    """Shared memory and vLLM's meeting points."""
    return {*Path("/dev/shm").iterdir(), *Path(tempfile.gettempdir()).glob("vllm_dist_*")}


def planned(folder: Path, ranks: int, context: int = 1000, users: int = 3) -> Plan:
    """The plan for `ranks` on this machine; several share a node where there is but one."""
    workload = replace(PRESETS["chat"], concurrency=users, context_tokens=context, prompt_tokens=100, output_tokens=100)
    options = planning.PlanOptions(workload=workload, engines=(Engine.VLLM,))
    best = planning.plan(str(folder), options).ranking.plans[0]
    wide = replace(best.layout, tensor_parallel=ranks, threads=None)
    return as_started.as_started(as_started.estimated(best, wide), Program(("vllm",), "test"))[0]


def launch(plan: Plan, program: str, folder: Path, *extra: str) -> LaunchSpec:
    """Its command, with weights made up."""
    endpoint = Endpoint(port=free_port())
    spec = running.launch_spec(plan, Program((program,), "test"), str(folder), endpoint)
    return replace(spec, argv=(*spec.argv, *MADE_UP, *extra))


def ask(url: str, model: str) -> dict[str, Any]:
    """One completion."""
    body = json.dumps({"model": model, "prompt": "w1 w2 w3", "max_tokens": 5, "ignore_eos": True}).encode()
    request = urllib.request.Request(f"{url}/v1/completions", body, {"Content-Type": "application/json"})
    with urllib.request.urlopen(request, timeout=120) as response:
        answer: dict[str, Any] = json.load(response)
    return answer


def tokens_logged(service: Service) -> int:
    """What vLLM says that its cache holds."""
    said = re.search(r"KV cache size: ([\d,]+) tokens", Path(service.running.log).read_text())
    assert said is not None
    return int(said[1].replace(",", ""))


@pytest.mark.parametrize(("kind", "killed"), [("llama", False), ("deepseek_v2", True)])
def test_two_ranks_serve_with_the_predicted_cache_and_leave_nothing(
    vllm: str, tmp_path: Path, kind: str, killed: bool
) -> None:
    folder = vllm_models.write(tmp_path / kind, kind)
    plan = planned(folder, ranks=2)
    spec = launch(plan, vllm, folder)
    service = serve(spec, plan.model.id, START_S)
    try:
        family = [service.engine.pid, *(one.pid for one in psutil.Process(service.engine.pid).children(recursive=True))]
        assert tokens_logged(service) == pool_tokens(
            Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload)
        )
        answer = ask(spec.endpoint.url, plan.model.id)
        assert answer["usage"]["completion_tokens"] == 5 and answer["choices"][0]["text"]
        assert service.placement.resident_bytes is not None
        needed = plan.estimate.memory.devices[0].needed_bytes
        assert service.placement.resident_bytes < needed * 1.1
        assert running_ranks(family) == [{cpu} for cpu in rank_cpus(spec)]
        if killed:
            os.kill(service.engine.pid, signal.SIGKILL)
    finally:
        assert end(service.running)
    assert all(gone(pid) for pid in family)


def rank_cpus(spec: LaunchSpec) -> list[int]:
    """The CPU of each rank's one thread, as asked for."""
    return [int(part) for part in spec.environment["VLLM_CPU_OMP_THREADS_BIND"].split("|")]


def running_ranks(family: list[int]) -> list[set[int]]:
    """The CPUs that each rank's main thread may run on."""
    ranks = {}
    for pid in family:
        title = (Path("/proc") / str(pid) / "cmdline").read_text().rstrip("\0 ")
        if "Worker_TP" in title:
            ranks[title] = set(os.sched_getaffinity(pid))
    return [ranks[title] for title in sorted(ranks)]


def test_a_cache_beyond_memory_is_explained(vllm: str, tmp_path: Path) -> None:
    folder = vllm_models.write(tmp_path / "llama", "llama")
    plan = planned(folder, ranks=1)
    spec = launch(plan, vllm, folder, "--kv-cache-memory-bytes", str(1 << 45))
    with pytest.raises(EngineFailed, match="too little memory is free") as failed:
        serve(spec, plan.model.id, START_S)
    assert failed.value.hint
