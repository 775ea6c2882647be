"""What starts the exporter on every node: a systemd unit, or a DaemonSet. Text only; nothing is installed from here."""

from __future__ import annotations

import json
from collections.abc import Sequence
from ipaddress import ip_network
from typing import Any

from wellfed.comments import commented, lines_of
from wellfed.errors import BadInput
from wellfed.fleet.exporters import LABEL, PORT
from wellfed.message import Sentence, message, sentence

IMAGE = "wellfed:local"
_PROTECTED = (
    "NoNewPrivileges", "ProtectKernelTunables", "ProtectKernelModules", "ProtectControlGroups", "ProtectClock",
    "ProtectHostname", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "PrivateTmp",
)  # fmt: skip


def unit(allowed: Sequence[str] = (), port: int = PORT) -> str:
    """A systemd service. Without `allowed` (networks in CIDR form) only this machine may ask.

    Directives: systemd.exec(5), systemd.resource-control(5). To tell which sockets and pages are the engine's, /proc
    wants CAP_SYS_PTRACE of whoever is not its owner (proc(5), ptrace access mode); nothing is traced. Raises BadInput
    for what is no network.
    """
    networks = [_network(text) for text in allowed]
    path = "/etc/systemd/system/wellfed-watch.service"
    text = "{path}: one exporter for the engine that runs on this node"
    return lines_of(
        [
            commented(sentence("export.watch.unit", text, path=path)),
            *_who_may_ask(networks),
            "[Unit]",
            "Description=wellfed watches the inference engine of this node",
            "After=network-online.target",
            "Wants=network-online.target",
            "StartLimitIntervalSec=0",
            "",
            "[Service]",
            *_service(networks, port),
            "",
            "[Install]",
            "WantedBy=multi-user.target",
        ]
    )


def _service(networks: Sequence[str], port: int) -> tuple[str, ...]:
    return (
        f"ExecStart=/usr/bin/env wellfed watch --export 0.0.0.0:{port} --insecure",
        "Restart=always",
        "RestartSec=15",
        "KillSignal=SIGINT",
        "SuccessExitStatus=1",
        "DynamicUser=yes",
        "AmbientCapabilities=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH",
        "CapabilityBoundingSet=CAP_SYS_PTRACE CAP_DAC_READ_SEARCH",
        *(f"{name}=yes" for name in _PROTECTED),
        "ProtectSystem=strict",
        "ProtectHome=read-only",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
        "SystemCallArchitectures=native",
        "CPUQuota=20%",
        "MemoryMax=512M",
        "IPAddressDeny=any",
        "IPAddressAllow=localhost",
        *(f"IPAddressAllow={network}" for network in networks),
    )


def _who_may_ask(networks: Sequence[str]) -> list[str]:
    if networks:
        return []
    text = "Only this machine may ask: add IPAddressAllow= lines for who scrapes, or write it again with --allow"
    return [commented(sentence("export.watch.loopback", text))]


def _network(text: str) -> str:
    try:
        return str(ip_network(text, strict=False))
    except ValueError as error:
        raise BadInput(
            message("fleet-export.network", "{text} is no network", text=text),
            message("fleet-export.network.hint", "such as --allow 10.0.0.0/8"),
        ) from error


def daemonset(image: str = IMAGE, port: int = PORT) -> str:
    """A DaemonSet, as JSON that is YAML: sees the node's processes (hostPID) to find the engine of another pod, reads
    /sys and /proc, changes nothing. The engine is asked at its pod's own address.

    Fields: Kubernetes API reference, apps/v1 DaemonSet; `NVIDIA_VISIBLE_DEVICES`: NVIDIA container toolkit's
    documentation (the driver's library is mounted for it, no GPU is taken from the scheduler).
    """
    key, _, value = LABEL.partition("=")
    labels = {key: value}
    annotations = {"prometheus.io/scrape": "true", "prometheus.io/port": str(port)}
    document = {
        "apiVersion": "apps/v1",
        "kind": "DaemonSet",
        "metadata": {"name": value, "labels": labels},
        "spec": {
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels, "annotations": annotations}, "spec": _pod(image, port)},
        },
    }
    return lines_of([*map(commented, _notes(image)), json.dumps(document, indent=2)])


def _pod(image: str, port: int) -> dict[str, Any]:
    return {
        "hostPID": True,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": 5,
        "tolerations": [{"operator": "Exists"}],
        "containers": [_container(image, port)],
        "volumes": [{"name": "tmp", "emptyDir": {"medium": "Memory", "sizeLimit": "64Mi"}}],
    }


def _container(image: str, port: int) -> dict[str, Any]:
    return {
        "name": "watch",
        "image": image,
        "command": ["sh", "-c", f"while :; do wellfed watch --export 0.0.0.0:{port} --insecure; sleep 15; done"],
        "env": [
            {"name": "NVIDIA_VISIBLE_DEVICES", "value": "all"},
            {"name": "NVIDIA_DRIVER_CAPABILITIES", "value": "utility"},
            {"name": "XDG_CACHE_HOME", "value": "/tmp"},
        ],
        "ports": [{"name": "metrics", "containerPort": port}],
        "securityContext": {
            "runAsUser": 0,
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"], "add": ["SYS_PTRACE", "DAC_READ_SEARCH"]},
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "resources": {"requests": {"cpu": "50m", "memory": "128Mi"}, "limits": {"memory": "512Mi"}},
        "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}],
    }


def _notes(image: str) -> tuple[Sentence, ...]:
    return (
        sentence(
            "export.watch.image",
            "The image is built from the project's own Dockerfile and pushed where your nodes pull from: {image}",
            image=image,
        ),
        sentence(
            "export.watch.runtime",
            "Where NVIDIA's runtime is not the nodes' default: add runtimeClassName: nvidia to the pod's spec.",
        ),
        sentence(
            "export.watch.host-pid",
            "hostPID shows it the engine's process; it traces nothing and changes nothing on the node.",
        ),
    )
