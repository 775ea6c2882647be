"""What must hold of GPU times whatever the calibration says."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wellfed.catalog.calibration import bundled
from wellfed.catalog.hardware import gpu as gpu_spec
from wellfed.hardware.parts import GpuSpec, PeakRates
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.estimate import total_seconds
from wellfed.nouns.layout import BackEnd
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.local import Times, local_times

from .conftest import MakeRequest

GPUS = ("RTX 3060 12GB", "RTX 4090", "A100 PCIe 80GB", "H100 SXM", "L4", "M2 Ultra 76-core", "RX 7900 XTX", "Arc B580")
BUILDS = ((), (("build", "b2824"),), (("build", "b1600"),))
gpus = st.sampled_from(GPUS)
builds = st.sampled_from(BUILDS)
kinds = st.sampled_from(("q4_k_m", "q8_0", "f16", "iq2_xxs"))
factors = st.floats(1.0, 4.0)
tokens = st.integers(1, 40_000)


def times(request: Request) -> Times:
    return local_times(request, bundled())


def faster(spec: GpuSpec, what: str, factor: float) -> GpuSpec:
    """The same GPU with more of one thing."""
    if what == "rates":
        peak = spec.peak
        more = {name: (getattr(peak, name) or 0) * factor or None for name in PeakRates.__dataclass_fields__}
        return replace(spec, peak=PeakRates(**more))
    value = getattr(spec, what)
    if value is None:
        return spec
    return replace(spec, **{what: round(value * factor) if what == "compute_units" else value * factor})


MORE = ("memory_bandwidth_bytes_per_s", "compute_units", "boost_clock_hz", "board_power_w", "rates")


@settings(max_examples=150, deadline=None)
@given(gpu=gpus, what=st.sampled_from(MORE), factor=factors, kind=kinds, options=builds, prompt=tokens)
def test_more_of_anything_is_never_slower(
    make_request: MakeRequest,
    gpu: str,
    what: str,
    factor: float,
    kind: str,
    options: tuple[tuple[str, str], ...],
    prompt: int,
) -> None:
    load = Workload(prompt_tokens=prompt, output_tokens=64)
    spec = gpu_spec(gpu)
    flash = not options
    less = times(make_request(kind=kind, gpu=spec, workload=load, options=options, flash_attention=flash))
    better = faster(spec, what, factor)
    more = times(make_request(kind=kind, gpu=better, workload=load, options=options, flash_attention=flash))
    assert more.decode_s <= less.decode_s * (1 + 1e-9)
    assert more.prefill_s <= less.prefill_s * (1 + 1e-9)


@settings(max_examples=100, deadline=None)
@given(
    gpu=gpus,
    flash=st.booleans(),
    depth=tokens,
    more=tokens,
    name=st.sampled_from(("llama-3-8b", "deepseek-v2-lite", "gpt-oss-20b")),
)
def test_longer_context_is_never_faster(
    make_request: MakeRequest, gpu: str, flash: bool, depth: int, more: int, name: str
) -> None:
    def at(tokens_before: int) -> Times:
        load = Workload(prompt_tokens=512, output_tokens=64, depth_tokens=tokens_before)
        return times(make_request(name, gpu=gpu, workload=load, flash_attention=flash))

    assert at(depth + more).decode_s >= at(depth).decode_s
    assert at(depth + more).prefill_s >= at(depth).prefill_s


@settings(max_examples=60, deadline=None)
@given(gpu=gpus, prompt=tokens, more=tokens, options=builds)
def test_a_longer_prompt_takes_longer(
    make_request: MakeRequest, gpu: str, prompt: int, more: int, options: tuple[tuple[str, str], ...]
) -> None:
    def of(count: int) -> float:
        return times(make_request(gpu=gpu, options=options, workload=Workload(prompt_tokens=count))).prefill_s

    assert of(prompt + more) > of(prompt)


@settings(max_examples=40, deadline=None)
@given(gpu=gpus, layers=st.integers(1, 31), kind=kinds)
def test_more_layers_are_slower(make_request: MakeRequest, gpu: str, layers: int, kind: str) -> None:
    whole = make_request(gpu=gpu, kind=kind)
    model = replace(whole.model, layers=whole.model.layers[:layers])
    part = replace(whole, model=model, weights=weights(model, quantisation(kind)))
    assert times(part).decode_s < times(whole).decode_s
    assert times(part).prefill_s < times(whole).prefill_s


@settings(max_examples=40, deadline=None)
@given(gpu=gpus, users=st.integers(1, 63))
def test_more_users_get_less_each_and_more_together(make_request: MakeRequest, gpu: str, users: int) -> None:
    def step(count: int) -> float:
        load = Workload(concurrency=count, prompt_tokens=64, output_tokens=64)
        return times(make_request(gpu=gpu, workload=load)).decode_s

    few, many = step(users), step(users + 1)
    assert many >= few * (1 - 1e-9)
    assert (users + 1) / many >= users / few * (1 - 0.02)


@given(gpu=gpus, name=st.sampled_from(("llama-3-8b", "llama-3-70b", "qwen3-30b-a3b")))
@settings(max_examples=30, deadline=None)
def test_q4_never_reads_more_than_f16(make_request: MakeRequest, gpu: str, name: str) -> None:
    four, sixteen = make_request(name, "q4_k_m", gpu), make_request(name, "f16", gpu)
    assert four.weights.total < sixteen.weights.total
    assert times(four).decode_s < times(sixteen).decode_s


@pytest.mark.parametrize("count", [2, 4, 8])
@pytest.mark.parametrize("name", ["llama-3-8b", "llama-3-70b"])
def test_gpus_in_turn_pipeline_long_prompts_and_not_decode(make_request: MakeRequest, count: int, name: str) -> None:
    load = Workload(prompt_tokens=8192, output_tokens=64)
    one = times(make_request(name, workload=load))
    several = times(make_request(name, workload=load, count=count))
    assert several.decode_s > one.decode_s
    assert one.prefill_s / count < several.prefill_s < one.prefill_s


def test_terms_add_up_to_the_step(make_request: MakeRequest) -> None:
    found = times(make_request())
    assert found.decode_s == total_seconds(found.decode)
    assert all(term.seconds > 0 for term in (*found.decode, *found.prefill))
    assert len({term.name for term in found.decode}) == len(found.decode)


def test_ecc_and_a_power_limit_cost_speed(make_request: MakeRequest) -> None:
    free = make_request(gpu="RTX A6000")
    gpu = free.machine.gpus[0]

    def decode(**state: object) -> float:
        changed = replace(gpu, **state)  # type: ignore[arg-type]
        return times(replace(free, machine=replace(free.machine, gpus=(changed,)))).decode_s

    assert decode(ecc_enabled=True) > decode(ecc_enabled=False)
    assert decode(power_limit_w=100.0) > decode(power_limit_w=300.0)


def test_without_cuda_graphs_a_slow_host_slows_decode(make_request: MakeRequest) -> None:
    assert times(make_request(cuda_graphs=False)).decode_s > times(make_request()).decode_s


def test_one_querys_heads_on_latents_use_matrix_units_where_the_back_end_has_kernels(make_request: MakeRequest) -> None:
    """CUDA's attention on latents gets nearer the cache's own reading; other models and back ends stay as they are."""
    deep = Workload(prompt_tokens=0, output_tokens=8, depth_tokens=32_000)

    def attention(model: str, gpu: str, share: float) -> float:
        known = bundled().with_parameters({"local.cuda.latent_decode_share": share})
        terms = local_times(make_request(model, gpu=gpu, workload=deep), known).decode
        return next(term.seconds for term in terms if term.name == "kv cache")

    assert attention("deepseek-v3", "RTX 4090", 0.6) < 0.7 * attention("deepseek-v3", "RTX 4090", 0.0)
    for model, gpu in (("llama-3-8b", "RTX 4090"), ("deepseek-v3", "RX 7900 XTX"), ("deepseek-v3", "GTX 1080 Ti")):
        assert attention(model, gpu, 0.6) == pytest.approx(attention(model, gpu, 0.0))


def test_sycl_reads_bf16_five_times_over_for_lack_of_kernels(make_request: MakeRequest) -> None:
    """Two bytes read, four written, four read again; Vulkan has kernels, and FP16 has them everywhere."""

    def seconds(kind: str, back_end: BackEnd) -> float:
        return times(make_request(kind=kind, gpu="Arc Pro B70", back_end=back_end)).decode_s

    assert seconds("bf16", BackEnd.SYCL) > 4 * seconds("f16", BackEnd.SYCL)
    assert seconds("bf16", BackEnd.VULKAN) < 1.5 * seconds("f16", BackEnd.VULKAN)


def test_intels_vulkan_kernels_multiply_q4_0_as_floats_and_its_neighbours_as_bytes(make_request: MakeRequest) -> None:
    """Q4_1 has 11 % more bytes: AMD's driver takes little longer for it, Intel's much."""

    def longer(gpu: str) -> float:
        four_1, four_0 = (
            next(term.seconds for term in times(make_request(kind=kind, gpu=gpu, back_end=BackEnd.VULKAN)).decode)
            for kind in ("q4_1", "q4_0")
        )
        return four_1 / four_0

    assert longer("RX 7900 XTX") < 1.15
    assert longer("Arc Pro B70") > 1.3


def test_a_gap_between_kernels_is_longest_on_intels_vulkan_driver(make_request: MakeRequest) -> None:
    def launches(gpu: str) -> float:
        terms = times(make_request(gpu=gpu, back_end=BackEnd.VULKAN)).decode
        return next(term.seconds for term in terms if term.name == "launches")

    assert launches("Arc B580") > 1.5 * launches("RX 7900 XTX")
