"""Command lines out of compose files, scripts and processes; what they waste."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import given
from hypothesis import strategies as st

from documents import estimated
from wellfed.cli.main import cli
from wellfed.engines.compose_file import chosen_line, engine_lines
from wellfed.errors import BadInput
from wellfed.verbs.command_sources import line_of

COMPOSE = """
services:
  ui:
    image: ghcr.io/open-webui/open-webui:main
  chat:
    image: vllm/vllm-openai:v0.17.0
    command: ["--model", "Qwen/Qwen3-8B", "--max-model-len", "8192"]
    environment:
      - HF_TOKEN=secret
    deploy:
      resources:
        reservations:
          devices:
            - driver: nvidia
              device_ids: ["1"]
              capabilities: [gpu]
"""
TWO = (
    COMPOSE
    + """
  small:
    image: ghcr.io/ggml-org/llama.cpp:server-cuda
    environment:
      LLAMA_ARG_MODEL: /models/Qwen3-8B-Q8_0.gguf
      LLAMA_ARG_CTX_SIZE: 4096
"""
)
ON = "2x rtx 4090, ryzen 9 7950x, 64gb"


def asked(what: str, on: str = ON) -> dict[str, Any]:
    return estimated(what, on)


def test_the_one_engine_of_a_compose_file(tmp_path: Path) -> None:
    file = tmp_path / "compose.yaml"
    file.write_text(COMPOSE)
    found = asked(str(file))
    assert found["engine"] == "vllm" and found["as_it_is"]["context"] == 8192
    assert found["as_it_is"]["engine_version"] == "v0.17.0"
    assert [device["device"] for device in found["as_it_is"]["memory"]] == ["gpu0", "ram"], "one GPU is reserved"


def test_of_several_one_is_named(tmp_path: Path) -> None:
    file = tmp_path / "docker-compose.yml"
    file.write_text(TWO)
    assert set(engine_lines(TWO)) == {"chat", "small"}
    with pytest.raises(BadInput):
        line_of(str(file))
    found = asked(f"{file}#small")
    assert found["engine"] == "llama.cpp" and found["as_it_is"]["context"] == 4096


def test_an_exported_compose_file_reads_back(tmp_path: Path) -> None:
    words = ("run", "qwen3-14b", "--on", ON, "-e", "vllm", "-q", "bf16", "--set", "tp=2", "--export", "compose")
    done = CliRunner().invoke(cli, list(words))
    assert done.exit_code == 0, done.output
    file = tmp_path / "compose.yaml"
    file.write_text(done.stdout)
    layout = asked(str(file))["as_it_is"]["layout"]
    assert (layout["engine"], layout["tensor_parallel"]) == ("vllm", 2)


@pytest.mark.parametrize("text", ["", "[]", "services: 3", "services: {a: {image: nginx}}", "{", "a: &a [*a]"])
def test_other_files_are_one_error(text: str) -> None:
    with pytest.raises(BadInput):
        chosen_line(text)


@given(st.text(max_size=200))
def test_no_text_does_more_than_raise(text: str) -> None:
    for told in (text, f"services:\n  a:\n    image: vllm/vllm-openai\n    command: {text}"):
        try:
            chosen_line(told)
        except BadInput:
            pass


def test_a_script_is_read(tmp_path: Path) -> None:
    file = tmp_path / "start.sh"
    file.write_text(
        "#!/bin/sh\n# serves\nexport CUDA_VISIBLE_DEVICES=0\nllama-server -m Qwen3-8B-Q8_0.gguf \\\n  -ngl 99 -c 4096\n"
    )
    found = asked(str(file))
    assert found["engine"] == "llama.cpp" and len(found["as_it_is"]["memory"]) == 2


@pytest.fixture
def process() -> Iterator[int]:
    words = ["llama-server", "-m", "Qwen3-32B-Q4_K_M.gguf", "-ngl", "20", "-c", "8192"]
    started = subprocess.Popen(
        [sys.executable, "-c", "import time; time.sleep(120)", *words], env={"CUDA_VISIBLE_DEVICES": "0", "SECRET": "s"}
    )
    yield started.pid
    started.kill()
    started.wait()


def test_a_running_process_is_read_and_what_it_wastes_is_told(process: int) -> None:
    line = line_of(f"pid:{process}")
    assert "CUDA_VISIBLE_DEVICES=0" in line and "SECRET" not in line
    found = asked(f"pid:{process}")
    said = " ".join(change["text"] for change in found["changes"])
    assert found["as_it_is"]["layout"]["offload"]["gpu_layers"] == 20
    assert "stay unused while the CPU computes" in said and "times as fast" in said


DEPLOYMENT = """
apiVersion: apps/v1
kind: Deployment
metadata: {name: chat}
spec:
  template:
    spec:
      containers:
        - name: proxy
          image: nginx
        - name: vllm
          image: vllm/vllm-openai:v0.11.0
          command: ["/bin/sh", "-c"]
          args: ["vllm serve Qwen/Qwen3-8B --tensor-parallel-size 2 --max-model-len 8192"]
          resources: {limits: {nvidia.com/gpu: "2"}}
---
apiVersion: v1
kind: Service
metadata: {name: chat}
"""
PREDICTOR = """
apiVersion: serving.kserve.io/v1beta1
kind: InferenceService
spec:
  predictor:
    model: {modelFormat: {name: huggingface}, args: [--max-model-len=8192], storageUri: "hf://Qwen/Qwen3-8B"}
"""
UNIT = """
[Unit]
Description=chat
[Service]
Environment=CUDA_VISIBLE_DEVICES=1
# ExecStart=/bin/false
ExecStart=-/opt/llama.cpp/llama-server -m Qwen3-8B-Q4_K_M.gguf -c 8192 \\
    -ngl 20 -fa on
