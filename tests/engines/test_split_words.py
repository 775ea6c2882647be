"""The flags of a split, read back as the engines read them, put every layer where the plan has it."""

from __future__ import annotations

import re
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellfed.engines.exports import EXPORTS
from wellfed.engines.layer_split import expert_words, split_words
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.hardware.machine import Machine
from wellfed.launch.programs import Program, recorded_flags, unknown_flags
from wellfed.models.model import Model
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import EXPERTS_ON_CPU, Engine, Layout, Offload
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import PRESETS
from wellfed.perf.estimate import estimate
from wellfed.perf.memory.fill import fullest
from wellfed.planner.usable import usable
from wellfed.verbs import inputs, running

MOE_BOX = "4x rtx 4090, 2x epyc 9554, 24x32GB ddr5-4800"
ENGINES = (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP)


@pytest.fixture(scope="module")
def box() -> Machine:
    return inputs.machine(MOE_BOX)


@pytest.fixture(scope="module", params=["deepseek-r1", "glm-4.5", "qwen3-235b-a22b"])
def model(request: pytest.FixtureRequest) -> Model:
    """With and without layers for multi-token prediction, which some files count."""
    return inputs.model(request.param).model


def planned(box: Machine, model: Model, engine: Engine, split: tuple[int, ...] = (), cpu: int | None = None) -> Plan:
    """The plan with the split, or the one that holds most experts."""
    kind = quantisation("q4_k_m")
    gpus = len(split) or len(box.gpus)
    layout = Layout(engine, kind.id, gpus=gpus, split=split, offload=Offload(cpu_expert_layers=cpu or 0))
    asked = Request(box, model, weights(model, kind), layout, PRESETS["chat"])
    if not split:
        found = fullest(asked)
        assert found is not None
        layout = replace(layout, split=found.split, offload=Offload(cpu_expert_layers=found.cpu_experts))
        asked = replace(asked, layout=layout)
    return Plan(box, model, asked.weights, layout, asked.workload, estimate(asked, inputs.calibration()))


def by_count(words: list[str], units: int) -> list[int]:
    """llama.cpp: layer i of n goes to the first device whose running sum of proportions exceeds i / n."""
    sums = np.cumsum(np.array([float(word) for word in words[1].split(",")], dtype=np.float32), dtype=np.float32)
    sums /= sums[-1]
    at = [int(np.searchsorted(sums, np.float32(i) / np.float32(units), side="right")) for i in range(units)]
    return [at.count(gpu) for gpu in range(len(sums))]


def by_bytes(words: list[str], sizes: list[float], compute: float) -> list[int]:
    """ik_llama.cpp since March 2026: up to each device's running share of all bytes, to the nearest layer."""
    shares = [float(word) for word in words[1].split(",")]
    whole = sum(sizes) + compute * len(shares)
    target, loaded, layer, found = 0.0, 0.0, 0, []
    for share in shares:
        target += share / sum(shares) * whole
        loaded, start = loaded + compute, layer
        while layer < len(sizes) and loaded + sizes[layer] <= target:
            loaded, layer = loaded + sizes[layer], layer + 1
        if layer < len(sizes) and loaded + sizes[layer] - target < target - loaded:
            loaded, layer = loaded + sizes[layer], layer + 1
        found.append(layer - start)
    return found


def test_llama_cpp_cuts_where_planned_whatever_a_file_counts(box: Machine, model: Model) -> None:
    plan = planned(box, model, Engine.LLAMA_CPP)
    words, units = split_words(plan), len(model.layers) + 1
    assert words[0] == "--tensor-split"
    assert by_count(words, units) == list(plan.layout.split)
    for extra in range(1, len(model.mtp_layers) + 1):
        *first, last = plan.layout.split
        assert by_count(words, units + extra) == [*first, last + extra]


@given(st.lists(st.integers(0, 30), min_size=2, max_size=8).filter(lambda counts: counts[-1] > 1))
@settings(max_examples=60, deadline=None)
def test_any_split_is_cut_where_planned(counts: list[int]) -> None:
    found = inputs.model("glm-4.5").model
    layers = (found.layers[-1],) * (sum(counts) - 1)
    for mtp in ((), found.mtp_layers):
        layout = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=len(counts), split=tuple(counts))
        short = replace(found, layers=layers, mtp_layers=mtp)
        words = split_words(Plan(None, short, None, layout, PRESETS["chat"], None))  # type: ignore[arg-type]
        assert by_count(words, len(layers) + 1) == counts
        assert by_count(words, len(layers) + 1 + len(mtp)) == [*counts[:-1], counts[-1] + len(mtp)]


