"""Command lines, bindings and exports of a launch."""

from __future__ import annotations

import json
import re
import shlex
import shutil
import subprocess
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.engines.exports import EXPORTS
from wellfed.engines.exports.systemd import systemd
from wellfed.engines.placement import binding, threads
from wellfed.engines.spec import Binding, Endpoint, LaunchSpec, MemoryPolicy, ranges
from wellfed.errors import Unsupported
from wellfed.hardware.machine import Cpu, Gpu, Machine, NumaNode, Origin, OsSettings, Socket
from wellfed.launch.bound import parse_list
from wellfed.nouns.layout import CPU_ONLY, Engine, Layout, NumaPolicy

SECRET = "sk-do-not-print"


def two_sockets(gpu_sockets: tuple[int, ...] = (1,), quota: float | None = None) -> Machine:
    """Two sockets of four cores with two threads each; GPUs on the sockets named."""
    nodes = tuple(NumaNode(n, socket=n, cpus=tuple(range(8 * n, 8 * n + 8)), memory_bytes=64 * 2**30) for n in range(2))
    gpus = tuple(Gpu(index, socket=socket, numa_node=socket) for index, socket in enumerate(gpu_sockets))
    sockets = tuple(Socket(n, cores=4, threads=8) for n in range(2))
    return Machine("test", Origin.PARTS, sockets, nodes, gpus, os=OsSettings(cpu_quota=quota))


def spec(**changes: object) -> LaunchSpec:
    """A launch with every feature."""
    fields: dict[str, object] = {
        "engine": Engine.VLLM,
        "argv": ("vllm", "serve", "/data/a model", "--host", "127.0.0.1", "--port", "8000"),
        "endpoint": Endpoint(port=8000, api_key=SECRET),
        "environment": {"OMP_NUM_THREADS": "1"},
        "secrets": {"VLLM_API_KEY": SECRET},
        "binding": Binding((0, 1, 2, 3, 8), (0,), MemoryPolicy.BIND),
        "gpus": (0, 1),
        "files": ("/data/a model",),
        "memory_bytes": 10e9,
        "huge_pages": {0: 512},
    }
    return LaunchSpec(**(fields | changes))  # type: ignore[arg-type]


@given(st.lists(st.integers(0, 300), min_size=1, unique=True))
def test_ranges_are_read_back(numbers: list[int]) -> None:
    assert parse_list(ranges(tuple(numbers))) == sorted(numbers)


def test_single_gpu_binds_to_its_own_socket() -> None:
    bound = binding(two_sockets((1,)), Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=1))
    assert bound.nodes == (1,)
    assert set(bound.cpus) == set(range(8, 16))
    assert bound.policy is MemoryPolicy.BIND


def test_gpus_of_both_sockets_leave_memory_unbound() -> None:
    bound = binding(two_sockets((0, 1)), Layout(Engine.VLLM, "fp8", gpus=2, tensor_parallel=2))
    assert bound.nodes == ()
    assert set(bound.cpus) == set(range(16))


def test_interleave_spreads_over_all_nodes() -> None:
    layout = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY, numa=NumaPolicy.INTERLEAVE)
    bound = binding(two_sockets(()), layout)
    assert bound.policy is MemoryPolicy.INTERLEAVE
    assert bound.nodes == (0, 1)


@pytest.mark.parametrize(("quota", "expected"), [(None, 4), (2.5, 2), (0.5, 1), (64.0, 4)])
def test_threads_never_exceed_cores_or_quota(quota: float | None, expected: int) -> None:
    machine = two_sockets((1,), quota)
    layout = Layout(Engine.LLAMA_CPP, "q4_k_m")
    assert threads(machine, layout, binding(machine, layout)) == expected


def test_command_line_can_be_pasted_and_keeps_the_key() -> None:
    text = spec().command_line()
    assert SECRET not in text
    assert shlex.split(text)[:2] == ["OMP_NUM_THREADS=1", "VLLM_API_KEY=$VLLM_API_KEY"]
    assert "--physcpubind=0-3,8" in text and "--membind=0" in text
    assert shlex.split(text)[-5:] == ["/data/a model", "--host", "127.0.0.1", "--port", "8000"]


@pytest.mark.parametrize("name", sorted(EXPORTS))
@pytest.mark.parametrize("nodes", [1, 2])
def test_exports_hold_the_plan_and_not_the_key(name: str, nodes: int) -> None:
    if nodes > 1 and name in ("compose", "systemd"):
        with pytest.raises(Unsupported, match="one machine"):
            EXPORTS[name](spec(nodes=nodes), "r1")
        return
    if name in ("ollama", "lmstudio", "llama-swap"):
        with pytest.raises(Unsupported, match="GGUF"):
            EXPORTS[name](spec(nodes=nodes), "r1")
        return
    text = EXPORTS[name](spec(nodes=nodes), "r1")
    assert SECRET not in text
    assert "VLLM_API_KEY" in text
    assert "8000" in text


def composed(made: LaunchSpec, name: str = "r1") -> Any:
    """The document of a compose file."""
    text = EXPORTS["compose"](made, name)
    return json.loads("\n".join(line for line in text.splitlines() if not line.startswith("#")))


def test_compose_is_json_with_cpus_memory_and_devices() -> None:
    service = composed(spec())["services"]["engine"]
    assert service["cpuset"] == "0-3,8"
    assert int(service["mem_limit"]) >= 10e9
    assert service["deploy"]["resources"]["reservations"]["devices"][0]["device_ids"] == ["0", "1"]
    assert "/models/a model" in service["command"]


def manifests(made: LaunchSpec, name: str = "r1") -> tuple[dict[str, object], ...]:
    """The documents of a Kubernetes export."""
    text = EXPORTS["kubernetes"](made, name)
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return tuple(json.loads(part) for part in body.split("\n---\n"))


