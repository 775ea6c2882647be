"""Pictures in prompts: tokens by each family's own processor, their tower's memory and time, the launch that takes them."""

from __future__ import annotations

import json
import math
import shlex
from typing import Any

import pytest
from click.testing import CliRunner, Result
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from samples import few
from wellfed.catalog import models
from wellfed.catalog.model_names import model
from wellfed.catalog.model_tables import model_ids
from wellfed.catalog.sights import sight_of, sights
from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.models.config import from_config
from wellfed.models.picture_rules import largest, seen
from wellfed.models.pictures import Rule
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS
from wellfed.planner.answer import Answer
from wellfed.verbs import planning

ON = "rtx 4090, ryzen 7 7700, 2x32gb ddr5-5200"
SIZES = ((1920, 1080), (640, 480), (300, 2000), (4000, 3000), (200, 150))
# Computed with the families' own processors in transformers 5.24.0, marks around a picture included.
TOKENS = {
    "qwen2-5-vl": (2693, 393, 783, 15303, 37),
    "qwen3-vl": (2042, 302, 560, 11752, 72),
    "glm-v": (2693, 393, 783, 6032, 37),
    "internvl": (2306, 3330, 2050, 3330, 3330),
    "smolvlm-small": (863, 863, 336, 863, 863),
    "gemma-4": (266, 268, 260, 268, 268),
    "kimi-k2-5": (2695, 418, 796, 4204, 52),
    "command-a-vision": (3343, 773, 1287, 3343, 259),
    "llama-4": (2322, 727, 1017, 1887, 147),
    "lfm2-vl": (2311, 236, 2048, 1779, 72),
    "llava-next": (1948, 2340, 1368, 2340, 1368),
    "llava-onevision": (7269, 2929, 4941, 7309, 1317),
    "pixtral": (2340, 1230, 704, 3120, 140),
    "mistral-3": (1736, 432, 550, 2352, 54),
}


def run(*words: str) -> Result:
    return CliRunner().invoke(cli, list(words))


def asked(*words: str) -> dict[str, Any]:
    done = run("plan", *words, "--json")
    assert done.exit_code in (0, 1), done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def refused(*words: str) -> str:
    """The error of a question that is none, with its hint."""
    with pytest.raises(BadInput) as error:
        CliRunner().invoke(cli, list(words), catch_exceptions=False)
    return f"{error.value.message} {error.value.hint}"


def answer(model: str, engine: Engine, images: str | None, **options: Any) -> Answer:
    return planning.plan(model, planning.PlanOptions(on=ON, engines=(engine,), images=images, **options))


def best(model: str, engine: Engine, images: str | None, **options: Any) -> Plan:
    found = answer(model, engine, images, **options).ranking.best
    assert found is not None
    return found


class TestTokens:
    @pytest.mark.parametrize("family", TOKENS)
    def test_as_the_family_s_own_processor_counts(self, family: str) -> None:
        rule = next(sight for sight in sights() if sight.id == family)
        assert tuple(seen(rule, *size).tokens for size in SIZES) == TOKENS[family]

    @pytest.mark.parametrize(
        ("family", "tokens"),
        [("gemma-3", 260), ("llava-1-5", 576), ("minicpm-v", 64 * 10 + 2 * 10 + 3 + 3), ("llama-3-2-vision", 1)],
    )
    def test_fixed_and_sliced_ones(self, family: str, tokens: int) -> None:
        rule = next(sight for sight in sights() if sight.id == family)
        assert seen(rule, 1344, 1344).tokens == tokens

    @settings(max_examples=60, deadline=None)
    @given(st.sampled_from(sights()), st.integers(64, 6000), st.integers(64, 6000))
    def test_no_picture_is_more_than_the_largest(self, rule: Any, width: int, height: int) -> None:
        assume(rule.rule is not Rule.WINDOWS or max(width, height) <= 4 * min(width, height))  # cut by the short side
        found, most = seen(rule, width, height), largest(rule).tokens
        columns = math.sqrt(most * max(width / height, height / width))
        padding = columns + most / columns + 1  # of one row and one column to whole tokens
        assert 1 <= found.tokens <= 1.21 * most + 2 * rule.most + padding  # LLaVA-OneVision lets each side be 1.1 times
        assert 0 < found.span <= found.patches

    def test_every_family_says_where_its_figures_are_from(self) -> None:
        assert all(rule.source and rule.date for rule in sights())


SEEING = [
    name for name in model_ids() if models.entry(name).has_config and models.entry(name).task == "vision-language"
]


