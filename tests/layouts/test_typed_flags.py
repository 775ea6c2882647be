"""Flags as people type them: abbreviations, parts of objects, variables, shells, images; none ends in an exception."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given, settings
from hypothesis import strategies as st

from documents import estimated
from wellfed.cli.main import cli
from wellfed.engines.command_line import command
from wellfed.engines.compose_file import engine_lines
from wellfed.errors import BadInput, WellfedError
from wellfed.nouns.layout import DraftKind, Engine, Layout
from wellfed.units import GB, GIB

SERVER = "4x h100 sxm, 2x xeon 8480, 1tb"


def layout_of(line: str) -> Layout:
    read = command(line)
    return read.pins.applied(Layout(read.engine, "bf16"))


def as_it_is(line: str, on: str = SERVER) -> dict[str, Any]:
    return estimated(line, on)


@pytest.mark.parametrize(
    "typed", ["--tensor-parallel 2", "--tensor_parallel_size 2", "--tensor-par=2", "-tp 2", "-tp=2"]
)
def test_a_beginning_that_only_one_flag_has(typed: str) -> None:
    assert layout_of(f"vllm serve a/b {typed}").tensor_parallel == 2


def test_a_beginning_that_several_flags_have_is_named() -> None:
    assert command("vllm serve a/b --kv-c 1").pins.ignored == ("kv-c",)


def test_llama_cpp_takes_no_beginnings() -> None:
    assert command("llama-server -m x.gguf --ctx-siz 4096").pins.ignored == ("ctx-siz",)


def test_keys_of_an_object() -> None:
    drafts = layout_of("vllm serve a/b --speculative-config.method mtp --speculative-config.num_speculative_tokens 2")
    assert drafts.speculation is not None
    assert (drafts.speculation.kind, drafts.speculation.tokens) == (DraftKind.MTP, 2)


@pytest.mark.parametrize("method", ["dflash", "dspark", "medusa"])
def test_a_method_that_is_not_modelled_is_named(method: str) -> None:
    told = json.dumps({"method": method, "model": "a/c", "num_speculative_tokens": 5})
    read = command(f"vllm serve a/b --speculative-config '{told}'")
    assert read.pins.ignored == (f"speculative-config ({method})",) and not read.pins.speculates


def test_variables_of_a_script() -> None:
    read = command('export TP=4\nMODEL=a/b\nvllm serve "$MODEL" -tp ${TP} --max-model-len ${LEN:-8192}\n')
    assert (read.model, read.pins.context, read.pins.applied(Layout(read.engine, "x")).tensor_parallel) == (
        "a/b",
        8192,
        4,
    )


@pytest.mark.parametrize("value", ["$TP", "${TP}", "<gpus>"])
def test_what_is_still_to_be_filled_in(value: str) -> None:
    with pytest.raises(BadInput) as refused:
        command(f"vllm serve a/b --tensor-parallel-size '{value}'")
    assert "put its value" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("line", "engine", "model"),
    [
        ('bash -lc "vllm serve a/b -tp 2"', Engine.VLLM, "a/b"),
        ('docker run --entrypoint bash vllm/vllm-openai:v0.11.0 -c "vllm serve a/b"', Engine.VLLM, "a/b"),
        ("docker run vllm/vllm-openai-rocm:latest --model a/b", Engine.VLLM, "a/b"),
        ("docker run --gpus all lmsysorg/sglang:latest python3 -m sglang.launch_server --model-path a/b", Engine.SGLANG, "a/b"),
        ("podman run docker.io/vllm/vllm-openai@sha256:0123abcd --model a/b", Engine.VLLM, "a/b"),
        ("docker run registry.example.org:5000/mirror/vllm-openai:v0.9 --model a/b", Engine.VLLM, "a/b"),
        ("docker exec -it ollama ollama run llama3.2", Engine.LLAMA_CPP, "llama3.2"),
        ("./main -m x.gguf -ngl 33", Engine.LLAMA_CPP, "x.gguf"),
        ("vllm serve --some-new-switch a/b", Engine.VLLM, "a/b"),
    ],
)  # fmt: skip
def test_where_an_engine_stands(line: str, engine: Engine, model: str) -> None:
    read = command(line)
    assert (read.engine, read.model) == (engine, model)


def test_an_image_for_cpus_sees_no_gpu() -> None:
    found = as_it_is("docker run vllm/vllm-openai-cpu:v0.20.0 --model Qwen/Qwen3-8B --max-model-len 4096")["as_it_is"]
    assert found["layout"]["gpus"] == 0 and [device["device"] for device in found["memory"]] == ["ram"]


def test_a_path_that_tells_nothing_by_the_name_it_is_served_by() -> None:
    found = as_it_is("vllm serve /model --served-model-name qwen3-8b --max-model-len 4096")
    assert found["as_it_is"]["fits"] and "qwen3-8b" in json.dumps(found).lower()


def test_drafts_that_nobody_knows_are_left_out_aloud() -> None:
    told = '{"method":"mtp","num_speculative_tokens":1}'
    found = as_it_is(f"vllm serve Qwen/Qwen3-8B --max-model-len 4096 --speculative-config '{told}'")
    assert "left out" in json.dumps(found["changes"]) and "prediction layers" in json.dumps(found["changes"])


def test_tabby_config_and_llama_swap() -> None:
    tabby = "model:\n  model_dir: models\n  model_name: Qwen3-32B-exl3\n  max_seq_len: 16384\n  cache_mode: 8,6\n  gpu_split: [20, 24]\n  tensor_parallel: false\n"
    (line,) = engine_lines(tabby).values()
    read = command(line)
    assert (read.engine, read.model, read.pins.context) == (Engine.EXLLAMAV3, "Qwen3-32B-exl3", 16384)
    assert read.pins.applied(Layout(read.engine, "x")).kv_type == "exl8/exl6"
    swap = "models:\n  big:\n    cmd: llama-server --port ${PORT} -m a.gguf -c 8192\n  small:\n    cmd: |\n      llama-server\n      -m b.gguf\n"
    assert {name: command(line).model for name, line in engine_lines(swap).items()} == {
        "big": "a.gguf",
        "small": "b.gguf",
    }


class TestCacheTransfer:
    BOTH = '"kv_role":"kv_both"'

    def ram(self, line: str) -> float:
        """Bytes that RAM's ledger keeps for cache."""
        ram = next(device for device in as_it_is(line)["as_it_is"]["memory"] if device["device"] == "ram")
        return float(sum(term["bytes"] for term in ram["terms"] if term["name"] == "kv offload"))

    def serve(self, connector: str, extra: str = "", before: str = "") -> str:
        told = f'{{"kv_connector":"{connector}",{self.BOTH}{extra}}}'
        return f"{before} vllm serve Qwen/Qwen3-32B -tp 4 --max-model-len 8192 --kv-transfer-config '{told}'"

    def test_lmcache_takes_five_gb_of_each_rank_or_what_is_said(self) -> None:
        assert self.ram(self.serve("LMCacheConnectorV1")) == pytest.approx(4 * 5 * GB)
        assert self.ram(self.serve("LMCacheConnectorV1", before="LMCACHE_MAX_LOCAL_CPU_SIZE=60")) == pytest.approx(
            240 * GB
        )
        said = ',"kv_connector_extra_config":{"lmcache.max_local_cpu_size":20}'
        assert self.ram(self.serve("LMCacheConnectorV1", said)) == pytest.approx(80 * GB)

    def test_the_offloading_connector_says_its_bytes(self) -> None:
        said = f',"kv_connector_extra_config":{{"cpu_bytes_to_use":{100 * GIB}}}'
        assert self.ram(self.serve("OffloadingConnector", said)) == pytest.approx(100 * GIB)

    def test_what_hands_a_cache_over_keeps_none(self) -> None:
        assert self.ram(self.serve("NixlConnector")) == 0

    def test_several_at_once(self) -> None:
        inner = f'{{"kv_connector":"NixlConnector",{self.BOTH}}},{{"kv_connector":"LMCacheConnectorV1",{self.BOTH}}}'
        said = f',"kv_connector_extra_config":{{"connectors":[{inner}]}}'
        assert self.ram(self.serve("MultiConnector", said)) == pytest.approx(20 * GB)

    def test_it_reaches_the_command_line(self) -> None:
        told = f'{{"kv_connector":"LMCacheConnectorV1",{self.BOTH}}}'
        words = ["plan", "qwen3-32b", "-e", "vllm", "--on", SERVER, "--set", f"kv-transfer-config={told}", "--json"]
        found = json.loads(CliRunner().invoke(cli, words).stdout)
        typed = [step["command"] for step in found["plans"][0]["next"] if "vllm serve" in step["command"]]
        assert typed and "LMCacheConnectorV1" in typed[0] and "--kv-offloading-size" not in typed[0]

    @pytest.mark.parametrize(
        "told", ["[]", "{}", '{"kv_connector":"OffloadingConnector"}', '{"kv_connector":"Unheard"}', "x"]
    )
    def test_what_is_none_by_set_is_one_error(self, told: str) -> None:
        done = CliRunner().invoke(
            cli, ["plan", "qwen3-32b", "-e", "vllm", "--on", SERVER, "--set", f"kv-transfer-config={told}"]
        )
        assert isinstance(done.exception, BadInput)


