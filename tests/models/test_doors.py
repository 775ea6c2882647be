"""By the door that users take: what a folder holds is what is told and planned."""

from __future__ import annotations

import json
from pathlib import Path

from checkpoint_files import CONFIG, Tensors, dense, write_checkpoint
from click.testing import CliRunner

from wellfed.cli.main import cli

_MACHINE = "rtx 4090, ryzen 7950x, 64gb ddr5"


def _resolved(folder: Path) -> dict[str, object]:
    result = CliRunner().invoke(cli, ["resolve", str(folder), "--json"])
    entry = json.loads(result.output)["names"][0]
    assert isinstance(entry, dict)
    return entry


def _packed(plain: Tensors) -> Tensors:
    table: dict[str, tuple[str, tuple[int, ...]]] = {}
    for name, (dtype, shape) in plain.items():
        if not name.endswith("_proj.weight"):
            table[name] = (dtype, shape)
            continue
        module = name.removesuffix(".weight")
        table[f"{module}.weight"] = ("U8", (shape[0], shape[1] // 2))
        table[f"{module}.weight_scale"] = ("F8_E4M3", (shape[0], shape[1] // 16))
    return table


def test_resolve_tells_a_checkpoint_s_own_counts(tmp_path: Path) -> None:
    settings = {"quant_method": "modelopt", "quant_algo": "NVFP4", "exclude_modules": ["lm_head"]}
    mtp: Tensors = {"mtp.fc.weight": ("BF16", (256, 512))}
    size = write_checkpoint(tmp_path / "repo", {**CONFIG, "quantization_config": settings}, _packed(dense()) | mtp)
    entry = _resolved(tmp_path / "repo")
    assert entry["format"] == "nvfp4"
    assert entry["weight_bytes"] == size
    assert entry["loaded_bytes"] == size - 2 * 256 * 512
    assert entry["total_parameters"] == 256 * 512 + int(str(entry["parameters"]))
    assert entry["how"] == "path"


def test_resolve_says_that_an_architecture_is_unknown_and_was_read_from_tensors(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "repo", {**CONFIG, "model_type": "brandnew"}, dense())
    entry = _resolved(tmp_path / "repo")
    assert "unknown here" in json.dumps(entry["assumptions"])


def test_resolve_refuses_an_unknown_method_by_its_name(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": {"quant_method": "spinquant"}}))
    entry = _resolved(tmp_path)
    assert "spinquant" in json.dumps(entry["error"])


def test_plan_of_files_names_only_engines_that_load_them(tmp_path: Path) -> None:
    write_checkpoint(tmp_path / "repo", CONFIG, dense())
    result = CliRunner().invoke(cli, ["plan", str(tmp_path / "repo"), "--on", _MACHINE, "--json"])
    assert result.exit_code == 0, result.output
    engines = {plan["layout"]["engine"] for plan in json.loads(result.output)["plans"]}
    assert engines and engines <= {"vllm", "sglang", "tensorrt-llm"}


def test_plan_of_a_format_that_no_engine_here_loads_says_who_does(tmp_path: Path) -> None:
    settings = {"quant_method": "exl3", "bits": 4.0, "head_bits": 6}
    (tmp_path / "config.json").write_text(json.dumps({**CONFIG, "quantization_config": settings}))
    result = CliRunner().invoke(cli, ["plan", str(tmp_path), "--on", _MACHINE, "--engine", "vllm"])
    assert result.exit_code == 1
    assert "exllamav3" in result.output


def test_a_tag_of_ollama_s_library_with_a_format_is_its_own_file() -> None:
    result = CliRunner().invoke(cli, ["resolve", "qwen3:14b-q4_K_M", "Qwen/Qwen3-14B Q4_K_M", "--json"])
    tag, usual = json.loads(result.output)["names"]
    assert abs(tag["weight_bytes"] / (8.63 * 2**30) - 1) < 0.003  # as an engine's log has it
    assert tag["weight_bytes_range"] is None
    low, high = usual["weight_bytes_range"]
    assert low < usual["weight_bytes"] < high


def test_one_file_of_a_folder_s_tensors_is_its_model(tmp_path: Path) -> None:
    folder = tmp_path / "repo"
    write_checkpoint(folder, CONFIG, dense())
    file = next(folder.glob("*.safetensors"))
    named, whole = _resolved(file), _resolved(folder)
    assert named["parameters"] == whole["parameters"] and named["weight_bytes"] == whole["weight_bytes"]
    (folder / "config.json").unlink()
    assert "no config.json" in str(_resolved(file)["error"])