"""
MODELFILE = """
FROM qwen3:8b
PARAMETER num_ctx 8192
PARAMETER num_gpu 20
PARAMETER temperature 0.7
SYSTEM You are terse.
"""
SWAPPED = """
macros:
  base: llama-server --port ${PORT} -ngl ${layers}
  layers: 20
models:
  chat: {cmd: "${base} -m Qwen3-8B-Q4_K_M.gguf -c 8192"}
"""


@pytest.mark.parametrize(
    ("name", "content", "engine", "shown"),
    [
        ("chat.yaml", DEPLOYMENT, "vllm", {"tensor_parallel": 2}),
        ("chat.yml", PREDICTOR, "vllm", {"tensor_parallel": 1}),
        ("chat.service", UNIT, "llama.cpp", {"gpu_layers": 20}),
        ("Modelfile", MODELFILE, "llama.cpp", {"gpu_layers": 20}),
        ("chat.modelfile", MODELFILE, "llama.cpp", {"gpu_layers": 20}),
        ("swap.yaml", SWAPPED, "llama.cpp", {"gpu_layers": 20}),
    ],
)
def test_files_that_start_engines(name: str, content: str, engine: str, shown: dict[str, int], tmp_path: Path) -> None:
    file = tmp_path / name
    file.write_text(content)
    found = asked(str(file))
    layout = found["as_it_is"]["layout"]
    assert found["engine"] == engine and found["model"].startswith("qwen3-8b") and found["as_it_is"]["context"] == 8192
    assert {key: {**layout, **layout["offload"]}[key] for key in shown} == shown
    assert not any(change["id"] == "command.ignored" for change in found["changes"])


def test_a_manifest_without_an_engine_is_one_error(tmp_path: Path) -> None:
    file = tmp_path / "chat.yaml"
    file.write_text("apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: nginx, args: 'x \"y'}]}\n")
    with pytest.raises(BadInput):
        line_of(str(file))


def test_idle_gpus_are_told() -> None:
    said = " ".join(change["text"] for change in asked("vllm serve Qwen/Qwen3-8B --max-model-len 8192")["changes"])
    assert "1 of 2 GPUs do nothing" in said


def test_what_makes_the_best_plan_quicker_is_named() -> None:
    """A model that ships its own draft: the twofold speed is that, not a smaller batch."""
    line = "vllm serve deepseek-ai/DeepSeek-V3.2 --tensor-parallel-size 8"
    told = [change["text"] for change in asked(line, on="8x h200, 2tb")["changes"]]
    assert any("times as fast" in text for text in told)
    assert any(text.startswith("speculation: none now, MTP") for text in told)


def test_a_setting_of_a_step_is_no_waste_where_nothing_is_gained() -> None:
    line = "vllm serve LiquidAI/LFM2.5-350M"
    told = [change["text"] for change in asked(line, on="8x h200, 2tb")["changes"]]
    assert any("times as fast" in text for text in told) or not any("batch_tokens" in text for text in told)


@pytest.mark.parametrize("text", ["pid:0", "pid:4194999999"])
def test_processes_that_are_not_there(text: str) -> None:
    with pytest.raises(BadInput):
        line_of(text)


SETTINGS = {
    "model": [], "model_param": "gemma-3-12b-it-Q4_K_M.gguf", "port": 5001, "contextsize": 16384, "gpulayers": 99,
    "usecuda": ["normal", "0", "mmq"], "usevulkan": None, "quantkv": 1, "flashattention": True, "useswa": True,
    "blasbatchsize": 512, "tensor_split": None, "moecpu": 0, "lora": None, "mmproj": "", "threads": 7,
}  # fmt: skip


class TestFilesOfKoboldCpp:
    def lines(self, folder: Path, *words: str) -> list[str]:
        file = folder / "mine.kcpps"
        file.write_text(json.dumps(SETTINGS))
        return [
            line_of(" ".join([*words, str(file)]).strip()),
            line_of(f"koboldcpp --config {file} --contextsize 8192"),
        ]

    def test_alone_and_in_a_line(self, tmp_path: Path) -> None:
        alone, within = self.lines(tmp_path)
        assert alone.startswith("koboldcpp --model gemma-3-12b-it-Q4_K_M.gguf --contextsize 16384 --gpulayers 99")
        assert "--usecuda normal 0 mmq" in alone and "--useswa" in alone
        assert "usevulkan" not in alone and "moecpu" not in alone and "tensor_split" not in alone
        assert within.count("--contextsize") == 1 and "--contextsize 8192" in within and "16384" not in within

    def test_it_is_planned_as_its_line_would_be(self, tmp_path: Path) -> None:
        file = tmp_path / "mine.kcpps"
        file.write_text(json.dumps(SETTINGS))
        asked = ["plan", "--on", "rtx 3090, ryzen 9 7950x, 64gb", "--json", "--from-command"]
        found = [json.loads(CliRunner().invoke(cli, [*asked, line]).stdout) for line in (str(file), line_of(str(file)))]
        assert found[0]["as_it_is"]["memory"] == found[1]["as_it_is"]["memory"]
        assert found[0]["as_it_is"]["layout"]["kv_type"] == "q8_0"

    @pytest.mark.parametrize("text", ["", "[]", "{}", "not JSON", '{"port": 5001}', "[" * 100_000])
    def test_other_files_are_refused(self, tmp_path: Path, text: str) -> None:
        file = tmp_path / "mine.kcpps"
        file.write_text(text)
        with pytest.raises(BadInput):
            line_of(str(file))
