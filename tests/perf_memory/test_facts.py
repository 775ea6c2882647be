"""Sizes that engines logged, and rules they follow."""

from __future__ import annotations

from dataclasses import replace

import pytest
from tests.perf_memory.parts import DEEPSEEK_R1, GEMMA_LIKE, LLAMA_8B, local, machine, request, served, spec

from wellfed.errors import BadInput
from wellfed.hardware.machine import Gpu, Machine, Origin
from wellfed.nouns.estimate import Memory
from wellfed.nouns.layout import CPU_ONLY, EXPERTS_ON_CPU, DraftKind, Engine, Layout, Offload, Speculation
from wellfed.perf.memory import cache_tokens, kv_bytes_per_sequence, kv_element_bytes, memory, running_capacity
from wellfed.perf.memory.compute import output_rows
from wellfed.perf.memory.split import layer_split
from wellfed.units import GIB, MIB

OLD = (("logits", "all"), ("mask", "f32"), ("inputs", "one"))  # of builds before 2026, whose logs these are
F16 = local(flash_attention=False, options=OLD)


def term(found: Memory, device: str, name: str) -> float:
    """One term in MiB."""
    [size] = [t.bytes for d in found.devices if d.device == device for t in d.terms if t.name == name]
    return size / MIB


def test_llama_8b_on_one_card_as_logged_by_llama_cpp() -> None:
    found = memory(request(LLAMA_8B, "Q4_K_M", machine(1), F16))
    assert term(found, "gpu0", "weights") == pytest.approx(4403.49, abs=0.1)
    assert term(found, "ram", "weights") == pytest.approx(281.81, abs=0.1)
    assert term(found, "gpu0", "kv") == 1024
    assert term(found, "gpu0", "compute") == pytest.approx(560, abs=1)
    assert term(found, "ram", "compute") == pytest.approx(24, abs=1)
    assert term(found, "ram", "output") == pytest.approx(0.49, abs=0.01)


def test_llama_8b_on_four_cards_as_logged_by_llama_cpp() -> None:
    found = memory(request(LLAMA_8B, "Q4_K_M", machine(4), replace(F16, gpus=4)))
    assert [term(found, f"gpu{i}", "kv") for i in range(4)] == [288, 256, 256, 224]
    assert term(found, "gpu1", "weights") == pytest.approx(982.66, abs=0.2)
    assert term(found, "gpu0", "compute") == pytest.approx(640, abs=10)
    assert term(found, "ram", "compute") == pytest.approx(72, abs=1)


def test_short_contexts_are_ruled_by_the_logits() -> None:
    found = memory(request(LLAMA_8B, "Q4_K_M", machine(1), F16, context=512))
    assert term(found, "gpu0", "compute") == pytest.approx(258.5, abs=0.1)


def test_a_server_reserves_the_logits_of_one_token_and_of_those_drafted_of_each_sequence() -> None:
    """llama.cpp since build 9460 (pull request 23861); before, and in ik_llama.cpp, those of a whole batch."""
    drafts = Speculation(3, 2.0, kind=DraftKind.NGRAM)
    server = local()
    assert output_rows(server, 512, 4) == 4
    assert output_rows(replace(server, speculation=drafts), 512, 4) == 16
    assert output_rows(replace(server, speculation=drafts), 8, 4) == 8
    assert output_rows(F16, 512, 4) == 512
    assert output_rows(local(Engine.IK_LLAMA_CPP), 512, 4) == 512


def test_masks_are_narrowed_in_builds_before_9410() -> None:
    """ggml-org/llama.cpp, issue 23527: 150 thousand tokens by 4096: 2408 MiB on the host were 1236 with F16 masks; 4 and
    2 bytes a place stand in the card's buffer at once before."""
    layout = local(ubatch_tokens=4096, batch_tokens=4096)
    wide = replace(layout, options=(("mask", "f32"),))
    cells = 4096 * 150_016 / MIB
    sizes = [
        term(memory(request(LLAMA_8B, "Q4_K_M", machine(1), way, context=150_000)), "gpu0", "compute")
        for way in (layout, wide)
    ]
    assert 2 * cells < sizes[0] < 4 * cells
    assert sizes[1] == pytest.approx(6 * cells, rel=0.05)


def test_layers_over_six_cards() -> None:
    assert [span.layers for span in layer_split(32, 32, [1.0] * 6)] == [6, 5, 6, 5, 6, 4]
    assert [span.output for span in layer_split(32, 32, [1.0] * 6)] == [False] * 5 + [True]


