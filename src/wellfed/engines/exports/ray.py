"""A shell script that forms a Ray cluster and starts vLLM's own distribution on it."""

from __future__ import annotations

from wellfed.comments import commented, lines_of, one_line
from wellfed.engines.exports.script import preparation, wrapped
from wellfed.engines.spec import LaunchSpec
from wellfed.errors import Unsupported
from wellfed.message import sentence
from wellfed.nouns.layout import Engine

_PORT = 6379  # of Ray's head, its default


def ray(spec: LaunchSpec, name: str) -> str:
    """To be run on every node: with HEAD unset it is the head, with HEAD=ADDRESS a worker.

    Raises Unsupported for engines that do not run over Ray.
    """
    if spec.engine is not Engine.VLLM:
        raise Unsupported(f"{spec.engine} does not run over Ray here", "use script, slurm or kubernetes")
    gpus = f" --num-gpus={len(spec.gpus)}" if spec.gpus else ""
    head = sentence(
        "export.ray.head",
        "{name} over Ray on {nodes} node(s): run it on the head first,",
        name=one_line(name),
        nodes=spec.nodes,
    )
    return lines_of(
        [
            "#!/bin/sh",
            commented(head),
            commented(sentence("export.ray.workers", "then on each worker with HEAD=<address of the head>")),
            "set -eu",
            'if [ -n "${HEAD:-}" ]; then',
            f'  exec ray start --block --address="$HEAD:{_PORT}"{gpus}',
            "fi",
            *preparation(spec),
            f"ray start --head --port={_PORT}{gpus}",
            "trap 'ray stop' EXIT INT TERM",
            f"until [ \"$(ray status 2>/dev/null | grep -c ' node_')\" -ge {spec.nodes} ]; do sleep 2; done",
            wrapped(spec),
        ]
    )
