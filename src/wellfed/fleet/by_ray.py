"""Gathering through a running Ray cluster: one task a node, held to it by node affinity, runs the script there."""

from __future__ import annotations

import io
from typing import Any

from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.gather import (
    MOST_BYTES,
    Gathering,
    Outcome,
    Progress,
    keep,
    labelled,
    reason,
    report,
    too_late,
    too_much,
)
from wellfed.fleet.means import ensure_names
from wellfed.fleet.script import script
from wellfed.message import Message, message


def gather_by_ray(nodes: tuple[str, ...], how: Gathering, progress: Progress = lambda *_: None) -> tuple[Outcome, ...]:
    """Ask the nodes of the cluster (by name or Ray's node id; none named: all that live). Raises BadInput without Ray,
    a cluster, or a node of that name.
    """
    ray = connected()
    alive = {node["NodeManagerHostname"] or node["NodeID"]: node["NodeID"] for node in ray.nodes() if node["Alive"]}
    by_id = {node["NodeID"]: node["NodeID"] for node in ray.nodes() if node["Alive"]}
    if len(alive) < len(by_id):
        alive = by_id  # several nodes of one host
    unknown = [node for node in nodes if node not in alive and node not in by_id]
    if unknown:
        raise BadInput(message("fleet.ray-node", "no living node of the Ray cluster is called {node}", node=unknown[0]))
    chosen = {node: alive.get(node, by_id.get(node, "")) for node in ensure_names(nodes or tuple(sorted(alive)))}
    labels = labelled(tuple(chosen), how)
    outcomes: list[Outcome] = []
    pending: dict[Any, str] = {}
    waiting = list(chosen)
    task = ray.remote(num_cpus=0, max_retries=0)(_on_node)
    while waiting or pending:
        while waiting and len(pending) < how.at_a_time:
            node = waiting.pop()
            target = how.folder / f"{labels[node]}.tar.gz"
            if target.exists() and not how.refresh:
                outcomes.append(Outcome(node, labels[node], target, from_before=True))
                progress(outcomes[-1], len(outcomes), len(chosen))
                continue
            pending[
                task.options(scheduling_strategy=_affinity(chosen[node])).remote(script(), how.timeout_s, MOST_BYTES)
            ] = node
        ready, _ = ray.wait(list(pending), num_returns=1, timeout=how.timeout_s + 30) if pending else ([], [])
        for reference in ready or list(pending)[:1] if pending else []:
            outcomes.append(_settled(ray, reference, pending.pop(reference), labels, how))
            progress(outcomes[-1], len(outcomes), len(chosen))
    settled = tuple(sorted(outcomes, key=lambda outcome: outcome.label))
    report(how.folder, settled)
    return settled


def _settled(ray: Any, reference: Any, node: str, labels: dict[str, str], how: Gathering) -> Outcome:
    label = labels[node]
    target = how.folder / f"{label}.tar.gz"
    try:
        sent, late = ray.get(reference, timeout=1)
    except Exception as error:  # noqa: BLE001 - a task's own error of any class, a dead node, a timeout
        ray.cancel(reference, force=True)
        return Outcome(node, label, why=_reason(error, how))
    if len(sent) > MOST_BYTES:
        return Outcome(node, label, why=too_much())
    if late and not sent:
        return Outcome(node, label, why=too_late(how.timeout_s))
    try:
        partial = keep(io.BytesIO(sent), label, target)
    except WellfedError as error:
        return Outcome(node, label, why=reason(error))
    return Outcome(node, label, target, partial=partial)


def _reason(error: Exception, how: Gathering) -> Message:
    if type(error).__name__ == "GetTimeoutError":
        return too_late(how.timeout_s)
    return message("fleet.ray-failed", "its task ended: {why}", why=type(error).__name__)


def _on_node(script_text: str, timeout_s: float, most: int) -> tuple[bytes, bool]:
    """Runs on the node, with nothing of wellfed: what the script prints, up to one byte beyond the limit, and whether
    it was ended for its time.
    """
    import os
    import signal
    import subprocess
    import threading

    process = subprocess.Popen(
        ["sh", "-s"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, start_new_session=True
    )
    late = threading.Event()

    def end() -> None:
        late.set()
        os.killpg(process.pid, signal.SIGKILL)

    timer = threading.Timer(timeout_s, end)
    timer.start()
    try:
        if process.stdin is not None and process.stdout is not None:
            process.stdin.write(script_text.encode())
            process.stdin.close()
            sent = process.stdout.read(most + 1)
    finally:
        timer.cancel()
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    return sent, late.is_set()


def _affinity(node_id: str) -> Any:
    from ray.util.scheduling_strategies import (  # type: ignore[import-not-found,unused-ignore]
        NodeAffinitySchedulingStrategy,
    )

    return NodeAffinitySchedulingStrategy(node_id, soft=False)


def connected() -> Any:
    """Ray, connected to the cluster that runs. Raises BadInput without either."""
    try:
        import ray  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise BadInput(
            message("fleet.no-ray", "--ray needs the ray package"),
            message("fleet.no-ray.hint", "pip install 'wellfed[ray]', in the cluster's own version of Ray and Python"),
        ) from error
    if not ray.is_initialized():
        try:
            ray.init(address="auto", log_to_driver=False, configure_logging=False)
        except ConnectionError as error:
            raise BadInput(
                message("fleet.no-cluster", "no Ray cluster runs here"),
                message("fleet.no-cluster.hint", "run this on its head node, or set RAY_ADDRESS"),
            ) from error
    return ray
