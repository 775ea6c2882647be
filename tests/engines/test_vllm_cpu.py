"""vLLM on CPUs: offered to those who name it, one rank a node, with the CPUs of every rank in its command."""

from __future__ import annotations

from dataclasses import replace

import pytest

from wellfed.engines.placement import rank_cpus, threads
from wellfed.engines.spec import Binding, Endpoint, LaunchSpec
from wellfed.engines.vllm import FLAGS
from wellfed.hardware.machine import Cpu, Machine, NumaNode, Origin, Socket
from wellfed.launch.programs import Program, unknown_flags
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout
from wellfed.nouns.plan import Plan
from wellfed.units import GIB
from wellfed.verbs import planning, running

SERVER = "2x EPYC 9654 with 24x 64GB DDR5-4800"


def plans(model: str = "llama-3.1-8b", on: str = SERVER, named: bool = True) -> list[Plan]:
    """What is offered."""
    engines = (Engine.VLLM,) if named else ()
    return list(planning.plan(model, planning.PlanOptions(on=on, engines=engines)).ranking.plans)


def written(plan: Plan) -> LaunchSpec:
    """As it would be started."""
    return running.launch_spec(plan, Program(("vllm",), "test"), "/models/m", Endpoint(api_key="sk-secret"))


def two_nodes(cores: int = 4) -> Machine:
    """Two sockets of so many cores with two threads each, numbered as Linux does: siblings come last."""
    cpus = tuple(
        Cpu(thread * 2 * cores + socket * cores + core, socket, core, socket)
        for thread in range(2)
        for socket in range(2)
        for core in range(cores)
    )
    nodes = tuple(
        NumaNode(node, node, tuple(cpu.os_index for cpu in cpus if cpu.numa_node == node), 64 * GIB)
        for node in range(2)
    )
    return Machine("m", Origin.PARTS, sockets=(Socket(0), Socket(1)), numa_nodes=nodes, cpus=cpus)


def laid_out(ranks: int, count: int | None = None) -> Layout:
    """vLLM on CPUs with so many ranks and threads."""
    return Layout(Engine.VLLM, "bf16", gpus=0, offload=CPU_ONLY, tensor_parallel=ranks, threads=count)


def test_only_those_who_name_it_get_it() -> None:
    assert plans() and all(plan.layout.gpus == 0 and plan.layout.quantisation == "bf16" for plan in plans())
    assert all(plan.layout.engine is not Engine.VLLM for plan in plans(named=False))
    assert not any(plan.layout.gpus == 0 for plan in plans(on=f"{SERVER} and RTX 4090"))


def test_weights_published_in_fp8_are_refused() -> None:
    answer = planning.plan("deepseek-r1", planning.PlanOptions(on=SERVER, engines=(Engine.VLLM,)))
    assert not answer.ranking.plans and any("formats" in refusal.reason for refusal in answer.ranking.refused)


def test_a_rank_for_each_node_or_one_node_alone() -> None:
    assert {plan.layout.tensor_parallel for plan in plans()} == {1, 2}


def test_its_speed_is_said_to_be_unverified() -> None:
    estimate = plans()[0].estimate
    assert estimate.tpot_s.high > 3 * estimate.tpot_s.low
    assert any("vLLM" in assumption.text for assumption in estimate.assumptions)


def test_the_command_has_the_caches_bytes_and_known_flags_only() -> None:
    for plan in plans():
        spec = written(plan)
        words = dict(zip(spec.argv, spec.argv[1:], strict=False))
        assert unknown_flags(spec.argv, " ".join(FLAGS)) == ()
        kv = next(term.bytes for term in plan.estimate.memory.devices[0].terms if term.name == "kv")
        assert int(words["--kv-cache-memory-bytes"]) * plan.layout.tensor_parallel == kv
        assert words["--dtype"] == "bfloat16" and "--numa-bind" not in spec.argv
        assert spec.gpus == () and "sk-secret" not in spec.command_line()


def test_each_rank_has_its_nodes_cores_and_leaves_one() -> None:
    assert rank_cpus(two_nodes(), laid_out(2), Binding()) == ((0, 1, 2), (4, 5, 6))
    assert rank_cpus(two_nodes(), laid_out(2, 4), Binding()) == ((0, 1), (4, 5))
    assert rank_cpus(two_nodes(), laid_out(1), Binding((4, 5, 6, 7, 12, 13, 14, 15))) == ((4, 5, 6),)
    assert threads(two_nodes(), laid_out(2), Binding()) == 6


def test_ranks_beyond_the_nodes_divide_the_cores() -> None:
    assert rank_cpus(two_nodes(), laid_out(4), Binding()) == ((0,), (2,), (4,), (6,))
    assert rank_cpus(two_nodes(1), laid_out(2), Binding()) == ((0,), (1,))
    assert rank_cpus(two_nodes(1), laid_out(4), Binding()) is None


def test_the_command_binds_the_ranks() -> None:
    plan = plans()[0]
    here = replace(plan, machine=two_nodes(), layout=replace(plan.layout, tensor_parallel=2, threads=6))
    spec = written(here)
    assert spec.environment == {"VLLM_CPU_OMP_THREADS_BIND": "0-2|4-6"}
    assert set(spec.binding.cpus) == set(range(16)) and not spec.binding.nodes


@pytest.mark.parametrize("cpus", [(), (Cpu(0),)])
def test_unknown_threads_are_left_to_the_engine(cpus: tuple[Cpu, ...]) -> None:
    machine = replace(two_nodes(), cpus=cpus)
    assert rank_cpus(machine, laid_out(2), Binding()) is None
