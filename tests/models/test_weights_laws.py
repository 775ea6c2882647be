"""What holds for the weights of every model in every quantisation."""

from __future__ import annotations

import pytest
from gguf.constants import GGML_QUANT_SIZES
from hypothesis import given
from hypothesis import strategies as st

from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.models import by_id
from wellfed.models.gguf_types import BY_NUMBER, TYPES, gguf_type_names, plain
from wellfed.models.model import tensors
from wellfed.models.quantisation import Quantisation, tensor_type, weights
from wellfed.models.quantisation_names import quantisation, quantisations
from wellfed.models.tensor import Part

_SOME = model_ids()[::9]


@given(identity=st.sampled_from(model_ids()), quant=st.sampled_from(quantisations()))
def test_parts_add_up_and_bits_are_near_the_label(identity: str, quant: Quantisation) -> None:
    model = by_id(identity)
    found = weights(model, quant)
    assert len(found.layers) == len(model.layers)
    outside = found.embedding + found.output + found.other + found.towers + found.lookup
    assert found.total == pytest.approx(outside + sum(layer.total for layer in found.layers))
    assert (found.output == 0) == model.tied_embeddings
    assert found.head > 0
    assert all(layer.total > 0 for layer in found.layers)
    assert all(part in Part for part in found.types)
    assert all(kind in TYPES for kind in found.types.values())


@pytest.mark.parametrize("identity", ["llama-3.1-8b", "deepseek-v3", "qwen3-30b-a3b", "qwen3-next-80b-a3b"])
def test_more_bits_are_more_bytes(identity: str) -> None:
    names = ["iq1_s", "iq2_xxs", "iq3_xxs", "q3_k_m", "q4_k_m", "q5_k_m", "q6_k", "q8_0", "f16", "gguf-f32"]
    sizes = [weights(by_id(identity), quantisation(name)).total for name in names]
    assert sizes == sorted(sizes)


@pytest.mark.parametrize("kind", list(GGML_QUANT_SIZES))
def test_types_are_those_of_the_gguf_package(kind: object) -> None:
    block, size = GGML_QUANT_SIZES[kind]
    ours = BY_NUMBER[int(kind)]  # type: ignore[call-overload]
    if ours.name == "Q8_1":
        return  # scratch type of 36 bytes; the package still has the 40 of an old layout
    assert (ours.name, ours.block, ours.block_bytes) == (kind.name, block, size)  # type: ignore[attr-defined]


def test_repacked_types_weigh_what_the_plain_ones_do() -> None:
    own = {"IQ1_S_R4", "IQ1_M_R4", "Q8_KV_R8", "Q8_K_R8"}  # defined differently
    for name in gguf_type_names():
        if plain(name) != name and name not in own:
            assert TYPES[name].size(256, 512) == TYPES[plain(name)].size(256, 512)


@pytest.mark.parametrize(
    ("name", "bits"),
    [("Q4_K", 4.5), ("IQ4_KS", 4.25), ("IQ4_KSS", 4.0), ("IQ2_K", 2.375), ("IQ3_K", 3.4375), ("IQ6_K", 6.625),
     ("IQ2_KL", 2.6875), ("IQ3_KS", 3.1875), ("IQ1_S_R4", 1.5), ("IQ1_M_R4", 1.75), ("IQ2_BN", 2.0), ("IQ1_BN", 1.625),
     ("IQ2_KT", 2.125), ("MXFP4", 4.25), ("NVFP4-16", 4.5), ("Q8_0", 8.5), ("TQ2_0", 2.0625)],
)  # fmt: skip
def test_bits_per_weight(name: str, bits: float) -> None:
    assert TYPES[name].bits == bits


@given(identity=st.sampled_from(_SOME), quant=st.sampled_from(quantisations()))
def test_no_type_is_given_to_rows_it_does_not_divide(identity: str, quant: Quantisation) -> None:
    if quant.family != "gguf":
        return
    model = by_id(identity)
    for tensor in tensors(model):
        kind = TYPES[tensor_type(model, quant, tensor)]
        assert kind.fits(tensor.columns)
        if not tensor.is_matrix or tensor.part is Part.ROUTER:
            assert kind.name == "F32"


@given(st.floats(0.5, 1.5))
def test_a_known_file_size_is_met(factor: float) -> None:
    for identity in ("llama-3.1-8b", "deepseek-v3"):
        model = by_id(identity)
        whole = weights(model, quantisation("q4_k_m")).total * factor
        assert weights(model, quantisation("q4_k_m").sized(whole)).total == pytest.approx(whole)


def test_a_mix_of_unknown_recipe_changes_the_experts_alone() -> None:
    """ik_llama.cpp users label a file by its attention: 'Q8_0' in 307 GiB."""
    model = by_id("deepseek-r1")
    plain_q8, sized = weights(model, quantisation("q8_0")), weights(model, quantisation("Q8_0 (307.2 GiB)"))
    assert sum(layer.resident for layer in sized.layers) == sum(layer.resident for layer in plain_q8.layers)
    assert sized.total == pytest.approx(307.2 * 2**30)
    assert sized.types[Part.ATTENTION] == "Q8_0"
    assert TYPES[sized.types[Part.ROUTED_EXPERTS]].bits < 5


def test_vision_towers_are_not_in_the_gguf() -> None:
    model = by_id("gemma-3-27b")
    vision = next(tensor.elements for tensor in tensors(model) if tensor.part is Part.VISION)
    assert weights(model, quantisation("bf16")).total - weights(
        model, quantisation("gguf-bf16")
    ).total == pytest.approx(2 * vision, rel=0.02)


def test_dominant_types_by_part() -> None:
    types = weights(by_id("deepseek-v3"), quantisation("q4_k_m")).types
    assert types[Part.ROUTED_EXPERTS] == "Q4_K"
    assert types[Part.ROUTER] == "F32"
    assert types[Part.OUTPUT] == "Q6_K"
    assert weights(by_id("deepseek-v4-flash"), quantisation("fp8-fp4-experts")).types[Part.ROUTED_EXPERTS] == "MXFP4"
