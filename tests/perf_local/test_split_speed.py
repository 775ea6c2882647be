"""Speed where the layout says how many layers each GPU holds."""

from __future__ import annotations

import pytest

from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.layout import ALL_GPU, EXPERTS_ON_CPU, Engine, Layout, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.estimate import estimate
from wellfed.perf.local_steps import gpu_shares
from wellfed.perf.memory.split import layer_split
from wellfed.verbs import inputs

EQUAL = "4x rtx 4090, epyc 9554, 12x32GB ddr5-4800"
UNEQUAL = "rtx 4090, rtx 3060 12gb, epyc 9554, 12x32GB ddr5-4800"
CHAT = Workload(prompt_tokens=1024, output_tokens=256)


@pytest.fixture(scope="module")
def calibration() -> Calibration:
    return inputs.calibration()


def ask(on: str, gpus: int, split: tuple[int, ...] = (), offload: Offload = ALL_GPU) -> Request:
    where, model, kind = inputs.machine(on), inputs.model("qwen3-30b-a3b").model, quantisation("q4_k_m")
    asked = Layout(Engine.LLAMA_CPP, kind.id, gpus=gpus, offload=offload, split=split)
    return Request(where, model, weights(model, kind), asked, CHAT)


@pytest.mark.parametrize("offload", [Offload(), Offload(cpu_expert_layers=20), EXPERTS_ON_CPU])
@pytest.mark.parametrize("gpus", [2, 4])
def test_the_default_division_written_out_changes_nothing(
    calibration: Calibration, offload: Offload, gpus: int
) -> None:
    split = tuple(span.layers + span.output for span in layer_split(48, 48, [1.0] * gpus))
    plain = estimate(ask(EQUAL, gpus, offload=offload), calibration)
    assert estimate(ask(EQUAL, gpus, split, offload), calibration) == plain


def test_equal_gpus_take_turns_however_layers_are_split(calibration: Calibration) -> None:
    offload = Offload(cpu_expert_layers=20)
    one, other = (estimate(ask(EQUAL, 2, split, offload), calibration) for split in ((40, 9), (25, 24)))
    assert one.tpot_s == other.tpot_s
    assert one.ttft_s == other.ttft_s


def test_experts_cost_what_the_gpu_that_holds_them_costs(calibration: Calibration) -> None:
    """The same layers on each card, but the expert layers among them."""
    offload = Offload(cpu_expert_layers=24)
    fast, slow = (estimate(ask(UNEQUAL, 2, split, offload), calibration) for split in ((49, 0), (25, 24)))
    assert slow.tpot_s.value > fast.tpot_s.value
    times = [{term.name: term.seconds for term in found.decode if term.device == "gpu"} for found in (fast, slow)]
    bandwidths = [gpu.spec.memory_bandwidth_bytes_per_s for gpu in inputs.machine(UNEQUAL).gpus if gpu.spec]
    grown = times[1]["routed experts"] / times[0]["routed experts"]
    assert grown > 1 + 0.6 * (bandwidths[0] / bandwidths[1] - 1)  # nearly all of them on the slower one
    assert grown > times[1]["attention weights"] / times[0]["attention weights"]  # half of the layers


def test_shares_of_the_parts_add_up(calibration: Calibration) -> None:
    shares = gpu_shares(ask(UNEQUAL, 2, (30, 19), Offload(cpu_expert_layers=24)))
    assert [share.of("attention weights", False) for share in shares] == pytest.approx([30 / 48, 18 / 48])
    assert [share.of("routed experts", False) for share in shares] == pytest.approx([6 / 24, 18 / 24])
    assert [share.of("routed experts", True) for share in shares] == pytest.approx([30 / 48, 18 / 48])  # RAM's: first
    assert [share.of("output head", False) for share in shares] == [0.0, 1.0]


def test_experts_in_ram_are_fetched_to_the_first_gpu(calibration: Calibration) -> None:
    """A prompt's copied experts are multiplied there, whichever GPU has the rest of their layer."""
    shares = gpu_shares(ask(UNEQUAL, 2, (10, 39), EXPERTS_ON_CPU))
    assert [share.of("routed experts", True) for share in shares] == [1.0, 0.0]


def test_by_memory_nothing_is_told_apart(calibration: Calibration) -> None:
    shares = gpu_shares(ask(UNEQUAL, 2))
    assert {share.of(name, False) for share in shares[:1] for name in ("routed experts", "output head", "norms")} == {
        shares[0].share
    }


def test_more_on_the_faster_card_is_never_slower(calibration: Calibration) -> None:
    offload = Offload(cpu_expert_layers=30)
    times = [estimate(ask(UNEQUAL, 2, (n, 49 - n), offload), calibration).tpot_s.value for n in range(1, 49)]
    assert times == sorted(times, reverse=True)
