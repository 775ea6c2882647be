"""Each diagnosis: a scene that has it, one that has not, and what it does where evidence is missing."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.watch.scenes import GIB, H100, PID, PROMISE, QUIET, Scene, T, pages, said

from wellfed.faults.registry import ALL as FAULTS
from wellfed.nouns.finding import Cost, Verdict
from wellfed.watching.diagnose import diagnose, findings
from wellfed.watching.registry import ALL
from wellfed.watching.rules.base import Kind, Rule
from wellfed.watching.sample import GpuProcess, Sockets
from wellfed.watching.view import Baseline, View
from wellfed.watching.window import view

GPU = Scene(gpus=(H100,), threads=(T(0.3), T(0.97, pid=PID + 100)), engine_now={"kind": "vllm"})
IDLE_GPU = replace(H100, busy=0.35, memory_busy=0.2, power_w=210.0)
STRANGER = (GpuProcess(PID, 30 * GIB), GpuProcess(77, 20 * GIB))

ILL: dict[str, tuple[Scene, ...]] = {
    "stopped": (Scene(process_now={"state": "T"}, threads=(T(0.0),), engine_now={"answers": False, "waited_s": 9.0}),),
    "gone": (Scene(process_now={"alive": False, "threads": None, "state": None}),),
    "unresponsive": (Scene(threads=(T(0.0), T(0.0)), engine_now={"answers": False, "waited_s": 30.0}),),
    "cpu-quota": (Scene(threads=(T(0.5, 0.4), T(0.5, 0.4)), throttled=0.9),),
    "cpu-too-few": (
        Scene(threads=(T(0.5, 0.5), T(0.5, 0.5)), allowed=(3,)),
        Scene(threads=tuple(T(0.5, 0.48) for _ in range(16)), cpus=8),
    ),
    "other-tenant-cpu": (Scene(threads=(T(0.5, 0.5), T(0.5, 0.5)), cpus=2, foreign=1.0),),
    "cpu-stolen": (Scene(threads=(T(0.7, 0.05),) * 2, cpus=2, stolen=0.6),),
    "cpu-clocks": (Scene(threads=(T(0.99),) * 8, clock=0.2),),
    "paging": (Scene(threads=(T(0.3),), major=200.0, refaults=9000.0),),
    "swapping": (Scene(threads=(T(0.3),), swapped=4000.0),),
    "memory-runs-out": (Scene(rss_growth=60e6, available_growth=-70e6),),
    "numa-remote": (
        Scene(nodes=2, threads=(T(0.9, cpu=1),) * 4, process_now={"pages": pages(0.2, 8.0)}),
        replace(GPU, nodes=2, threads=(T(0.1), T(0.95, pid=PID + 100, cpu=7))),
    ),
    "queueing": (Scene(waiting=6.0, running=4.0),),
    "context-full": (Scene(engine_now={"context_fill": 0.97}),),
    "kv-pressure": (replace(GPU, waiting=8.0, running=30.0, engine_now={"kind": "vllm", "kv_usage": 0.99}),),
    "slow-client": (Scene(sockets=Sockets(2, 400_000, 1, 0)),),
    "gpu-launch-bound": (replace(GPU, gpus=(IDLE_GPU,)), replace(GPU, gpus=(IDLE_GPU,), threads=(T(0.99), T(0.1)))),
    "tokeniser-bound": (replace(GPU, gpus=(IDLE_GPU,), threads=(T(0.99), T(0.3, pid=PID + 100)), waiting=0.0),),
    "pcie-bound": (replace(GPU, gpus=(replace(IDLE_GPU, pcie_read_bytes_per_s=48e9),)),),
    "gpu-throttled": (
        replace(GPU, gpus=(replace(H100, reasons=("hw_thermal_slowdown",), clock_hz=1.1e9, temperature_c=91.0),)),
        replace(GPU, gpus=(replace(H100, reasons=("sw_power_cap",), clock_hz=1.3e9, power_w=699.0),)),
    ),
    "gpu-low-clocks": (replace(GPU, gpus=(replace(H100, clock_hz=0.6e9, pstate=5),)),),
    "gpu-errors": (
        replace(GPU, gpus=(replace(H100, xids=(79,)),)),
        replace(GPU, gpu_growth={"ecc_uncorrected": 1.0}),
        replace(GPU, gpu_growth={"replays": 30.0}),
    ),
    "other-tenant-gpu": (
        replace(GPU, gpus=(replace(H100, processes=STRANGER),), running=0.0, tok_s=0.0, threads=(T(0.01),)),
    ),
}
HEALTHY: dict[str, Scene] = {
    "cpu-bound": QUIET,
    "no-demand": Scene(running=0.0, tok_s=0.0, steps_s=0.0, threads=(T(0.0), T(0.01))),
    "hbm-bound": GPU,
    "compute-bound-prefill": replace(GPU, tok_s=2.0, prompt_tok_s=9000.0),
}
CASES = [(name, scene) for name, scenes in ILL.items() for scene in scenes] + list(HEALTHY.items())


@pytest.mark.parametrize(("name", "scene"), CASES)
def test_each_scene_is_called_by_its_name(name: str, scene: Scene) -> None:
    found = said(scene)
    assert found.id == name, [cause.rule.id for cause in found.causes]
    assert found.ill == (name in ILL)
    assert not found.crashed


@pytest.mark.parametrize(("name", "scene"), CASES)
def test_nothing_else_is_named_beside_it_but_what_follows(name: str, scene: Scene) -> None:
    others = [cause for cause in said(scene).causes if cause.rule.id != name and cause.of is None]
    assert not others, [cause.rule.id for cause in others]


@pytest.mark.parametrize("rule", ALL, ids=lambda rule: rule.id)
def test_every_rule_is_documented_and_quiet_without_evidence(rule: Rule) -> None:
    assert rule.title
    assert rule.reads
    assert rule.rule
    assert not list(rule.judge(View(10.0, 10, 1.0)))


def test_every_rule_has_a_scene() -> None:
    elsewhere = {"memory-contention", "start-slow", "decode-slow", "as-promised", "memory-errors"}
    assert {rule.id for rule in ALL} - elsewhere == {*ILL, *HEALTHY}


def test_ids_that_rules_explain_exist() -> None:
    known = {rule.id for rule in ALL} | {"*"}
    assert not {each for rule in ALL for each in rule.explains} - known


def test_checks_that_rules_name_exist() -> None:
    from wellfed.checks.registry import ALL as CHECKS

    assert {id for fault in FAULTS for id in fault.states} <= {check.id for check in CHECKS}
    assert {id for fault in FAULTS for id in fault.behaviours} <= {rule.id for rule in ALL}


def test_memory_contention_needs_a_reference_and_others() -> None:
    slow = Scene(steps_s=20.0, tok_s=20.0, foreign=3.0)
    assert said(slow, baseline=Baseline(40.0, 1.0)).id == "memory-contention"
    assert said(slow, promise=PROMISE).id == "memory-contention"
    assert said(slow).id == "cpu-bound"  # nobody knows that it was ever faster
    assert said(replace(slow, foreign=0.0), baseline=Baseline(40.0, 1.0)).id == "cpu-bound"
    assert said(Scene(foreign=3.0), promise=PROMISE).id == "cpu-bound"  # others run, and take nothing


def test_slower_than_planned_without_a_cause_is_unknown_and_says_what_to_measure() -> None:
    found = said(Scene(tok_s=8.0, steps_s=8.0), promise=PROMISE)
    assert found.id == "unknown"
    assert found.next
    assert findings(found)[0].verdict is Verdict.UNKNOWN


def test_too_little_evidence_is_unknown() -> None:
    assert said(QUIET, seconds=2).id == "unknown"
    assert diagnose(view(())).id == "unknown"


def test_loading_is_not_paging() -> None:
    assert said(Scene(major=500.0, refaults=0.0)).id == "cpu-bound"


def test_a_queue_behind_a_fault_follows_from_it() -> None:
    found = said(Scene(threads=(T(0.5, 0.5), T(0.5, 0.5)), allowed=(3,), waiting=5.0))
    assert found.id == "cpu-too-few"
    assert {cause.rule.id: cause.of for cause in found.causes}["queueing"] == "cpu-too-few"


def test_wait_is_split_between_own_threads_and_others() -> None:
    both = said(Scene(threads=(T(0.25, 0.75),) * 4, cpus=2, foreign=1.0))
    named = {cause.rule.id: cause.sign.strength for cause in both.causes}
    assert set(named) == {"cpu-too-few", "other-tenant-cpu"}
    assert named["cpu-too-few"] > named["other-tenant-cpu"]
    assert sum(named.values()) == pytest.approx(0.75, abs=0.02)


def test_involuntary_switches_stand_for_waits_that_the_kernel_does_not_count() -> None:
    scene = Scene(threads=(T(0.5), T(0.5)), cpus=2, foreign=1.0)
    blind = []
    for second, sample in enumerate(scene.samples()):
        assert sample.process
        threads = tuple(replace(t, wait_s=None, involuntary=200 * second) for t in sample.process.threads or ())
        blind.append(replace(sample, process=replace(sample.process, threads=threads)))
    assert diagnose(view(blind)).id == "other-tenant-cpu"


def test_a_container_whose_driver_counts_processes_otherwise_still_has_its_gpu() -> None:
    seen_from_outside = replace(H100, processes=(GpuProcess(991, 39 * GIB),), busy=0.35, memory_busy=0.2)
    assert said(replace(GPU, gpus=(seen_from_outside,))).id == "gpu-launch-bound"


def test_a_cpu_engine_beside_somebody_elses_gpu_is_a_cpu_engine() -> None:
    theirs = replace(H100, processes=(GpuProcess(991, 39 * GIB),))
    scene = replace(QUIET, gpus=(theirs,), process_now={"uses_gpu": False})
    assert said(scene).id == "cpu-bound"


def test_costs_stand_with_faults_that_nothing_explains() -> None:
    scene = Scene(threads=(T(0.5, 0.5), T(0.5, 0.5)), allowed=(3,), waiting=5.0)
    priced_findings = findings(said(scene), lambda cause, view: Cost(decode_tok_s=7.0))
    assert [each.cost is not None for each in priced_findings] == [True, False]


def test_a_rule_that_crashes_harms_no_other() -> None:
    def broken(_: View) -> list[object]:
        raise ZeroDivisionError

    bad = Rule("broken", "", Kind.ILL, "", "", broken)  # type: ignore[arg-type]
    found = diagnose(view(QUIET.samples()), (bad, *ALL))
    assert found.id == "cpu-bound"
    assert found.crashed == ("broken: ZeroDivisionError: ",)


def test_decode_at_the_memorys_bandwidth_is_told_as_such() -> None:
    kept = said(QUIET, promise=PROMISE).causes[0].sign
    assert "memory" in kept.why
    read = said(QUIET, promise=replace(PROMISE, bytes_per_token=4e9, memory_bytes_per_s=200e9)).causes[0].sign
    assert any("80 % of the memory's bandwidth" in each for each in read.evidence)
    compute = said(QUIET, promise=replace(PROMISE, limited_by="compute")).causes[0].sign
    assert "memory" not in compute.why


def test_the_promise_follows_the_engines_own_command() -> None:
    from wellfed.nouns.layout import Engine, Layout
    from wellfed.verbs.promises import as_started
    from wellfed.verbs.watching import model_of

    layout = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=1, threads=8)
    words = ("llama-server", "-m", "/none.gguf", "--threads", "3", "--parallel=4", "-ngl", "0")
    found = as_started(layout, words)
    assert (found.threads, found.max_sequences, found.gpus) == (3, 4, 0)
    assert found.offload.cpu_only
    assert as_started(layout, ()) == layout
    assert as_started(layout, ("--threads",)) == layout
    assert as_started(layout, ("--threads", "many")) == layout
    assert model_of(words) is None
    assert model_of(("x", "--model", __file__)) == __file__


def test_lost_time_is_priced_without_a_plan_and_a_plan_only_adds() -> None:
    from wellfed.verbs.watching import priced_findings

    scene = Scene(threads=(T(0.5, 0.5), T(0.5, 0.5)), cpus=2, foreign=1.0, tok_s=10.0)
    alone = priced_findings(said(scene))[0].cost
    assert alone is not None
    assert alone.decode_tok_s == pytest.approx(10.0)  # half of the time is taken: twice as fast without
    planned = priced_findings(said(scene, promise=PROMISE))[0].cost
    assert planned is not None
    assert planned.decode_tok_s == pytest.approx(PROMISE.decode_tok_s - 10.0)
    modest = priced_findings(said(scene, promise=replace(PROMISE, decode_tok_s=11.0)))[0].cost
    assert modest is not None
    assert modest.decode_tok_s == pytest.approx(10.0)


def test_a_stopped_engine_costs_all_that_was_promised() -> None:
    from wellfed.verbs.watching import priced_findings

    cost = priced_findings(said(ILL["stopped"][0], promise=PROMISE))[0].cost
    assert cost is not None
    assert cost.decode_tok_s == PROMISE.decode_tok_s