def test_split_covers_every_layer_once() -> None:
    for cards in range(1, 17):
        for on_gpu in range(33):
            spans = layer_split(32, on_gpu, [1.0 + i % 3 for i in range(cards)])
            assert [i for span in spans for i in range(span.first, span.last)] == list(range(32 - on_gpu, 32))
            assert sum(span.output for span in spans) == (on_gpu >= 32)


@pytest.mark.parametrize(
    ("kv", "context", "mib"), [("f16", 32768, 2196.0), ("q8_0", 32768, 1166.62), ("f16", 163840, 10980.0)]
)
def test_latent_cache_of_deepseek(kv: str, context: int, mib: float) -> None:
    layout = local(Engine.IK_LLAMA_CPP, kv_type=kv)
    assert kv_bytes_per_sequence(DEEPSEEK_R1, layout, context) / MIB == pytest.approx(mib, abs=0.01)


def test_expanded_cache_of_engines_without_latents() -> None:
    layout = local(latent_cache=False)
    assert kv_bytes_per_sequence(DEEPSEEK_R1, layout, 2048) / MIB == 9760
    mixed = replace(layout, kv_type="q8_0/f16")
    assert kv_bytes_per_sequence(DEEPSEEK_R1, mixed, 8192) / MIB == 28060


def test_mla_1_without_flash_attention_keeps_the_latents_twice() -> None:
    once = local(Engine.IK_LLAMA_CPP, options=(("mla", "2"),), flash_attention=False)
    twice = local(Engine.IK_LLAMA_CPP, options=(("mla", "1"),), flash_attention=False)
    ratio = kv_bytes_per_sequence(DEEPSEEK_R1, twice, 4096) / kv_bytes_per_sequence(DEEPSEEK_R1, once, 4096)
    assert ratio == pytest.approx((576 + 512) / 576)


def test_windows_are_kept_by_llama_cpp_only() -> None:
    short = kv_bytes_per_sequence(GEMMA_LIKE, local(), 65536)
    whole = kv_bytes_per_sequence(GEMMA_LIKE, local(Engine.IK_LLAMA_CPP), 65536)
    paged = kv_bytes_per_sequence(GEMMA_LIKE, served(1), 65536)
    per_token = 2 * 8 * 128 * 2
    assert whole == 6 * 65536 * per_token
    assert paged == (65536 + 5 * 1024) * per_token
    assert short == (65536 + 5 * 1536) * per_token


def test_unknown_cache_type() -> None:
    with pytest.raises(BadInput, match="q7_0") as caught:
        kv_element_bytes("q7_0")
    assert "q8_0" in (caught.value.hint or "")


def test_experts_in_ram_leave_the_rest_on_the_card() -> None:
    layout = local(Engine.IK_LLAMA_CPP, offload=EXPERTS_ON_CPU, options=(("mla", "3"), ("amb", "512")))
    asked = request(DEEPSEEK_R1, "Q4_K_M", machine(1), layout, 32768)
    found = memory(asked)
    experts = sum(layer.routed_experts for layer in asked.weights.layers)
    assert term(found, "ram", "weights") == pytest.approx((experts + asked.weights.embedding) / MIB)
    assert term(found, "gpu0", "weights") * MIB == pytest.approx(
        asked.weights.total - experts - asked.weights.embedding
    )
    assert found.fits


def test_some_layers_on_the_card() -> None:
    asked = request(LLAMA_8B, "Q4_K_M", machine(1), local(offload=Offload(gpu_layers=8)))
    found = memory(asked)
    assert term(found, "gpu0", "kv") == 256
    assert term(found, "ram", "kv") == 768
    assert term(found, "ram", "weights") + term(found, "gpu0", "weights") == pytest.approx(asked.weights.total / MIB)


def test_an_8_gb_mac_holds_4096_tokens_of_llama_8b_and_not_8192() -> None:
    gpu = Gpu(0, spec(8, 7, "apple", unified=True))
    mac = Machine("mac", Origin.PARTS, gpus=(gpu,), memory_bytes=8 * GIB)
    assert memory(request(LLAMA_8B, "Q4_K_M", mac, F16, 4096)).devices[0].spare_bytes >= 0  # type: ignore[operator]
    assert not memory(request(LLAMA_8B, "Q4_K_M", mac, F16, 8192)).fits


def test_unified_memory_counts_once_for_both() -> None:
    gpu = Gpu(0, spec(128, 40, "amd", unified=True))
    box = Machine("box", Origin.PARTS, gpus=(gpu,), memory_bytes=128 * GIB)
    found = memory(request(LLAMA_8B, "F16", box, local()))
    gpu_needs, ram_needs = (device.needed_bytes for device in found.devices)
    assert ram_needs > gpu_needs


