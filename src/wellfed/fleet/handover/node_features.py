"""Labels for Node Feature Discovery: a file for a node's own features.d, or NodeFeature objects for a whole fleet.

Form of both: kubernetes-sigs.github.io/node-feature-discovery, customization guide (local feature source, NodeFeature
custom resource), v0.19. The local source reads /etc/kubernetes/node-feature-discovery/features.d/, ignores files above
64 kB, and drops what stands after `# +expiry-time=` once that time has come.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from wellfed.comments import commented, lines_of
from wellfed.errors import BadInput
from wellfed.message import message, sentence

FOLDER = "/etc/kubernetes/node-feature-discovery/features.d/"
_NAME = re.compile(r"[a-z0-9]([a-z0-9.-]{0,251}[a-z0-9])?")


def feature_file(labels: Mapping[str, str], now: datetime | None = None, days: float | None = None) -> str:
    """The file; with `days` it says that what it tells holds so long."""
    template = "wellfed: write it beside under a name that begins with a dot, then move it to {path}"
    lines: list[str] = [commented(sentence("export.nfd.move", template, path=f"{FOLDER}wellfed"))]
    if days is not None:
        until = (now or datetime.now(UTC)) + timedelta(days=days)
        lines.append(f"# +expiry-time={until.strftime('%Y-%m-%dT%H:%M:%SZ')}")
    return lines_of([*lines, *(f"{name}={value}" for name, value in labels.items())])


def node_features(nodes: Mapping[str, Mapping[str, str]], namespace: str = "node-feature-discovery") -> str:
    """A List of NodeFeature objects, one a node, for `kubectl apply -f -`. Raises BadInput for a node whose name
    Kubernetes could not have (RFC 1123).
    """
    items = [_object(node, labels, namespace) for node, labels in nodes.items()]
    return json.dumps({"apiVersion": "v1", "kind": "List", "items": items}, indent=1) + "\n"


def _object(node: str, labels: Mapping[str, str], namespace: str) -> dict[str, object]:
    if not _NAME.fullmatch(node):
        raise BadInput(
            message("handover.node-name", "{node} cannot be a Kubernetes node's name", node=repr(node)),
            message("handover.node-name.hint", "gather it under its own name, in small letters"),
        )
    return {
        "apiVersion": "nfd.k8s-sigs.io/v1alpha1",
        "kind": "NodeFeature",
        "metadata": {
            "name": f"wellfed-{node}"[:253].rstrip("-."),
            "namespace": namespace,
            "labels": {"nfd.node.kubernetes.io/node-name": node},
        },
        "spec": {"labels": dict(labels)},
    }
