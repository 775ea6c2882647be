"""Names of 2026: fine-tunes of newer families, packers' words, heads that are loaded beside a model, what leads on."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.resolution import Refused, Resolved, resolve


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("mradermacher/Zhi-Create-Qwen3-32B-i1-GGUF", "qwen3-32b"),
        ("mradermacher/gpt-oss-20b-Esper3.1-i1-GGUF", "gpt-oss-20b"),
        ("Simia-Tau-SFT-Qwen3-8B.Q4_K_S.gguf", "qwen3-8b"),
        ("HuggingJoost/Swift-Qwen3.8-27B-NVFP4-GGUF", "qwen3.8-27b"),
        ("QuantFactory/Llama3.1-BestMix-Chem-Einstein-8B-GGUF", "llama-3.1-8b"),
        ("NeverSleep/Llama-3-Lumimaid-8B-v0.1-OAS", "llama-3-8b"),
        ("Llama-Sentient-3.2-3B-Instruct.Q4_K_M.gguf", "llama-3.2-3b"),
        ("mradermacher/L3.3-GeneticLemonade-Unleashed-70B-i1-GGUF", "llama-3.3-70b"),
    ],
)
def test_other_people_s_changed_models_are_planned_as_their_base(name: str, identity: str) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Resolved) and answer.id == identity
    assert any("fine-tune" in assumption.reason for assumption in answer.assumptions)


@pytest.mark.parametrize(
    "name",
    [
        "Qwen/Qwen3-32B-Zephyrine",  # its publisher's: another model
        "unsloth/Qwen3-32B-Zephyrine-GGUF",  # who packs them packs new ones, too
        "Qwen3-32B-Zephyrine-Q4_K_M.gguf",  # begins with the family, as a maker's own does
        "somebody/Zephyrine-Qwen3-VL-8B",  # what goes before a model that sees may be another tower
        "somebody/Llama3.1-Zephyrine-8x8B",  # a size that the family has not
        "somebody/Zephyrine-Llama-3.1-Vision-8B",
        "somebody/Qwen3-Zephyrine-8B",  # not in one piece
        "somebody/Zephyrine-Qwen3-8B",  # nobody has packed it: weights of another shape may lie there
    ],
)
def test_what_may_be_a_model_of_its_own_is_not(name: str) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Refused)


@pytest.mark.parametrize(
    ("name", "identity"),
    [
        ("Jundot/Qwen3.8-27B-oQ4e-mtp", "qwen3.8-27b"),
        ("z-lab/Qwen3.8-27B-PARO", "qwen3.8-27b"),
        ("ISTA-DASLab/Qwen3.8-27B-GSQ-RCO-GGUF", "qwen3.8-27b"),
        ("DeepSeek-V3-0324-PURE-IQ4_K_R4.gguf", "deepseek-v3-0324"),
        ("DeepSeek-R1-0528-GPTQ-Int4-Int8Mix-Compact", "deepseek-r1-0528"),
        ("databricks-gpt-oss-120b", "gpt-oss-120b"),
        ("huihui_ai/qwen2.5-abliterate:14b", "qwen2.5-14b"),
        ("morikomorizz/Qwen3.6-35B-A3B-Uncensored-HauhauCS-MTP", "qwen3.6-35b-a3b"),
        ("混元翻译 MT2 7B", "hunyuan-7b"),
        ("ibm-granite/granite-4.2-8b", "granite-4.2-8b"),
        ("inclusionAI/LLaDA2.1-mini", "llada2.0-mini"),
    ],
)
def test_packers_words_and_new_models(name: str, identity: str) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Resolved) and answer.id == identity


def test_a_repository_of_prediction_layers_alone_is_no_model() -> None:
    head, whole = resolve(["mlx-community/Qwen3.8-27B-MTP-4bit", "mlx-community/Qwen3.8-27B-4bit"])
    assert isinstance(head, Refused) and head.kind == "unsupported" and "draft" in head.message
    assert isinstance(whole, Resolved)


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("minimax_h3_ref2va_pruned-Q6_K.gguf", "video"),
        ("piper-te_IN-padmavathi-medium-f16.gguf", "speech synthesis"),
        ("iic/speech_eres2net_sv_zh-cn_16k-common", "speech recognition"),
        ("amphion/Vevo1.5", "speech synthesis"),
        ("microsoft/beit-large-patch16-224", "image classification and embedding"),
    ],
)
def test_what_writes_no_text(name: str, kind: str) -> None:
    (answer,) = resolve([name])
    assert isinstance(answer, Refused) and (answer.kind, answer.kind_of) == ("not-a-language-model", kind)


def test_a_file_that_is_nowhere_leads_to_models_that_are_called_alike() -> None:
    run = CliRunner().invoke(cli, ["resolve", "Qwen3.8-27B-Zephyrine-Q4_K_M.gguf", "--json"])
    (answer,) = json.loads(run.stdout)["names"]
    assert answer["error"]["near"][0] == "qwen3.8-27b"
    assert "qwen3.8-27b" in answer["error"]["hint"]
