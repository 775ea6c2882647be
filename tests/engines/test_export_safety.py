"""Exports of hostile names, what the written services may do, and that versions are pinned."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from wellfed.engines.exports import EXPORTS
from wellfed.engines.exports.images import _OTHERS, IMAGES
from wellfed.engines.spec import Binding, Endpoint, LaunchSpec, MemoryPolicy
from wellfed.errors import BadInput
from wellfed.nouns.layout import Engine

HOSTILE = [
    "/m/a\nb.gguf",
    "/m/a\rb.gguf",
    "/m/\x1b[31m.gguf",
    "/m/\x85.gguf",
    "/m/\u2028.gguf",
    "/m/\udc80.gguf",
    "/m/\0",
]
READABLE = [
    "/m/模型 𠮷野家.gguf",
    "/m/🦙.gguf",
    "/m/a $(HOME) $$ ${X} $x 100% \"q\" 'p' \\.gguf",
    "/m/é; rm -rf #.gguf",
]


def launch(model: str = "/m/a.gguf", engine: Engine = Engine.LLAMA_CPP, gpus: int = 0, **changes: Any) -> LaunchSpec:
    """As an adapter writes it."""
    argv = ("/usr/bin/llama-server", "--model", model, "--host", "127.0.0.1", "--port", "8080")
    spec = LaunchSpec(engine, argv, Endpoint(), gpus=tuple(range(gpus)), files=(model,), memory_bytes=8e9)
    return replace(spec, **changes)


@pytest.mark.parametrize("form", sorted(EXPORTS))
@pytest.mark.parametrize("model", HOSTILE)
def test_control_characters_are_refused(form: str, model: str) -> None:
    with pytest.raises(BadInput, match="no export can carry"):
        EXPORTS[form](launch(model), "m")


@pytest.mark.parametrize("form", ["compose", "kubernetes"])
@pytest.mark.parametrize("model", READABLE)
def test_letters_of_any_script_stay_as_they_are(form: str, model: str) -> None:
    text = EXPORTS[form](launch(model), "m")
    assert "\\u" not in text and text.encode()
    assert any(letter in text for letter in model if ord(letter) > 127) or model.isascii()


def pod(spec: LaunchSpec) -> dict[str, Any]:
    """The pod of a deployment."""
    text = "\n".join(line for line in EXPORTS["kubernetes"](spec, "m").splitlines() if not line.startswith("#"))
    found: dict[str, Any] = json.loads(text.split("\n---\n")[0])["spec"]["template"]["spec"]
    return found


def expanded(word: str) -> str:
    """As Kubernetes does (third_party/forked/golang/expansion): $$ is a dollar, $(NAME) a variable."""
    return re.sub(r"\$\$|\$\(([^)]*)\)", lambda match: "$" if match[0] == "$$" else "EXPANDED", word)


@pytest.mark.parametrize("model", ["/m/a $(HOME).gguf", "/m/$$.gguf", "/m/$$(HOME).gguf", "/m/$x.gguf"])
def test_kubernetes_expands_nothing_of_a_name(model: str) -> None:
    (container,) = pod(launch(model))["containers"]
    assert expanded(container["args"][1]) == f"/models/{Path(model).name}"


def test_a_pod_may_do_little() -> None:
    found = pod(launch(secrets={"LLAMA_API_KEY": "x"}))
    (container,) = found["containers"]
    assert found["securityContext"]["runAsNonRoot"] and not found["automountServiceAccountToken"]
    assert container["securityContext"] == {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}}
    assert found["volumes"][0]["hostPath"] == {"path": "/m/a.gguf", "type": "File"}
    vllm = pod(launch("/m/folder", Engine.VLLM, 2))
    assert vllm["volumes"][0]["hostPath"]["type"] == "Directory"


def service(spec: LaunchSpec) -> dict[str, Any]:
    """The service of a compose file."""
    text = "\n".join(line for line in EXPORTS["compose"](spec, "m").splitlines() if not line.startswith("#"))
    found: dict[str, Any] = json.loads(text)["services"]["engine"]
    return found


def test_compose_shares_and_locks_memory_only_where_needed() -> None:
    plain = service(launch(gpus=1))
    assert "ipc" not in plain and "ulimits" not in plain and plain["cap_drop"] == ["ALL"]
    assert service(launch(gpus=2))["ipc"] == "host" == service(launch(engine=Engine.VLLM, gpus=1))["ipc"]
    locked = launch()
    assert "ulimits" in service(replace(locked, argv=(*locked.argv, "--mlock")))


def test_images_are_pinned() -> None:
    assert all(not re.search(r":latest|:server(-cuda)?$", image) for image in (*IMAGES.values(), *_OTHERS.values()))


@pytest.mark.parametrize(
    "spec",
    [
        launch(),
        launch(gpus=1),
        launch("/home/u/a.gguf", gpus=4),
        launch("org/repo", Engine.VLLM, 2, secrets={"VLLM_API_KEY": "x"}),
        launch(binding=Binding((0, 1), (0,), MemoryPolicy.BIND), huge_pages={0: 100}),
        launch(gpus=1, gpu_vendor="amd"),
    ],
    ids=["cpu", "gpu", "home", "hub", "bound", "radeon"],
)
def test_a_unit_is_exposed_little(tmp_path: Path, spec: LaunchSpec) -> None:
    program = shutil.which("systemd-analyze")
    if program is None:
        pytest.skip("systemd-analyze is not installed")
    unit = tmp_path / "m.service"
    unit.write_text(EXPORTS["systemd"](spec, "m"))
    done = subprocess.run(
        [program, "security", "--offline=yes", "--no-pager", str(unit)], capture_output=True, text=True, check=False
    )
    found = re.search(r"exposure level for \S+: ([0-9.]+)", done.stdout)
    if found is None:
        pytest.skip(f"this systemd-analyze does not judge files: {done.stderr[:200]}")
    assert float(found[1]) <= 3.0, done.stdout
