"""A node in labels that a scheduler can match: `wellfed.dev/gpu-link=gen5x16`, `wellfed.dev/numa-aligned=true`.

A label's value has at most 63 letters, digits, `-`, `_` and `.`, and begins and ends with a letter or digit
(Kubernetes documentation, labels and selectors). What is not known gets no label: absence is not `false`.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping

from wellfed.hardware.machine import Gpu, Machine
from wellfed.nouns.finding import Finding, Verdict

PREFIX = "wellfed.dev/"
_MOST = 63  # characters of a label's value (kubernetes.io/docs, Labels and Selectors)


def labels(machine: Machine, findings: Iterable[Finding] = ()) -> Mapping[str, str]:
    """Name -> value, sorted; `fault.ID` is the verdict of each check that complains."""
    value_of = {name: clean(value) for name, value in _label_values(machine) if value is not None}
    for finding in findings:
        if finding.verdict in (Verdict.FAIL, Verdict.WARN):
            worse = value_of.get(f"fault.{finding.id}") == Verdict.FAIL.value
            value_of[f"fault.{finding.id}"] = Verdict.FAIL.value if worse else finding.verdict.value
    return {PREFIX + name: value for name, value in sorted(value_of.items()) if value}


def clean(text: str) -> str:
    """The text as Kubernetes takes a label's value: letters, digits, "-", "_" and ".", at most 63 of them."""
    return re.sub(r"[^A-Za-z0-9_.-]+", "-", text)[:_MOST].strip("-_.")


def _label_values(machine: Machine) -> Iterator[tuple[str, str | None]]:
    gpus = [gpu for gpu in machine.gpus if not gpu.display_only]
    yield "gpu-count", str(len(gpus))
    if gpus:
        yield "gpu-product", product(gpus)
        yield (
            "gpu-memory-gib",
            _common(str(round(gpu.memory_bytes / 2**30)) if gpu.memory_bytes else None for gpu in gpus),
        )
        yield "gpu-link", _narrowest(gpus)
        yield "gpu-fabric", _fabric(machine)
        yield "numa-aligned", _yes_or_no(aligned(machine))
        yield "nic-per-gpu-node", _yes_or_no(_has_near_nics(machine))
    yield "numa-nodes", str(len(machine.numa_nodes)) if machine.numa_nodes else None
    yield "memory-channels", _channels(machine)
    yield "memory-mt-s", _common(f"{socket.mt_s:.0f}" if socket.mt_s else None for socket in machine.sockets)
    yield "driver", machine.os.nvidia_driver
    yield "governor", machine.os.governor
    yield "iommu", machine.os.iommu


def product(gpus: Iterable[Gpu]) -> str | None:
    """The GPU that most of them are; None where that is not told."""
    names = Counter(gpu.spec.name if gpu.spec else gpu.name for gpu in gpus)
    return names.most_common(1)[0][0]


def _common(values: Iterable[str | None]) -> str | None:
    """The value that all have; None where they differ or one is not known."""
    distinct = set(values)
    return distinct.pop() if len(distinct) == 1 else None


def _narrowest(gpus: Iterable[Gpu]) -> str | None:
    links = [gpu.link for gpu in gpus]
    known_links = [link for link in links if link is not None]
    if not known_links or len(known_links) < len(links):
        return None
    slow = min(known_links, key=lambda link: link.bytes_per_s)
    return f"gen{slow.generation}x{slow.width}"


def _fabric(machine: Machine) -> str | None:
    kinds = Counter(link.kind for link in machine.gpu_links if link.active)
    return kinds.most_common(1)[0][0] if kinds else None


def aligned(machine: Machine) -> bool | None:
    """Whether each GPU hangs on a NUMA node that has CPUs and memory of its own, and the nodes that have GPUs have
    equally many. None where one of these is not told.
    """
    homes = [gpu.numa_node for gpu in machine.gpus if not gpu.display_only]
    if None in homes or not homes or not machine.numa_nodes:
        return None
    furnished = {node.os_index for node in machine.numa_nodes if node.cpus and node.memory_bytes}
    counts = Counter(homes)
    return all(home in furnished for home in homes) and len(set(counts.values())) == 1


def _has_near_nics(machine: Machine) -> bool | None:
    """Whether each NUMA node with GPUs has a network card, too; None where cards or nodes are not told."""
    homes = {gpu.numa_node for gpu in machine.gpus if not gpu.display_only}
    near = {nic.numa_node for nic in machine.nics if nic.physical}
    return None if None in homes or None in near or not near else homes <= near


def _channels(machine: Machine) -> str | None:
    """`8of8`: of a socket, channels with a module and channels that the firmware names."""
    pairs = {(socket.channels, socket.channels_named) for socket in machine.sockets}
    if not pairs or any(None in pair for pair in pairs):
        return None
    least = min(pairs, key=lambda pair: pair[0] or 0)
    return f"{least[0]}of{least[1]}"


def _yes_or_no(value: bool | None) -> str | None:
    return None if value is None else str(value).lower()
