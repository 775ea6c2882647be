"""The Kubernetes manifest that gathers: a DaemonSet whose pods print their node's stream once into their log."""

from __future__ import annotations

import json
from typing import Any

from wellfed.fleet.script import script

IMAGE = "busybox:1.36.1"


def daemonset() -> str:
    """YAML (as JSON documents) for `kubectl apply -f -`: the node's /sys and /proc read-only, nothing privileged."""
    shell = script() + "\nwhile :; do sleep 3600; done\n"
    mounts = [{"name": name, "mountPath": f"/host/{name}", "readOnly": True} for name in ("sys", "proc")]
    container: dict[str, Any] = {
        "name": "node",
        "image": IMAGE,
        "command": ["sh", "/script/node.sh"],
        "env": [{"name": "WELLFED_NODE_ROOT", "value": "/host"}],
        "securityContext": {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        },
        "resources": {"requests": {"cpu": "10m", "memory": "16Mi"}, "limits": {"memory": "64Mi"}},
        "volumeMounts": [*mounts, {"name": "script", "mountPath": "/script", "readOnly": True}],
    }
    labels = {"app": "wellfed-node"}
    spec = {
        "automountServiceAccountToken": False,
        "tolerations": [{"operator": "Exists"}],
        "containers": [container],
        "volumes": [
            *({"name": n, "hostPath": {"path": f"/{n}", "type": "Directory"}} for n in ("sys", "proc")),
            {"name": "script", "configMap": {"name": "wellfed-node"}},
        ],
    }
    documents: list[dict[str, Any]] = [
        {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "wellfed-node", "labels": labels},
         "data": {"node.sh": shell}},
        {"apiVersion": "apps/v1", "kind": "DaemonSet", "metadata": {"name": "wellfed-node", "labels": labels},
         "spec": {"selector": {"matchLabels": labels},
                  "template": {"metadata": {"labels": labels}, "spec": spec}}},
    ]  # fmt: skip
    return "---\n".join(json.dumps(document, indent=2) + "\n" for document in documents)