class TestFamilies:
    @pytest.mark.parametrize(
        ("name", "family"),
        [
            ("qwen3.6-27b", "qwen3-vl"), ("gemma-4-e4b", "gemma-4"), ("gemma-3n-e2b", "gemma-3n"),
            ("holo1.5-7b", "qwen2-5-vl"), ("pixtral-large", "pixtral-large"), ("kimi-k2.6", "kimi-k2-5"),
            ("glm-4.6v", "glm-v"), ("internvl3.5-38b", "internvl"), ("devstral-small-2-24b", "mistral-3"),
        ],
    )  # fmt: skip
    def test_a_model_of_the_catalogue_is_of_its_family(self, name: str, family: str) -> None:
        found = sight_of(model(name))
        assert found is not None and found.id == family

    @pytest.mark.parametrize("name", ["gemma-3-1b", "qwen3-8b", "medgemma-27b-text", "deepseek-r1"])
    def test_text_models_see_nothing(self, name: str) -> None:
        assert sight_of(model(name)) is None

    def test_most_that_see_are_known(self) -> None:
        known = [name for name in SEEING if sight_of(model(name)) is not None]
        assert len(known) > 0.85 * len(SEEING)

    def test_a_config_that_wraps_a_language_model_tells_the_family(self) -> None:
        inner = {
            "model_type": "qwen2_5_vl_text", "hidden_size": 2048, "num_hidden_layers": 4, "num_attention_heads": 16,
            "num_key_value_heads": 2, "intermediate_size": 11008, "vocab_size": 151936, "max_position_embeddings": 32768,
        }  # fmt: skip
        vision = {"hidden_size": 1280, "depth": 32, "intermediate_size": 3420, "patch_size": 14}
        found = sight_of(
            from_config({"model_type": "qwen2_5_vl", "text_config": inner, "vision_config": vision}, "mine")
        )
        assert found is not None and found.id == "qwen2-5-vl"


class TestPlans:
    @pytest.mark.parametrize("engine", [Engine.LLAMA_CPP, Engine.VLLM, Engine.SGLANG, Engine.TENSORRT_LLM])
    def test_tokens_memory_and_time_grow(self, engine: Engine) -> None:
        blind, sees = best("qwen2.5-vl-7b", engine, None), best("qwen2.5-vl-7b", engine, "2@1920x1080")
        assert sees.workload.prompt_tokens == blind.workload.prompt_tokens + 2 * 2693
        assert sees.estimate.ttft_s.value > blind.estimate.ttft_s.value
        tower = [term.seconds for term in sees.estimate.prefill if term.name == "picture tower"]
        assert tower and tower[0] > 0.02
        named = {term.name for device in sees.estimate.memory.devices for term in device.terms}
        assert named & {"towers", "pictures"}

    def test_llama_cpp_bounds_a_picture_itself(self) -> None:
        served = best("qwen2.5-vl-7b", Engine.VLLM, "1@4000x3000", workload=PRESETS["rag"])
        local = best("qwen2.5-vl-7b", Engine.LLAMA_CPP, "1@4000x3000", workload=PRESETS["rag"])
        assert served.workload.pictures is not None and local.workload.pictures is not None
        assert served.workload.pictures.seen.tokens > 15_000 > 4_100 > local.workload.pictures.seen.tokens

    def test_a_tower_s_time_grows_with_the_square_of_a_picture(self) -> None:
        small, large = (best("qwen3-vl-8b", Engine.VLLM, f"1@{side}x{side}") for side in (512, 2048))
        times = [
            sum(term.seconds for term in plan.estimate.prefill if term.name == "picture tower")
            for plan in (small, large)
        ]
        assert times[1] > 16 * times[0]

    @pytest.mark.parametrize("engine", [Engine.LLAMA_CPP, Engine.VLLM])
    def test_upgrades_hold_the_tower_too(self, engine: Engine) -> None:
        changes = answer("qwen2.5-vl-7b", engine, "2@1920x1080").upgrades
        towers = [{t.name for d in one.plan.estimate.memory.devices for t in d.terms} for one in changes]
        assert towers and all(names & {"towers", "pictures"} for names in towers)
        assert engine is not Engine.LLAMA_CPP or all(dict(c.plan.layout.options)["mmproj"] == "gpu" for c in changes)

    def test_vllm_makes_room_for_the_largest_picture(self) -> None:
        """16,384 tokens of 3584 channels handed on, whatever size is asked for."""
        plan = best("qwen2.5-vl-7b", Engine.VLLM, "1@100x100")
        terms = plan.estimate.memory.devices[0].terms
        assert sum(term.bytes for term in terms if term.name == "pictures") >= 16_384 * 3584 * 2

    def test_a_preset_s_room_grows_and_a_named_one_is_refused(self) -> None:
        grown = asked("qwen3-vl-8b", "--on", ON, "--images", "8@1920x1080")
        assert grown["workload"]["context_tokens"] > 8192 < grown["workload"]["prompt_tokens"]
        assert "--context" in refused("plan", "qwen3-vl-8b", "--on", ON, "--images", "8@1920x1080", "--context", "9000")

    def test_a_number_of_tokens_needs_no_family(self) -> None:
        told = asked("qwen3-8b", "--on", ON, "--images", "3@500")
        assert told["workload"]["prompt_tokens"] == 1024 + 1500
        assert told["workload"]["pictures"] == {
            "count": 3, "width": None, "height": None, "tokens_each": 500, "patches_each": None, "family": None,
            "source": None,
        }  # fmt: skip

    def test_engines_without_towers_say_so(self) -> None:
        found = answer("glm-4.5v", Engine.KTRANSFORMERS, "1@600")
        assert [refusal.reason for refusal in found.ranking.refused] == ["takes no pictures"]