_WORDS = st.sampled_from([
    "vllm", "serve", "llama-server", "ollama", "run", "-m", "x.gguf", "--rpc", "a:1,b:2", "-tp", "$TP", "--kv-transfer-config",
    '{"kv_connector":1}', "--speculative-config.", "--speculative-config.method", "mtp", "-c", "4096", "--", "-", "=", "bash", "-c",
    "vllm/vllm-openai-cpu:latest", "python", "main.py", "--model-name", "${A:-3}", "LLAMA_ARG_CTX_SIZE=1", "--ot", "exps=CPU",
    "-ts", "1,2", "--served-model-name", "qwen3-8b", "Qwen/Qwen3-8B", "trtllm-serve", "--cp_size", "2", "lmdeploy",
])  # fmt: skip


@settings(max_examples=300, deadline=None)
@given(st.lists(_WORDS, max_size=10))
@example(["vllm", "serve", "--speculative-config."])
def test_no_line_ends_in_another_exception(words: list[str]) -> None:
    try:
        command(" ".join(words))
    except WellfedError:
        pass


def test_a_file_that_is_no_compose_file_is_still_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.yml"
    file.write_text("network:\n  host: 127.0.0.1\n")
    done = CliRunner().invoke(cli, ["plan", "--on", SERVER, "--from-command", str(file)])
    assert isinstance(done.exception, BadInput)