def test_a_16_gb_card_holds_llama_8b_f16_at_4096_and_not_at_8192() -> None:
    box = replace(machine(1), gpus=(Gpu(0, spec(15.99, 76)),))
    assert memory(request(LLAMA_8B, "F16", box, F16, 4096)).fits
    assert not memory(request(LLAMA_8B, "F16", box, F16, 8192)).fits


def test_vllm_budget_on_an_h100() -> None:
    """Reported by vLLM 0.11: 14.99 weights + 4.76 peak + 0.13 non-torch + 51.38 cache = 0.9 x 79.18 GiB."""
    h100 = replace(machine(1), gpus=(Gpu(0, spec(79.65, 132)),))
    of_version = (("sampler_bytes", "38.3"), ("non_torch_gib", "0.13"), ("graphs_in_budget", "0"))
    layout = served(1, options=(("gpu_memory_utilization", "0.9"), *of_version))
    asked = request(LLAMA_8B, "BF16", h100, layout, 16000)
    found = memory(asked)
    assert term(found, "gpu0", "weights") / 1024 == pytest.approx(14.99, abs=0.05)
    assert term(found, "gpu0", "activations") / 1024 == pytest.approx(4.76, abs=0.1)
    assert cache_tokens(asked) == pytest.approx(51.38 * GIB / 131072, rel=0.01)


def test_latents_are_whole_on_every_rank() -> None:
    small = memory(request(DEEPSEEK_R1, "FP8", machine(8, 141), served(8)))
    alone = kv_bytes_per_sequence(DEEPSEEK_R1, served(8), 8192)
    assert term(small, "gpu7", "kv") * MIB == pytest.approx(alone)


def test_data_parallel_attention_multiplies_what_runs() -> None:
    """SGLang keeps 4.5 MiB for each of a graph's 512 sequences and 8 copies: 18 GiB that no cache gets."""
    one = request(DEEPSEEK_R1, "FP8", machine(8, 141), served(8, Engine.SGLANG), 8192, 512)
    eight = replace(one, layout=served(8, Engine.SGLANG, attention_data_parallel=8))
    assert (running_capacity(eight) or 0) > 3 * (running_capacity(one) or 1)


def test_requests_beyond_the_cache_wait() -> None:
    asked = request(LLAMA_8B, "BF16", machine(1, 24), served(1), 8192, users=500)
    found = memory(asked)
    assert found.max_sequences is not None
    assert 1 <= found.max_sequences < 500
    assert found.fits


def test_unknown_ram_does_not_hide_how_much_the_cards_hold() -> None:
    for layout in (local(), served(1)):
        known = memory(request(LLAMA_8B, "Q4_K_M", machine(1), layout, 8192, 4))
        unknown = memory(request(LLAMA_8B, "Q4_K_M", machine(1, ram_gib=None), layout, 8192, 4))
        assert unknown.max_sequences == known.max_sequences
        assert unknown.fits is None


def test_a_stated_fraction_stands_and_a_default_one_is_raised() -> None:
    tight = replace(machine(1), gpus=(Gpu(0, spec(18.5)),))
    default = request(LLAMA_8B, "BF16", tight, served(1), 2048)
    stated = replace(default, layout=served(1, options=(("gpu_memory_utilization", "0.85"),)))
    assert memory(default).fits
    assert not memory(stated).fits


def test_what_cannot_hold_one_sequence_does_not_fit() -> None:
    assert memory(request(DEEPSEEK_R1, "FP8", machine(8, 80), served(8), 8192)).fits is False


def test_live_cards_count_what_is_free() -> None:
    busy = Gpu(0, spec(24), memory_bytes=24 * GIB, memory_free_bytes=4 * GIB)
    live = Machine("live", Origin.LIVE, gpus=(busy,), memory_bytes=64 * GIB)
    assert not memory(request(LLAMA_8B, "Q4_K_M", live, local())).fits
    idle = replace(live, gpus=(replace(busy, memory_free_bytes=23 * GIB),))
    assert memory(request(LLAMA_8B, "Q4_K_M", idle, local())).devices[0].spare_bytes > 0  # type: ignore[operator]


def test_no_gpu_at_all() -> None:
    for engine in Engine:
        layout = Layout(engine, "q4_k_m", gpus=1, offload=CPU_ONLY)
        found = memory(request(LLAMA_8B, "Q4_K_M", machine(0), layout))
        assert [device.device for device in found.devices] == ["ram"]
        assert found.fits
