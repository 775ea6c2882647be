"""How a node is reached: the command that takes the script on standard input and gives its stream on standard output.

wellfed brings no transport of its own: SSH by the user's own config, Slurm's srun, kubectl's logs, or any command.
"""

from __future__ import annotations

import json
import re
import shlex
import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import message
from wellfed.plain_file import read_text

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.:@%+\[\]-]{0,252}")
_LABEL = "app=wellfed-node"


class Means(Protocol):
    """A way to run a command on a node: ssh, Slurm, Kubernetes, a command of one's own."""

    @property
    def needs_script(self) -> bool:
        """Whether the script that reads the node must be sent along."""
        ...

    def argv(self, node: str) -> list[str]:
        """The command for one node."""
        ...


@dataclass(frozen=True, slots=True)
class Ssh:
    """OpenSSH by the user's own config (users, keys, jump hosts); never asks for a password."""

    connect_s: int = 15
    needs_script: bool = True

    def argv(self, node: str) -> list[str]:
        options = ["-T", "-o", "BatchMode=yes", "-o", f"ConnectTimeout={self.connect_s}"]
        return ["ssh", *options, "--", node, "exec sh -s"]


@dataclass(frozen=True, slots=True)
class Slurm:
    """One task on one node. srun gives standard input to it and its output back."""

    partition: str | None = None
    needs_script: bool = True

    def argv(self, node: str) -> list[str]:
        partition_words = ["-p", self.partition] if self.partition else []
        return ["srun", "--quiet", "-N1", "-n1", "--ntasks-per-node=1", *partition_words, "-w", node, "sh", "-s"]


@dataclass(frozen=True, slots=True)
class Kubernetes:
    """The log of the pod that the DaemonSet of `fleet snapshot --export daemonset` put on each node."""

    pods: dict[str, tuple[str, str]]  # node -> namespace and pod
    needs_script: bool = False

    def argv(self, node: str) -> list[str]:
        namespace, pod = self.pods[node]
        return ["kubectl", "-n", namespace, "logs", pod]


@dataclass(frozen=True, slots=True)
class Command:
    """Any command; `{}` in it stands for the node. It runs without a shell."""

    words: tuple[str, ...]
    needs_script: bool = True

    @classmethod
    def of(cls, text: str) -> Command:
        """From what was typed. Raises BadInput where no word is, or the node stands in none."""
        try:
            words = tuple(shlex.split(text))
        except ValueError as error:
            raise BadInput(message("fleet.via", "not a command: {text}", text=text)) from error
        if not any("{}" in word for word in words):
            hint = message("fleet.via.hint", "such as --via 'docker exec -i {{}} sh -s'")
            raise BadInput(message("fleet.via.node", "{text}: {{}} for the node is missing", text=text or "''"), hint)
        return cls(words)

    def argv(self, node: str) -> list[str]:
        return [word.replace("{}", node) for word in self.words]


def ensure_names(nodes: Sequence[str]) -> tuple[str, ...]:
    """The nodes, each once. Raises BadInput for a name that a command could take for an option, or that is none."""
    for node in nodes:
        if not _NAME.fullmatch(node):
            raise BadInput(
                message("fleet.name", "{node} cannot be a node's name", node=repr(node)),
                message("fleet.name.hint", "letters, digits and . _ : @ -, the first no dash"),
            )
    return tuple(dict.fromkeys(nodes))


def nodes_in(path: Path) -> tuple[str, ...]:
    """Names in a file, one a line; `#` begins a remark; Ansible's and pdsh's lists of plain names read the same."""
    lines = (line.partition("#")[0].split() for line in read_text(path, 4 << 20).splitlines())
    return ensure_names([words[0] for words in lines if words and not words[0].startswith("[")])


def slurm_nodes(partition: str | None) -> tuple[str, ...]:
    """All nodes of a partition, or of the cluster, as sinfo lists them."""
    partition_words = ["-p", partition] if partition else []
    return ensure_names(sorted(set(output_of(["sinfo", "-h", "-N", "-o", "%N", *partition_words]).split())))


def kubernetes_pods() -> dict[str, tuple[str, str]]:
    """Node -> (namespace, pod) of the gathering DaemonSet. Raises BadInput where there is none."""
    text = output_of(["kubectl", "get", "pods", "-A", "-l", _LABEL, "-o", "json"])
    try:
        items = json.loads(text)["items"]
        pods = {
            item["spec"]["nodeName"]: (item["metadata"]["namespace"], item["metadata"]["name"])
            for item in items
            if item["spec"].get("nodeName")
        }
    except (ValueError, KeyError, TypeError) as error:
        raise BadInput(message("fleet.kubectl", "kubectl answers something else than a list of pods")) from error
    if not pods:
        raise BadInput(
            message("fleet.no-pods", "no pod of wellfed's gathering runs in this cluster"),
            message("fleet.no-pods.hint", "wellfed fleet snapshot --export daemonset | kubectl apply -f -"),
        )
    ensure_names([word for node, pod in pods.items() for word in (node, *pod)])
    return pods


def output_of(argv: Sequence[str]) -> str:
    """What a program of the cluster answers. Raises BadInput where it is missing, fails or is silent."""
    try:
        process = subprocess.run(argv, capture_output=True, text=True, timeout=60, check=False)
    except FileNotFoundError as error:
        raise BadInput(message("fleet.no-program", "{program} is not installed here", program=argv[0])) from error
    except subprocess.TimeoutExpired as error:
        raise BadInput(message("fleet.slow-program", "{program} does not answer", program=argv[0])) from error
    if process.returncode:
        why = process.stderr.strip().splitlines()[-1:] or [str(process.returncode)]
        raise BadInput(message("fleet.program", "{program}: {why}", program=argv[0], why=why[0][:200]))
    return process.stdout
