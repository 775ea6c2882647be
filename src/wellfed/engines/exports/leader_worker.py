"""What the leader and the workers of a LeaderWorkerSet run.

The controller sets LWS_LEADER_ADDRESS, LWS_GROUP_SIZE and LWS_WORKER_INDEX in every pod (lws.sigs.k8s.io, reference).
vLLM forms a Ray cluster first; SGLang's ranks find each other at the leader's address.
"""

from __future__ import annotations

import shlex

from wellfed.engines.exports.images import in_container
from wellfed.engines.spec import LaunchSpec
from wellfed.layout import Engine

LEADER = {"role": "leader"}
_RAY_PORT, _DIST_PORT = 6379, 20000
_SGLANG = (Engine.SGLANG, Engine.KTRANSFORMERS)


def leader_command(spec: LaunchSpec) -> list[str]:
    """Serves the model over all pods of the group."""
    if spec.engine in _SGLANG:
        return _shell(f"exec {_words(spec)} {_ranks()}")
    joined = 'until [ "$(ray status 2>/dev/null | grep -c \' node_\')" -ge "$LWS_GROUP_SIZE" ]; do sleep 2; done'
    return _shell(f"ray start --head --port={_RAY_PORT} && {joined} && exec {_words(spec)}")


def worker_command(spec: LaunchSpec) -> list[str]:
    """Joins the leader."""
    if spec.engine in _SGLANG:
        return _shell(f"exec {_words(spec)} {_ranks()}")
    address = f'"$LWS_LEADER_ADDRESS:{_RAY_PORT}"'
    return _shell(f"until ray start --block --address={address}; do sleep 2; done")


def _ranks() -> str:
    return f'--node-rank "$LWS_WORKER_INDEX" --dist-init-addr "$LWS_LEADER_ADDRESS:{_DIST_PORT}"'


def _words(spec: LaunchSpec) -> str:
    words, _ = in_container(spec)
    entry = ["vllm", "serve"] if spec.engine is Engine.VLLM else []
    return shlex.join([*entry, *words])


def _shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]