class TestLaunch:
    def words(self, *options: str) -> list[str]:
        steps = asked("qwen2.5-vl-7b", "--on", ON, *options)["plans"][0]["next"]
        return shlex.split(steps[1]["command"])

    def test_vllm_and_sglang_are_told_how_many(self) -> None:
        vllm = self.words("--engine", "vllm", "--images", "3")
        assert json.loads(vllm[vllm.index("--limit-mm-per-prompt") + 1]) == {"image": 3, "video": 0}
        sglang = self.words("--engine", "sglang", "--images", "3")
        assert json.loads(sglang[sglang.index("--limit-mm-data-per-request") + 1]) == {"image": 3}

    def test_llama_cpp_fetches_the_tower_only_for_pictures(self) -> None:
        assert "--no-mmproj" in self.words("--engine", "llama.cpp")
        sees = self.words("--engine", "llama.cpp", "--images", "1", "--set", "no-mmproj-offload=on")
        assert "--no-mmproj" not in sees and "--no-mmproj-offload" in sees

    def test_a_tower_s_file_is_named(self) -> None:
        named = self.words("--engine", "llama.cpp", "--images", "1", "--set", "mmproj=mine.gguf")
        assert named[named.index("--mmproj") + 1] == "mine.gguf"
        bounded = self.words("--engine", "llama.cpp", "--images", "1@3000x3000", "--set", "image-max-tokens=900")
        assert bounded[bounded.index("--image-max-tokens") + 1] == "900"

    def test_the_command_leads_to_the_plan_again(self) -> None:
        words = ["qwen2.5-vl-7b", "--on", ON, "--images", "2@800x600", "--vram-free", "14GiB", "--os", "windows"]
        ours = shlex.split(asked(*words, "--engine", "llama.cpp")["plans"][0]["next"][0]["command"])
        for pair in (["--images", "2@800x600"], ["--vram-free", "14GiB"], ["--os", "windows"]):
            assert ours[ours.index(pair[0]) + 1] == pair[1]
        done = run(*ours[1:])
        assert done.exit_code == 0 and "--mmproj" in done.stdout


@pytest.mark.parametrize("text", ["0", "-1", "2@", "x@5x5", "2@1x0", "1@30000x30000", "1@10x9000", "1@2x3x4", "1e9"])
def test_what_is_no_number_of_pictures_is_refused(text: str) -> None:
    assert "2@1920x1080" in refused("plan", "qwen3-vl-8b", "--on", ON, "--images", text)


@pytest.mark.parametrize(
    ("model", "says"), [("qwen3-8b", "sees no pictures"), ("llava-onevision-1.5-8b", "is not known")]
)
def test_models_that_do_not_see_or_nobody_knows_how(model: str, says: str) -> None:
    error = refused("plan", model, "--on", ON, "--images", "2")
    assert says in error and "N@TOKENS" in error


@pytest.mark.parametrize("name", few(SEEING, 12))
def test_every_model_that_sees_can_be_planned(name: str) -> None:
    if sight_of(model(name)) is None:
        return
    done = run("plan", name, "--on", "8x h200, 2x xeon 8480+", "--images", "1", "--engine", "vllm", "--json")
    assert done.exit_code in (0, 1), done.output