@pytest.mark.parametrize("wrong", [0.7, 1.0, 1.3])
def test_ik_llama_cpp_cuts_where_planned(box: Machine, model: Model, wrong: float) -> None:
    """Though its own guess of the compute buffer is another."""
    plan = planned(box, model, Engine.IK_LLAMA_CPP)
    devices = plan.estimate.memory.devices[:-1]
    named = [{term.name: term.bytes for term in device.terms} for device in devices]
    compute = max(terms["compute"] for terms in named) * wrong
    cache = sum(terms["kv"] for terms in named) / len(model.layers)
    sizes = [layer.total + cache for layer in plan.weights.layers] + [plan.weights.head]
    cut = by_bytes(split_words(plan), sizes, compute)
    assert sum(cut) == len(sizes)
    assert cut == list(plan.layout.split)


@pytest.mark.parametrize("engine", ENGINES)
def test_every_expert_is_where_the_plan_has_it(box: Machine, model: Model, engine: Engine) -> None:
    plan = planned(box, model, engine)
    words, in_ram = expert_words(plan), plan.layout.offload.cpu_expert_layers or 0
    routed = [index for index, layer in enumerate(model.layers) if hasattr(layer.ffn, "experts")]
    if engine is Engine.LLAMA_CPP:
        assert words == ["--n-cpu-moe", str(routed[in_ram - 1] + 1 if in_ram else 0)]
        return
    assert words[0] == "--override-tensor"
    overrides = [tuple(each.rsplit("=", 1)) for each in words[1].split(",")]
    ends = np.cumsum(plan.layout.split)
    for position, layer in enumerate(routed):
        for name in ("ffn_up_exps", "ffn_gate_exps", "ffn_down_exps", "ffn_gate_up_exps"):
            place = next(where for what, where in overrides if re.search(what, f"blk.{layer}.{name}.weight"))
            assert place == ("CPU" if position < in_ram else f"CUDA{int(np.searchsorted(ends, layer, side='right'))}")
        for name in ("ffn_up_shexp", "attn_q", "ffn_gate_inp"):
            assert not any(re.search(what, f"blk.{layer}.{name}.weight") for what, _ in overrides)


@pytest.mark.parametrize("engine", ENGINES)
def test_without_a_split_nothing_is_said_of_it(box: Machine, engine: Engine) -> None:
    model = inputs.model("deepseek-v2-lite").model
    plan = planned(box, model, engine, (14, 14))
    assert split_words(replace(plan, layout=replace(plan.layout, split=()))) == []
    assert expert_words(replace(plan, layout=replace(plan.layout, split=()))) == []
    assert expert_words(replace(plan, layout=replace(plan.layout, offload=EXPERTS_ON_CPU))) == ["--cpu-moe"]
    single = replace(plan.layout, split=(), gpus=1, offload=Offload(cpu_expert_layers=5))
    assert expert_words(replace(plan, layout=single)) == ["--n-cpu-moe", "6"]  # the first layer is dense


def test_ik_llama_cpp_is_told_which_layers_on_several_gpus(box: Machine) -> None:
    """Its --n-cpu-moe spreads over the GPUs since March 2026."""
    model = inputs.model("deepseek-v2-lite").model
    plan = planned(box, model, Engine.IK_LLAMA_CPP, (14, 14), 3)
    words = expert_words(replace(plan, layout=replace(plan.layout, split=())))
    assert words == ["--override-tensor", r"blk\.(1|2|3)\.ffn_.*_exps=CPU"]


def written(plan: Plan) -> LaunchSpec:
    return running.launch_spec(plan, Program(("engine",), "test"), "/models/m.gguf", Endpoint())


@pytest.mark.parametrize("engine", ENGINES)
def test_flags_are_known_and_written_by_every_export(box: Machine, engine: Engine) -> None:
    spec = written(planned(box, inputs.model("deepseek-r1").model, engine))
    assert unknown_flags(spec.argv, " ".join(recorded_flags(engine))) == ()
    shares = spec.argv[spec.argv.index("--tensor-split") + 1]
    assert shares in spec.command_line()
    for form in ("script", "systemd", "compose", "slurm"):
        assert shares in EXPORTS[form](spec, "deepseek-r1")


def test_unequal_gpus_are_named_in_the_plans_order() -> None:
    """The order of devices is the order of the split; CUDA's own is open but for the first."""
    mixed = usable(inputs.machine("rtx 3060 12gb, rtx 4090, epyc 9554, 12x32GB ddr5-4800"))
    plan = planned(mixed, inputs.model("qwen3-30b-a3b").model, Engine.LLAMA_CPP, (40, 9))
    assert dict(written(plan).environment) == {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": "1,0"}
    plain = replace(plan, layout=replace(plan.layout, split=()))
    assert "CUDA_DEVICE_ORDER" not in written(plain).environment