def dig(document: object, *path: str | int) -> object:
    """What is at a path of keys and indices."""
    for step in path:
        document = document[step]  # type: ignore[index]
    return document


POD = ("spec", "containers", 0)


def test_kubernetes_is_guaranteed_and_reached() -> None:
    workload, service = manifests(spec())
    container = dig(workload, "spec", "template", *POD)
    assert dig(container, "resources", "requests") == dig(container, "resources", "limits")
    assert dig(workload, "spec", "selector", "matchLabels") == dig(workload, "spec", "template", "metadata", "labels")
    assert dig(service, "spec", "selector") == dig(workload, "spec", "template", "metadata", "labels")
    assert dig(service, "spec", "ports", 0, "port") == 8000
    volumes = {dig(volume, "name") for volume in dig(workload, "spec", "template", "spec", "volumes")}  # type: ignore[attr-defined]
    mounts = {dig(mount, "name") for mount in dig(container, "volumeMounts")}  # type: ignore[attr-defined]
    assert mounts == volumes


@pytest.mark.parametrize("name", ["DeepSeek-R1_0528.Q4", "7b", "x" * 99, "a..b--c."])
def test_names_are_dns_labels(name: str) -> None:
    for label in (
        str(dig(manifests(spec(), name)[1], "metadata", "name")),
        composed(spec(), name)["name"],
    ):
        assert re.fullmatch(r"[a-z]([a-z0-9-]*[a-z0-9])?", label) and len(label) <= 63


@pytest.mark.parametrize(("gpus", "image"), [((), "llama.cpp:server"), ((0,), "llama.cpp:server-cuda")])
def test_images_are_of_what_the_plan_uses(gpus: tuple[int, ...], image: str) -> None:
    made = spec(engine=Engine.LLAMA_CPP, gpus=gpus)
    service = composed(made)["services"]["engine"]
    assert re.search(rf"{image}(\d+)?-b\d+$", service["image"]), "of a pinned build"
    assert ("deploy" in service) is bool(gpus)


@pytest.mark.parametrize(
    ("engine", "leader", "worker"),
    [
        (Engine.VLLM, "ray start --head", "ray start --block"),
        (Engine.SGLANG, '--node-rank "$LWS_WORKER_INDEX"', '--dist-init-addr "$LWS_LEADER_ADDRESS:20000"'),
    ],
)
def test_several_nodes_are_a_leader_and_its_workers(engine: Engine, leader: str, worker: str) -> None:
    workload, service = manifests(spec(nodes=2, engine=engine))
    assert workload["kind"] == "LeaderWorkerSet"
    group = dig(workload, "spec", "leaderWorkerTemplate")
    commands = [dig(group, f"{role}Template", *POD, "command", 2) for role in ("leader", "worker")]
    assert leader in str(commands[0]) and worker in str(commands[1])
    for command in commands:
        assert subprocess.run(["sh", "-n"], input=str(command), text=True, check=False).returncode == 0
    assert "serve" in str(commands[0]) if engine is Engine.VLLM else "launch_server" in str(commands[0])
    assert dig(group, "size") == 2
    assert dig(service, "spec", "selector") == dig(group, "leaderTemplate", "metadata", "labels")
    assert "readinessProbe" not in dig(group, "workerTemplate", *POD)  # type: ignore[operator]


@pytest.mark.parametrize("name", ["script", "slurm", "ray"])
def test_scripts_are_valid_shell(name: str) -> None:
    text = EXPORTS[name](spec(nodes=2), "r1")
    shell = "bash" if name == "slurm" else "sh"
    done = subprocess.run([shell, "-n"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("name", ["script", "slurm", "ray"])
def test_scripts_pass_shellcheck(name: str) -> None:
    if shutil.which("shellcheck") is None:
        pytest.skip("shellcheck is not installed")
    text = EXPORTS[name](spec(nodes=2), "r1")
    done = subprocess.run(["shellcheck", "-"], input=text, text=True, capture_output=True, check=False)
    assert done.returncode == 0, done.stdout


def test_systemd_escapes_and_binds() -> None:
    text = systemd(spec(argv=("engine", "--name", 'a "b" 100%')), "r1")
    assert "NUMAPolicy=bind" in text and "NUMAMask=0" in text and "CPUAffinity=0-3 8" in text
    assert '"a \\"b\\" 100%%"' in text


def test_one_node_needs_no_binding() -> None:
    one = Machine("one", Origin.PARTS, (Socket(0, cores=4, threads=8),), (NumaNode(0, 0, tuple(range(8))),))
    assert binding(one, Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY)) == Binding()


def test_hybrid_parts_keep_to_their_fast_cores() -> None:
    cpus = tuple(Cpu(n, 0, n // 2 if n < 4 else n, efficiency=n >= 4) for n in range(8))
    one = Machine("one", Origin.PARTS, (Socket(0, cores=6, threads=8),), (NumaNode(0, 0, tuple(range(8))),), cpus=cpus)
    layout = Layout(Engine.LLAMA_CPP, "q4_k_m", gpus=0, offload=CPU_ONLY)
    assert binding(one, layout).cpus == (0, 1, 2, 3)
    assert threads(one, layout, binding(one, layout)) == 2


def test_systemd_verifies(tmp_path: object) -> None:
    if shutil.which("systemd-analyze") is None:
        pytest.skip("systemd-analyze is not installed")
    from pathlib import Path

    unit = Path(str(tmp_path)) / "r1.service"
    unit.write_text(systemd(spec(argv=("/bin/true", "--port", "8000")), "r1"))
    done = subprocess.run(["systemd-analyze", "verify", str(unit)], text=True, capture_output=True, check=False)
    assert "r1.service" not in done.stderr, done.stderr
