"""The published schemas hold what is answered: every field is named in them, and every field they want is there."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from samples import few

pytest.importorskip("fastapi", reason="needs the serve extra")
pytest.importorskip("jsonschema", reason="needs jsonschema")

import jsonschema
from click.testing import CliRunner
from fastapi.testclient import TestClient

import wellfed
from wellfed.cli.main import cli
from wellfed.serve.app import create_app
from wellfed.serve.schemas import DOCUMENTS, file_name, json_schema
from wellfed.serve.settings import Settings

MACHINE = "rtx 4090, ryzen 9 7950x, 64gb"
TRACES = Path(__file__).resolve().parents[1] / "watch" / "traces"
CASES = [
    ("wellfed.plan/1", ["plan", "qwen3-8b", "--on", MACHINE]),
    ("wellfed.plan/1", ["plan", "deepseek-r1", "--on", MACHINE]),
    ("wellfed.plan/1", ["plan", "qwen3-8b", "--on", MACHINE, "--max-users", "--tpot", "40", "-q", "q4_k_m"]),
    ("wellfed.plan/1", ["plan", "qwen3-32b", "--on", "8x h100, 2x xeon 8480+", "-c", "64", "--ttft", "0.01"]),
    ("wellfed.from-command/1", ["plan", "--from-command", "llama-server -hf Qwen/Qwen3-8B-GGUF:Q4_K_M -ngl 99", "--on", MACHINE]),
    ("wellfed.market/1", ["plan", "qwen3-0.6b", "--buy", "--top", "2"]),
    ("wellfed.fit/1", ["fit", "--on", MACHINE, "--top", "2"]),
    ("wellfed.compare/1", ["compare", "-m", "deepseek-r1", MACHINE, "8x h200, 2x xeon 8480+"]),
    ("wellfed.check/1", ["check", "--on", "2x rtx 4090, second gpu chipset x4, ryzen 9 7950x, 4x32gb ddr5-5600", "-m", "qwen3-32b"]),
    ("wellfed.check/1", ["check", "--on", MACHINE]),
    ("wellfed.resolve/1", ["resolve", "qwen3-8b", "r1:70b q4_k_m", "nonsense-9000", "bge-m3"]),
    ("wellfed.glossary/1", ["explain", "TP"]),
    ("wellfed.error/1", ["explain", "no-such-term"]),
    ("wellfed.topology/1", ["topology", "--on", "2x a100 80gb nvlink, 2x epyc 7543, 1tb"]),
    ("wellfed.topology/1", ["topology"]),
    ("wellfed.catalog/1", ["catalog", "gpus", "h100"]),
    ("wellfed.catalog/1", ["catalog", "cpus", "epyc"]),
    ("wellfed.catalog/1", ["catalog", "models", "qwen3"]),
    ("wellfed.catalog/1", ["catalog", "builds"]),
    ("wellfed.train/1", ["plan", "qwen3-8b", "--train", "lora", "--on", MACHINE]),
    ("wellfed.train/1", ["plan", "deepseek-r1", "--train", "full", "--on", MACHINE]),
    ("wellfed.fleet-plan/1", ["fleet", "plan", "qwen3-32b", "--machines", "3=8x h200, 2x xeon 8480+", "--rate", "20", "--price-hour", "30"]),
    ("wellfed.fleet-plan/1", ["fleet", "plan", "deepseek-r1", "--machines", f"2={MACHINE}"]),
]  # fmt: skip


def _closed(schema: Any) -> Any:
    """The schema, with no field but those it names."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    made = {key: _closed(value) for key, value in schema.items()}
    return {**made, "additionalProperties": False} if "properties" in schema else made


def _printed(words: list[str]) -> Any:
    import subprocess
    import sys

    if words[0] == "explain":  # whose refusal the main door prints
        done = subprocess.run(
            [sys.executable, "-m", "wellfed", *words, "--json"], capture_output=True, text=True, check=False
        )
        return json.loads(done.stdout)
    return json.loads(CliRunner().invoke(cli, [*words, "--json"]).stdout)


@pytest.mark.parametrize("number", few(range(len(CASES)), 3))
def test_what_is_printed_is_what_is_published(number: int) -> None:
    schema, words = CASES[number]
    jsonschema.Draft202012Validator(_closed(json_schema(schema))).validate(_printed(words))


def test_a_fleet_is_what_is_published(tmp_path: Path) -> None:
    dump = "Architecture: x86_64\nCPU(s): 64\nModel name: AMD EPYC 9354 32-Core Processor\nSocket(s): 1\n"
    for name, text in (("a", dump), ("b", dump), ("c", dump.replace("CPU(s): 64", "CPU(s): 32")), ("d", "nothing")):
        (tmp_path / f"{name}.txt").write_text(text)
    validator = jsonschema.Draft202012Validator(_closed(json_schema("wellfed.fleet/1")))
    validator.validate(_printed(["fleet", "check", str(tmp_path), "--model", "qwen3-8b"]))


@pytest.mark.parametrize("path", sorted(TRACES.glob("*.jsonl"))[:4], ids=lambda path: path.stem)
def test_looks_are_what_is_published(path: Path) -> None:
    validator = jsonschema.Draft202012Validator(_closed(json_schema("wellfed.watch/1")))
    for look in list(wellfed.watch(replay=path))[::20]:
        validator.validate(json.loads(json.dumps(look.to_dict())))


@pytest.mark.parametrize("schema", DOCUMENTS)
def test_a_missing_or_wrong_field_is_seen(schema: str) -> None:
    """The schemas can fail."""
    made = json_schema(schema)
    jsonschema.Draft202012Validator.check_schema(made)
    with pytest.raises(jsonschema.ValidationError):
        jsonschema.Draft202012Validator(made).validate({"schema": schema})


@pytest.fixture(scope="module")
def client() -> Iterator[TestClient]:
    with TestClient(create_app(Settings(workers=1)), base_url="http://127.0.0.1:8787") as made:
        yield made


def test_they_are_served(client: TestClient) -> None:
    listed = client.get("/api/v1/schemas").json()
    assert set(listed) == set(DOCUMENTS)
    for schema, path in listed.items():
        assert path.endswith(file_name(schema)) and client.get(path).json()["title"] == schema
    assert client.get("/api/v1/schemas/wellfed.plan.2.json").status_code == 404


def test_openapi_points_to_them(client: TestClient) -> None:
    document = client.get("/openapi.json").json()
    content = document["paths"]["/api/v1/plan"]["post"]["responses"]["200"]["content"]["application/json"]
    for link in content["schema"]["anyOf"]:
        assert client.get(link["$ref"]).status_code == 200
    assert all(route.startswith("/api/v1/") for route in document["paths"] if "post" in document["paths"][route])
