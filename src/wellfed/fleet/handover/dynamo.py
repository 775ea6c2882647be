"""Replicas for NVIDIA Dynamo: a DynamoGraphDeployment of a frontend that routes and a component a kind of worker.

Fields: nvidia.com/v1beta1, docs.nvidia.com/dynamo, DynamoGraphDeployment and DynamoComponentDeployment references,
KV-aware routing, multinode deployments, vLLM and SGLang configuration (versions 1.4 and 1.5, read November 2026). Its
workers take the engine's own arguments; the operator itself adds what joins nodes.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wellfed.errors import Unsupported
from wellfed.fleet.handover.replica_set import ReplicaSet
from wellfed.fleet.handover.serving import flags, on_a_hub
from wellfed.message import message
from wellfed.nouns.layout import Engine

_RUNTIME = "1.5.1"
_WORKERS = {Engine.VLLM: "vllm", Engine.SGLANG: "sglang"}
_MODEL = {Engine.VLLM: "--model", Engine.SGLANG: "--model-path"}
# set here, by the operator, or by Dynamo's own server in front of the engine
_THEIRS = frozenset(
    {"--model", "--model-path", "--host", "--port", "--numa-bind", "--numa-node", "--enable-metrics", "--nnodes",
     "--node-rank", "--dist-init-addr", "--distributed-executor-backend"}
)  # fmt: skip
_COPIES = frozenset({"--data-parallel-size", "--dp-size"})
_EVENTS: dict[Engine, dict[str, Any]] = {
    Engine.VLLM: {"publisher": "zmq", "topic": "kv-events", "endpoint": "tcp://*:20080",
                  "enable_kv_cache_events": True},
    Engine.SGLANG: {"publisher": "zmq", "topic": "kv-events", "endpoint": "tcp://*:5557"},
}  # fmt: skip
_ROLE_FLAGS = {
    Engine.VLLM: ("--kv-transfer-config", '{"kv_connector":"NixlConnector","kv_role":"kv_both"}'),
    Engine.SGLANG: ("--disaggregation-transfer-backend", "nixl"),
}


def dynamo(sets: Sequence[ReplicaSet]) -> str:
    """The object as JSON that is YAML. Raises Unsupported for an engine that Dynamo has no workers of here, for two
    engines in one graph, for other cards than NVIDIA's, and for a model that is a folder of this machine.
    """
    engine = _engine(sets)
    parts = [part for number, each in enumerate(sets, 1) for part in _parts(each, _suffix(number, len(sets)))]
    document = {
        "apiVersion": "nvidia.com/v1beta1",
        "kind": "DynamoGraphDeployment",
        "metadata": {"name": sets[0].name.removesuffix("-1") if len(sets) > 1 else sets[0].name},
        "spec": {"backendFramework": _WORKERS[engine], "components": [_frontend(sets), *parts]},
    }
    return json.dumps(document, indent=2, ensure_ascii=False) + "\n"


def _engine(sets: Sequence[ReplicaSet]) -> Engine:
    engines = {on_a_hub(each, "Dynamo").spec.engine for each in sets}
    if engines - _WORKERS.keys() or len(engines) > 1:
        raise Unsupported(
            message("handover.dynamo", "a Dynamo graph is written for one engine here, vLLM or SGLang"),
            message("handover.dynamo.hint", "plan with --engine vllm or --engine sglang"),
        )
    if any(each.spec.gpu_vendor != "nvidia" or not each.gpus_a_node for each in sets):
        raise Unsupported(message("handover.dynamo-cards", "Dynamo's runtimes are for NVIDIA's GPUs"))
    return engines.pop()


def _suffix(number: int, count: int) -> str:
    return "" if count == 1 else f"-{number}"


def _knows_prefixes(sets: Sequence[ReplicaSet]) -> bool:
    """Whether the plan counts on earlier turns being found: then the router must know where they lie."""
    return any(each.share.capacity.plan.workload.depth_tokens for each in sets)


def _frontend(sets: Sequence[ReplicaSet]) -> dict[str, Any]:
    """`least-loaded` where kinds of replicas take unequal rates: taking turns would overload the smaller."""
    mode = "kv" if _knows_prefixes(sets) else "least-loaded" if len(sets) > 1 else "round-robin"
    container = {"name": "main", "image": _image(sets[0]), "env": [{"name": "DYN_ROUTER_MODE", "value": mode}]}
    return {
        "name": "frontend",
        "type": "frontend",
        "replicas": 1,
        "podTemplate": {"spec": {"containers": [container]}},
    }


def _image(each: ReplicaSet) -> str:
    return f"nvcr.io/nvidia/ai-dynamo/{_WORKERS[each.spec.engine]}-runtime:{_RUNTIME}"


def _parts(each: ReplicaSet, suffix: str) -> list[dict[str, Any]]:
    """Workers, or decode and prefill workers where they are apart."""
    if each.prefill is None:
        return [_component(each, "worker", suffix)]
    return [_component(each, "decode", suffix), _component(each.prefill, "prefill", suffix)]


def _component(each: ReplicaSet, role: str, suffix: str) -> dict[str, Any]:
    """Copies of the model on one node that share nothing are workers of their own, so that the router sees each."""
    layout = each.share.capacity.plan.layout
    together = each.nodes > 1 or layout.expert_parallel > 1 or layout.attention_data_parallel > 1
    copies = 1 if together else layout.data_parallel
    gpus = {"nvidia.com/gpu": str(each.gpus_a_node // copies)}
    container = {
        "name": "main",
        "image": _image(each),
        "command": ["python3", "-m", f"dynamo.{_WORKERS[each.spec.engine]}"],
        "args": _arguments(each, role, without=frozenset() if together else _COPIES),
        "envFrom": [{"secretRef": {"name": "hf-token-secret", "optional": True}}],
        "resources": {"requests": gpus, "limits": gpus},
    }
    return {
        "name": f"{role}{suffix}",
        "type": role,
        "replicas": each.replicas * copies,
        **({"multinode": {"nodeCount": each.nodes}} if each.nodes > 1 else {}),
        "podTemplate": {"spec": {"containers": [container]}},
    }


def _arguments(each: ReplicaSet, role: str, without: frozenset[str]) -> list[str]:
    found = [_MODEL[each.spec.engine], each.repository]
    for flag, value in flags(each):
        if flag not in _THEIRS | without:
            found += [flag] if value is None else [flag, value]
    if role != "worker":
        found += ["--disaggregation-mode", role, *_ROLE_FLAGS[each.spec.engine]]
    if role != "decode" and _knows_prefixes([each]):
        found += ["--kv-events-config", json.dumps(_EVENTS[each.spec.engine], separators=(",", ":"))]
    return found
