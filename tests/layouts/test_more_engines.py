"""LMDeploy, ds4, TabbyAPI and Ollama: memory by their own rules, commands read back."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from documents import planned
from wellfed.engines.command_line import command
from wellfed.engines.spec import Endpoint
from wellfed.launch.programs import nominal, recorded_flags
from wellfed.nouns.layout import Engine
from wellfed.planner.kinds import describe
from wellfed.units import GIB
from wellfed.verbs import commands, planning


def weights_gib(plan: dict[str, Any]) -> float:
    terms = [term for device in plan["memory"] for term in device["terms"]]
    return float(sum(term["bytes"] for term in terms if term["name"] == "weights")) / GIB


class TestLmdeploy:
    ON = "2x rtx 3090, ryzen 9 7950x, 64gb"

    def test_its_cache_is_a_share_of_what_weights_leave(self) -> None:
        line = "lmdeploy serve api_server Qwen/Qwen3-32B-AWQ --tp 2 --session-len 8192 --cache-max-entry-count {share}"
        pools = []
        for share in ("0.8", "0.4"):
            gpu = planned("--from-command", line.format(share=share), "--on", self.ON)["as_it_is"]["memory"][0]
            pools.append(gpu["spare_bytes"] + next(t["bytes"] for t in gpu["terms"] if t["name"] == "kv"))
        assert pools[0] / pools[1] == pytest.approx(2, rel=0.01)

    def test_it_is_planned_where_it_is_named_only(self) -> None:
        assert {p["layout"]["engine"] for p in planned("qwen3-14b", "--on", self.ON, "-e", "lmdeploy")["plans"]} == {
            "lmdeploy"
        }
        plans = planned("qwen3-14b", "--on", self.ON, "--top", "50")["plans"]
        assert not {"lmdeploy", "ds4"} & {p["layout"]["engine"] for p in plans}

    @pytest.mark.parametrize("kind", ["f16", "int8"])
    def test_what_is_planned_is_read_back_from_its_command(self, kind: str) -> None:
        options = planning.PlanOptions(on=self.ON, engines=(Engine.LMDEPLOY,), kv_types=(kind,), pins=("tp=2",))
        plan = planning.plan("qwen3-14b", options).ranking.best
        assert plan is not None
        spec = commands.launch_spec(plan, nominal(Engine.LMDEPLOY), "Qwen/Qwen3-14B", Endpoint())
        read = command(shlex.join(spec.argv))
        from wellfed.nouns.layout import Layout

        layout = read.pins.applied(Layout(Engine.LMDEPLOY, "x"))
        assert (read.engine, read.model, read.pins.context) == (
            Engine.LMDEPLOY,
            "Qwen/Qwen3-14B",
            plan.workload.context,
        )
        assert (layout.tensor_parallel, layout.kv_type, layout.max_sequences) == (2, kind, plan.layout.max_sequences)
        assert {word for word in spec.argv if word.startswith("--")} <= set(recorded_flags(Engine.LMDEPLOY))


class TestDs4:
    def test_its_own_files_have_their_published_size(self) -> None:
        """DeepSeek-V4-Flash about 81 GiB, GLM-5.3-Flash about 90 GiB (docs/MODELS.md of antirez/ds4)."""
        for name, gib in (("deepseek-v4-flash", 81), ("glm-5.3-flash", 90)):
            plan = planned(name, "-e", "ds4", "--on", "mac studio m3 ultra 256gb", "-q", "iq2_xxs")["plans"][0]
            held = sum(
                t["bytes"]
                for d in plan["memory"]
                if d["device"] == "gpu0"
                for t in d["terms"]
                if t["name"] == "weights"
            )
            assert held / GIB == pytest.approx(gib, rel=0.05)

    def test_it_runs_few_models(self) -> None:
        refused = planned("qwen3-8b", "-e", "ds4", "--on", "dgx spark")["refused"]
        assert any("deepseek-v4" in row["reason"] for row in refused)

    def test_its_command_is_read_back(self) -> None:
        read = command("./ds4-server -m DeepSeek-V4-Flash-IQ2_XXS.gguf --ctx 100000 --batched-session 4")
        assert (read.engine, read.pins.context, read.pins.slots) == (Engine.DS4, 100_000, 4)


def test_tabbyapi_is_read() -> None:
    line = "python3 main.py --model-dir models --model-name Qwen3-32B-exl3-4.0bpw --max-seq-len 32768 --cache-mode Q6"
    found = planned("--from-command", line, "--on", "rtx 4090, ryzen 9 7950x, 64gb")
    assert found["engine"] == "exllamav3" and found["as_it_is"]["layout"]["kv_type"] == "q6_0"


def test_ollama_is_named_and_what_to_type_is_its_own() -> None:
    found = planned("qwen3:14b", "-e", "ollama", "--on", "rtx 4090, ryzen 9 7950x, 64gb", "--context", "16384")
    assert "Ollama" in found["plans"][0]["description"]
    typed = json.dumps(found)
    assert "--export ollama" in typed and "OLLAMA_CONTEXT_LENGTH=16384" in typed and "ollama run qwen3:14b" in typed


def test_ollamas_files_are_its_own() -> None:
    """Its Qwen3 keeps the values' projection in 16 bits."""
    where = ("--on", "rtx 4090, ryzen 9 7950x, 64gb", "-q", "q4_k_m")
    own, other = (planned("qwen3-8b", "-e", engine, *where)["plans"][0] for engine in ("ollama", "llama.cpp"))
    assert weights_gib(own) > 1.01 * weights_gib(other)


def test_a_description_is_of_one_layout() -> None:
    options = planning.PlanOptions(on="rtx 4090, ryzen 9 7950x, 64gb", engines=(Engine.LLAMA_CPP,))
    best = planning.plan("qwen3-8b", options).ranking.best
    assert best is not None and "Ollama" not in describe(best.layout)
