"""Exports read by the tools of where they will live: systemd-analyze, docker compose, shellcheck, Kubernetes' schemas.

A tool that is not installed skips its tests. WELLFED_LWS_CRD names a copy of the LeaderWorkerSet's definition (YAML,
config/crd/bases of kubernetes-sigs/lws); without it only its pod templates are checked.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from wellfed.engines.exports import EXPORTS
from wellfed.engines.spec import Binding, Endpoint, LaunchSpec
from wellfed.errors import Unsupported
from wellfed.launch.programs import Program
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.verbs import planning, running

SECRET = "sk-do-not-print"
DUAL = "2x EPYC 9654 with 24x 64GB DDR5-4800 and 4x H100 SXM"
MODEL = '/data/it\'s 100% a "model" $HOME-00001-of-00002.gguf'


_DOLLAR = ("-e", "SC2016")  # the model's name holds one on purpose


def wide(plan: Plan, **layout: Any) -> Plan:
    """The plan over more GPUs."""
    return replace(plan, layout=replace(plan.layout, **layout))


@cache
def plans() -> Mapping[str, Plan]:
    """Small and large, on every kind of hardware."""

    def best(model: str, machine: str, engine: Engine, **options: Any) -> Plan:
        found = planning.plan(model, planning.PlanOptions(on=machine, engines=(engine,), **options)).ranking.plans
        return found[0]

    small = "deepseek-v2-lite"
    vllm = best(small, DUAL, Engine.VLLM)
    two = {"nodes": 2, "network": "400Gb"}
    return {
        "cpu": best(small, "2x EPYC 9654 with 24x 64GB DDR5-4800", Engine.LLAMA_CPP),
        "hybrid": best("deepseek-r1", "EPYC 9654 with 12x 96GB DDR5-4800 and RTX 4090", Engine.LLAMA_CPP),
        "radeon": best(small, "Ryzen 9 7950X with 2x 32GB DDR5-5600 and RX 7900 XTX", Engine.LLAMA_CPP),
        "vllm": wide(vllm, gpus=2, tensor_parallel=2),
        "vllm on two": wide(best(small, DUAL, Engine.VLLM, **two), gpus=8, tensor_parallel=8, data_parallel=1),
        "sglang": best(small, DUAL, Engine.SGLANG),
        "sglang on two": wide(best(small, DUAL, Engine.SGLANG, **two), gpus=8, tensor_parallel=8, data_parallel=1),
        "ktransformers": best("deepseek-r1", "2x EPYC 9654 with 24x 64GB DDR5-4800 and RTX 4090", Engine.KTRANSFORMERS),
    }


NAMES = ("cpu", "hybrid", "radeon", "vllm", "vllm on two", "sglang", "sglang on two", "ktransformers")
ALONE = tuple(name for name in NAMES if "two" not in name)
TWO = tuple(name for name in NAMES if "two" in name)


def launch(name: str, program: str = "/usr/bin/engine", key: str | None = SECRET, **changes: Any) -> LaunchSpec:
    """As it would be written."""
    endpoint = Endpoint("127.0.0.1", 8000, key)
    spec = running.launch_spec(plans()[name], Program((program,), "test"), MODEL, endpoint)
    return replace(spec, **changes)


def tool(name: str) -> str:
    """A program, of the environment's own first."""
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def checked(command: list[str], text: str | None = None, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run to its end."""
    return subprocess.run(
        command, input=text, text=True, capture_output=True, check=False, env={**os.environ, **environment}, timeout=60
    )


def documents(text: str) -> list[dict[str, Any]]:
    """The documents of a Kubernetes export."""
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [json.loads(part) for part in body.split("\n---\n")]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", sorted(EXPORTS))
@pytest.mark.parametrize("key", [SECRET, None])
def test_no_export_holds_the_key(name: str, form: str, key: str | None) -> None:
    try:
        text = EXPORTS[form](launch(name, key=key), name)
    except Unsupported as refused:
        assert refused.hint
        return
    assert SECRET not in text
    assert key is None or "KEY" in text


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("huge", [{}, {0: 4, 1: 4}])
def test_systemd(name: str, huge: dict[int, int], tmp_path: Path) -> None:
    analyze = tool("systemd-analyze")
    program = tmp_path / "engine"
    program.write_text("#!/bin/sh\n")
    program.chmod(0o755)
    unit = tmp_path / "r1.service"
    unit.write_text(EXPORTS["systemd"](launch(name, str(program), huge_pages=huge), "DeepSeek R1 100%"))
    done = checked([analyze, "verify", "--man=no", str(unit)])
    assert "r1.service" not in done.stderr and done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("form", ["script", "slurm", "ray"])
@pytest.mark.parametrize("key", [SECRET, None])
def test_shell(name: str, form: str, key: str | None, tmp_path: Path) -> None:
    shellcheck = tool("shellcheck")
    try:
        text = EXPORTS[form](launch(name, key=key, huge_pages={0: 4}), name)
    except Unsupported:
        assert form == "ray" and "vllm" not in name
        return
    done = checked([shellcheck, *_DOLLAR, "-"], text)
    assert done.returncode == 0, done.stdout
    if "EACH" in text:  # what each node runs is a script within the script
        inner = "#!/bin/bash\n" + text.split("<<'EACH'\n")[1].split("\nEACH\n")[0]
        done = checked([shellcheck, *_DOLLAR, "-"], inner)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", TWO)
def test_shell_within_pods(name: str) -> None:
    shellcheck = tool("shellcheck")
    group = documents(EXPORTS["kubernetes"](launch(name), name))[0]["spec"]["leaderWorkerTemplate"]
    for role in ("leaderTemplate", "workerTemplate"):
        shell, option, script = group[role]["spec"]["containers"][0]["command"]
        assert (shell, option) == ("/bin/sh", "-c")
        done = checked([shellcheck, *_DOLLAR, "-s", "sh", "-"], script)
        assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("name", ALONE)
@pytest.mark.parametrize("host", ["127.0.0.1", "::1", "0.0.0.0"])
def test_compose(name: str, host: str, tmp_path: Path) -> None:
    compose = tool("docker-compose")
    spec = launch(name)
    spec = replace(spec, endpoint=replace(spec.endpoint, host=host))
    file = tmp_path / "compose.yaml"
    file.write_text(EXPORTS["compose"](spec, "DeepSeek R1"))
    done = checked([compose, "-f", str(file), "config"])
    assert done.returncode != 0 and "set " in done.stderr  # the key must be given
    filled = {**dict.fromkeys(spec.secrets, "abc"), "WELLFED_KEY_FILE": "/etc/hostname"}
    done = checked([compose, "-f", str(file), "config", "--format", "json"], **filled)
    assert done.returncode == 0, done.stderr
    service = json.loads(done.stdout)["services"]["engine"]
    sources = [volume["source"].replace("$$", "$") for volume in service["volumes"]]
    assert sources == [MODEL, MODEL.replace("00001-of", "00002-of")]
    targets = [volume["target"].replace("$$", "$") for volume in service["volumes"]]
    assert targets[0] in [word.replace("$$", "$") for word in service["command"]]
    assert service["ports"][0]["host_ip"] == host


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("key", [SECRET, None])
def test_kubernetes(name: str, key: str | None) -> None:
    validate = pytest.importorskip("kubernetes_validate")
    workload, service = documents(EXPORTS["kubernetes"](launch(name, key=key, huge_pages={0: 4}), "DeepSeek R1"))
    version = validate.latest_version()
    validate.validate(service, version, strict=True)
    if workload["kind"] != "LeaderWorkerSet":
        validate.validate(workload, version, strict=True)
        return
    group = workload["spec"]["leaderWorkerTemplate"]
    for role in ("leaderTemplate", "workerTemplate"):
        template = {"apiVersion": "v1", "kind": "PodTemplate", "metadata": {"name": "pod"}, "template": group[role]}
        validate.validate(template, version, strict=True)


@pytest.mark.parametrize("name", TWO)
def test_leader_worker_set(name: str) -> None:
    jsonschema, yaml = pytest.importorskip("jsonschema"), pytest.importorskip("yaml")
    given = os.environ.get("WELLFED_LWS_CRD")
    if not given:
        pytest.skip("WELLFED_LWS_CRD names no definition")
    definition = yaml.safe_load(Path(given).read_text())
    (schema,) = [v["schema"]["openAPIV3Schema"] for v in definition["spec"]["versions"] if v["storage"]]
    workload = documents(EXPORTS["kubernetes"](launch(name), "r1"))[0]
    assert workload["apiVersion"].startswith(definition["spec"]["group"])
    jsonschema.validate(workload, closed(schema))


def closed(schema: Any) -> Any:
    """The schema with unknown fields refused, as a strict server does."""
    if isinstance(schema, list):
        return [closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: closed(value) for key, value in schema.items()}
    if isinstance(schema.get("properties"), dict) and "additionalProperties" not in schema:
        found["additionalProperties"] = False
    return found


def test_keys_are_asked_for_where_others_can_reach_it() -> None:
    """A Service is open to the whole cluster: a plan without a key refers to one all the same."""
    for key, insecure, held in ((None, False, True), (None, True, False), (SECRET, False, True)):
        text = EXPORTS["kubernetes"](launch("vllm", key=key, insecure=insecure), "r1")
        assert ("secretKeyRef" in text) is held
    assert '"secretName": "r1-key"' in EXPORTS["kubernetes"](launch("sglang"), "r1")


def test_another_vendors_gpus_get_its_own_devices_and_image() -> None:
    text = EXPORTS["compose"](launch("radeon"), "r1")
    assert "/dev/kfd" in text and "server-rocm" in text and "nvidia" not in text
    assert '"amd.com/gpu": "1"' in EXPORTS["kubernetes"](launch("radeon"), "r1")


@pytest.mark.parametrize("form", ["slurm", "kubernetes", "compose"])
def test_schedulers_hand_out_the_gpus_themselves(form: str) -> None:
    spec = launch("vllm", environment={"CUDA_VISIBLE_DEVICES": "0,1", "OMP_NUM_THREADS": "1"})
    text = EXPORTS[form](spec, "r1")
    assert "CUDA_VISIBLE_DEVICES" not in text and "OMP_NUM_THREADS" in text


@pytest.mark.parametrize("name", TWO)
def test_every_machine_runs_its_part(name: str, tmp_path: Path) -> None:
    """The script for several machines, run: the engine and Ray are stand-ins that say what they are asked."""
    for program in ("engine", "ray", "numactl"):
        path = tmp_path / program
        path.write_text(f'#!/bin/sh\nfor word; do echo "{program}: $word"; done\n')
        path.chmod(0o755)
    (tmp_path / "ray").write_text(
        '#!/bin/sh\necho ray: "$@"; [ "$1" = status ] && printf \' node_\\n node_\\n\'; true\n'
    )
    text = EXPORTS["script"](launch(name, str(tmp_path / "engine"), binding=Binding()), name)
    place = {"PATH": f"{tmp_path}:/usr/bin:/bin", "HEAD": "10.0.0.1", "VLLM_API_KEY": "k", "WELLFED_KEY_FILE": "k.yaml"}
    first, other = (checked(["sh", "-c", text], RANK=rank, **place).stdout for rank in "01")
    assert f"engine: {MODEL}\n" in first  # quotes and dollars arrive as they are
    if "sglang" in name:
        for rank, said in enumerate((first, other)):
            assert f"engine: --node-rank\nengine: {rank}\n" in said and "engine: 10.0.0.1:20000\n" in said
            assert "engine: --config\nengine: k.yaml\n" in said
    else:
        assert "ray: start --head" in first and "ray: start --block --address=10.0.0.1:6379" in other
        assert "engine: " not in other
    missing = checked(["sh", "-c", text], PATH="/usr/bin:/bin", HEAD="x", VLLM_API_KEY="k", WELLFED_KEY_FILE="k")
    assert missing.returncode == 2 and "RANK" in missing.stderr
