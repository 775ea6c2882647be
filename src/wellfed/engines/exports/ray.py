"""A shell script that forms a Ray cluster and starts the engine's own distribution on it."""

from __future__ import annotations

from wellfed.engines.exports.script import body
from wellfed.engines.spec import LaunchSpec

_PORT = 6379


def ray(spec: LaunchSpec, name: str) -> str:
    """To be run on every node: with HEAD unset it is the head, with HEAD=ADDRESS a worker."""
    gpus = f" --num-gpus={len(spec.gpus)}" if spec.gpus else ""
    return (
        "\n".join(
            [
                "#!/bin/sh",
                f"# {name} over Ray on {spec.nodes} node(s): run it on the head first,",
                "# then on each worker with HEAD=<address of the head>",
                "set -eu",
                'if [ -n "${HEAD:-}" ]; then',
                f'  exec ray start --block --address="$HEAD:{_PORT}"{gpus}',
                "fi",
                f"ray start --head --port={_PORT}{gpus}",
                "trap 'ray stop' EXIT INT TERM",
                f"until [ \"$(ray status 2>/dev/null | grep -c ' node_')\" -ge {spec.nodes} ]; do sleep 2; done",
                *[line.replace("exec ", "", 1) if line.startswith("exec ") else line for line in body(spec)],
            ]
        )
        + "\n"
    )
