"""Where the exporters of a fleet answer: from a list of addresses, a Ray cluster, or the pods of a DaemonSet."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from wellfed.asking.address import Address
from wellfed.errors import BadInput
from wellfed.fleet.means import ensure_names, output_of
from wellfed.frozen import dataclass
from wellfed.message import message
from wellfed.plain_file import read_text
from wellfed.printable import printable

PORT = 9907  # of what `fleet watch --export` starts
LABEL = "app=wellfed-watch"
_MOST_NODES = 20_000  # of one list (assumed)


@dataclass(frozen=True, slots=True)
class Exporter:
    """One `wellfed watch --export`: the node's name as it is shown, and its address."""

    node: str
    address: Address


def in_file(path: Path, port: int = PORT) -> tuple[Exporter, ...]:
    """One a line: `ADDRESS [NAME]`; an address is a host, host:port, [IPv6]:port or an http URL; `#` begins a remark.

    Raises BadInput for what is no address, and for a list without one.
    """
    lines = (line.partition("#")[0].split() for line in read_text(path, 4 << 20).splitlines())
    exporters = [exporter(words[0], words[1] if len(words) > 1 else None, port) for words in lines if words]
    if not exporters:
        raise BadInput(
            message("exporters.none", "{path} names no node", path=str(path)),
            message("exporters.none.hint", "an address a line, such as node17 or 10.0.0.17:{port}", port=str(port)),
        )
    return _distinct(exporters)


def exporter(text: str, name: str | None = None, port: int = PORT) -> Exporter:
    """The exporter at an address: host, host:port, [IPv6]:port or URL; `port` where it names none."""
    url = text if "://" in text else f"http://{text}"
    head, _, authority_and_path = url.partition("://")
    host, slash, path = authority_and_path.partition("/")
    if text.count("://") == 0 and ":" not in host.rpartition("]")[2]:
        host = f"{host}:{port}"
    address = Address(f"{head}://{host}{slash}{path}".removesuffix("/").removesuffix("/metrics"))
    return Exporter(printable(name or text, 200), address)


def _distinct(exporters: Iterable[Exporter]) -> tuple[Exporter, ...]:
    """Every exporter once. Raises BadInput where two addresses have one name, or they are too many."""
    by_name: dict[str, Exporter] = {}
    for candidate in exporters:
        if by_name.setdefault(candidate.node, candidate) != candidate:
            raise BadInput(message("exporters.twice", "two addresses are called {name}", name=candidate.node))
    if len(by_name) > _MOST_NODES:
        raise BadInput(message("exporters.many", "more than {most} nodes", most=_MOST_NODES))
    return tuple(by_name.values())


def of_ray(port: int = PORT) -> tuple[Exporter, ...]:
    """One on each living node of the running Ray cluster. Raises BadInput without Ray or a cluster."""
    from wellfed.fleet.by_ray import connected

    nodes = [node for node in connected().nodes() if node["Alive"]]
    names = ensure_names([node["NodeManagerHostname"] or node["NodeID"] for node in nodes])
    if len(names) < len(nodes):  # several nodes of one host
        names = ensure_names([node["NodeID"] for node in nodes])
    pairs = zip(names, nodes, strict=True)
    return _distinct(exporter(_bracketed(node["NodeManagerAddress"]), name, port) for name, node in pairs)


def of_kubernetes(port: int = PORT) -> tuple[Exporter, ...]:
    """The pods that `fleet watch --export daemonset` started. Raises BadInput where there is none."""
    text = output_of(["kubectl", "get", "pods", "-A", "-l", LABEL, "-o", "json"])
    try:
        pods = [_pod(item, port) for item in json.loads(text)["items"] if item["status"].get("podIP")]
    except (ValueError, KeyError, TypeError, AttributeError) as error:
        raise BadInput(message("fleet.kubectl", "kubectl answers something else than a list of pods")) from error
    if not pods:
        raise BadInput(
            message("exporters.no-pods", "no pod of wellfed's exporter runs in this cluster"),
            message("exporters.no-pods.hint", "wellfed fleet watch --export daemonset | kubectl apply -f -"),
        )
    return _distinct(pods)


def _pod(item: Mapping[str, Any], port: int) -> Exporter:
    node = ensure_names([item["spec"]["nodeName"]])[0]
    return exporter(_bracketed(item["status"]["podIP"]), node, port)


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host
