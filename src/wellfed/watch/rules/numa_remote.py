"""`numa-remote`: the engine's memory, threads and GPU are not on the same node."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.watch.rules.base import ENGINE, Kind, Rule, Sign, percent, sign
from wellfed.watch.view import View

_MUCH = 0.3


def judge(view: View) -> Iterable[Sign]:
    """Threads on some nodes, pages on others; or threads away from the node of their GPU."""
    nodes = _thread_nodes(view)
    return [*_pages(view, nodes), *_gpu(view, nodes)]


def _thread_nodes(view: View) -> dict[int, float]:
    """Busy threads by node."""
    process, host = view.process, view.host
    found: dict[int, float] = {}
    for thread in process.wanting if process else ():
        node = host.node_of_cpu.get(thread.cpu) if host and thread.cpu is not None else None
        if node is not None:
            found[node] = found.get(node, 0.0) + thread.busy
    return found


def _pages(view: View, nodes: dict[int, float]) -> list[Sign]:
    pages = view.process.pages if view.process else None
    total, threads = sum((pages or {}).values()), sum(nodes.values())
    if (
        not pages
        or not total
        or not threads
        or view.on_gpu
        or len(set(view.host.node_of_cpu.values()) if view.host else ()) < 2
    ):
        return []
    # each thread reads all pages alike: what it finds at home is its node's share of the pages
    local = sum(share / threads * pages.get(node, 0) / total for node, share in nodes.items())
    possible = 1.0 if len(nodes) == 1 else max(1 / len(nodes), local)
    remote = possible - local
    if remote < _MUCH:
        return []
    where = ", ".join(f"node {node} {percent(size / total)}" for node, size in sorted(pages.items()))
    growing = view.host.remote_pages_per_s if view.host else None
    return sign(
        remote,
        ENGINE,
        "its pages lie on another NUMA node than its threads: every weight crosses the link between sockets",
        f"threads run on node {', '.join(map(str, sorted(nodes)))}; pages: {where}",
        f"{growing:.0f} pages/s allocated for other nodes" if growing else None,
    )


def _gpu(view: View, nodes: dict[int, float]) -> list[Sign]:
    threads = sum(nodes.values())
    wanted = {gpu.node for gpu in view.engine_gpus if gpu.node is not None and gpu.node >= 0}
    if (
        not view.on_gpu
        or not threads
        or not wanted
        or any(node not in set(view.host.node_of_cpu.values()) for node in wanted if view.host)
    ):
        return []
    away = sum(share for node, share in nodes.items() if node not in wanted) / threads
    if away < 0.7:
        return []
    return sign(
        0.25,
        ENGINE,
        "the threads that feed the GPU run on another socket than its slot",
        f"threads run on node {', '.join(map(str, sorted(nodes)))}, the GPU's is {', '.join(map(str, sorted(wanted)))}",
    )


RULE = Rule(
    id="numa-remote",
    title="Remote NUMA memory",
    kind=Kind.ILL,
    reads="/proc/PID/numa_maps, where hot threads last ran, nodes of CPUs and GPUs, numastat other_node",
    rule="Threads find 30 % fewer pages at home than they could; or 70 % of hot time is off the GPU's node.",
    judge=judge,
    fix=(
        "numactl --cpunodebind=0 --membind=0 COMMAND",
        "# or let `wellfed run` bind it; pages move with: migratepages PID all 0",
    ),
    then="`numastat -p PID`; `wellfed check --select numa-*`.",
    explains=("queueing", "memory-contention"),
    check="numa-balancing",
)
