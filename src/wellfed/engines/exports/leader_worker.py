"""What the leader and the workers of a LeaderWorkerSet run.

The controller sets LWS_LEADER_ADDRESS, LWS_GROUP_SIZE and LWS_WORKER_INDEX in every pod (lws.sigs.k8s.io, reference).
"""

from __future__ import annotations

import shlex

from wellfed.engines.exports.groups import Group, spanning
from wellfed.engines.exports.images import in_container
from wellfed.engines.exports.keys import key_words
from wellfed.engines.spec import LaunchSpec
from wellfed.nouns.layout import Engine

LEADER = {"role": "leader"}


def leader_command(spec: LaunchSpec) -> list[str]:
    """Serves the model over all pods of the group."""
    return _shell(spanning(spec).first(_words(spec), _GROUP))


def worker_command(spec: LaunchSpec) -> list[str]:
    """The command with which a worker joins the leader."""
    return _shell(spanning(spec).other(_words(spec), _GROUP))


_GROUP = Group("$LWS_LEADER_ADDRESS", "$LWS_GROUP_SIZE", "$LWS_WORKER_INDEX")


def _words(spec: LaunchSpec) -> str:
    words, _ = in_container(spec)
    entry = ["vllm", "serve"] if spec.engine is Engine.VLLM else []
    return shlex.join([*entry, *words, *key_words(spec)])


def _shell(script: str) -> list[str]:
    return ["/bin/sh", "-c", script]
