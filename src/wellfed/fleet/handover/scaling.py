"""Thresholds for scaling by the plan: requests in the system, since a full replica completes no more than it can.

A replica at its capacity has `in_system` requests at a time, by the same estimate that gave the capacity. Scaling on
completed requests would stop at capacity; scaling on GPU use cannot tell busy from late.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from wellfed.errors import Unsupported
from wellfed.fleet.handover.replica_set import ReplicaSet
from wellfed.message import message
from wellfed.nouns.layout import Engine

_METRICS = {  # running and waiting, by the engines' own names (vLLM: production metrics; SGLang: production metrics)
    Engine.VLLM: ("vllm:num_requests_running", "vllm:num_requests_waiting"),
    Engine.SGLANG: ("sglang:num_running_reqs", "sglang:num_queue_reqs"),
}
_PROMETHEUS = "http://prometheus.monitoring:9090"
_HEADROOM = 0.8  # of what a replica has at capacity: another one takes minutes to load
_COOL_S = 300  # before a replica is taken away: Kubernetes' default stabilization window


def keda(sets: Sequence[ReplicaSet], prometheus: str = _PROMETHEUS) -> str:
    """A ScaledObject a set. Fields: keda.sh/docs, ScaledObject specification and Prometheus scaler."""
    return "\n---\n".join(json.dumps(_scaled_object(replica_set, prometheus), indent=2) for replica_set in sets) + "\n"


def _scaled_object(replica_set: ReplicaSet, prometheus: str) -> dict[str, Any]:
    running, waiting = _metrics(replica_set)
    pods = f'{{pod=~"{replica_set.name}-.*"}}'
    trigger = {
        "type": "prometheus",
        "metricType": "AverageValue",
        "metadata": {
            "serverAddress": prometheus,
            "query": f"sum({running}{pods} + {waiting}{pods})",
            "threshold": str(threshold(replica_set)),
        },
    }
    return {
        "apiVersion": "keda.sh/v1alpha1",
        "kind": "ScaledObject",
        "metadata": {"name": replica_set.name},
        "spec": {
            "scaleTargetRef": _target(replica_set),
            "minReplicaCount": replica_set.replicas,
            "maxReplicaCount": replica_set.most,
            "pollingInterval": 15,
            "cooldownPeriod": _COOL_S,
            "triggers": [trigger],
        },
    }


def hpa(sets: Sequence[ReplicaSet]) -> str:
    """A HorizontalPodAutoscaler a set, on a pod metric that prometheus-adapter makes of the engine's own two.

    Fields: Kubernetes API reference, autoscaling/v2; the rule: prometheus-adapter, docs/config.md.
    """
    notes = [_adapter_rule(replica_set) for replica_set in sets]
    documents = [json.dumps(_autoscaler(replica_set), indent=2) for replica_set in sets]
    return "".join(f"# prometheus-adapter's config, rules: {note}\n" for note in dict.fromkeys(notes)) + (
        "\n---\n".join(documents) + "\n"
    )


def _adapter_rule(replica_set: ReplicaSet) -> str:
    running, waiting = _metrics(replica_set)
    group = "sum(%s{<<.LabelMatchers>>}) by (<<.GroupBy>>)"
    rule = {
        "seriesQuery": f'{running}{{pod!=""}}',
        "resources": {"overrides": {"namespace": {"resource": "namespace"}, "pod": {"resource": "pod"}}},
        "name": {"as": "requests_in_system"},
        "metricsQuery": f"{group % running} + {group % waiting}",
    }
    return json.dumps(rule)


def _autoscaler(replica_set: ReplicaSet) -> dict[str, Any]:
    target = {"type": "AverageValue", "averageValue": str(threshold(replica_set))}
    return {
        "apiVersion": "autoscaling/v2",
        "kind": "HorizontalPodAutoscaler",
        "metadata": {"name": replica_set.name},
        "spec": {
            "scaleTargetRef": _target(replica_set),
            "minReplicas": replica_set.replicas,
            "maxReplicas": replica_set.most,
            "metrics": [{"type": "Pods", "pods": {"metric": {"name": "requests_in_system"}, "target": target}}],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": _COOL_S}},
        },
    }


def threshold(replica_set: ReplicaSet) -> int:
    """Requests a replica, running and waiting, at which another is wanted."""
    return max(1, round(_HEADROOM * replica_set.in_system))


def _target(replica_set: ReplicaSet) -> dict[str, str]:
    if replica_set.nodes > 1:
        return {"apiVersion": "leaderworkerset.x-k8s.io/v1", "kind": "LeaderWorkerSet", "name": replica_set.name}
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": replica_set.name}


def _metrics(replica_set: ReplicaSet) -> tuple[str, str]:
    if replica_set.spec.engine not in _METRICS:
        raise Unsupported(
            message("handover.metrics", "{engine} tells no requests that wait", engine=replica_set.spec.engine.value)
        )
    return _METRICS[replica_set.spec.engine]
