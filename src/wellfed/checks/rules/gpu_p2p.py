"""`gpu-p2p`: can GPUs without links of their own copy to each other, or only through RAM?"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from wellfed.checks.base import SYSTEM, Check, missing, no_gpus, passed, skip, warn
from wellfed.checks.places import cards, pairs_without_links
from wellfed.hardware.machine import Machine, Origin
from wellfed.hardware.peers import without_peers
from wellfed.message import Listing, listed, message, sentence
from wellfed.nouns.finding import Finding, Verdict


def judge(machine: Machine) -> Iterable[Finding]:
    """One finding for the machine."""
    gpus = cards(machine)
    if len(gpus) < 2:
        return [no_gpus(machine, 2)]
    bare = pairs_without_links(machine)
    access = {frozenset((pair.a, pair.b)): pair for pair in machine.peers}
    if not bare:
        return [skip(message("gpu-p2p.linked", "the GPUs talk over links of their own"))]
    lost = [access[pair] for pair in bare if pair in access and not access[pair].works]
    if lost:
        pairs = Listing(tuple(f"gpu{pair.a}-gpu{pair.b}" for pair in lost[:6]))
        why = message(
            "gpu-p2p.off", "peer access is off: what one GPU sends another goes through RAM, twice over the bus"
        )
        reasons = listed(sorted({pair.why for pair in lost if pair.why}))
        measured = sentence(
            "check.gpu-p2p.pairs-without",
            "{count} of {count2} pairs without ({said})",
            count=len(lost),
            count2=len(bare),
            said=reasons or pairs,
        )
        return [warn(SYSTEM, why, measured, sentence("check.gpu-p2p.peer-access", "peer access"))]
    if all(pair in access for pair in bare):
        return [
            passed(
                SYSTEM,
                message("gpu-p2p.on", "GPUs copy to each other directly"),
                sentence("check.gpu-p2p.pairs", "{count} pairs", count=len(bare)),
            )
        ]
    if all(without_peers(gpu) for gpu in gpus):
        why = message(
            "gpu-p2p.design", "NVIDIA's driver gives these cards no peer access over PCIe: they talk through RAM"
        )
        return [skip(why)]
    if machine.origin is Origin.PARTS:
        return [skip(message("gpu-p2p.planned", "a planned machine: firmware, kernel and driver decide"))]
    return [missing(machine, sentence("check.gpu-p2p.peer-access", "peer access"), "peers")]


def repair(machine: Machine) -> Machine:
    """The machine with peer access between all GPUs."""
    return replace(machine, peers=tuple(replace(pair, works=True, why=None) for pair in machine.peers))


CHECK = Check(
    id="gpu-p2p",
    code="P2P-06",
    title=sentence("check.gpu-p2p.title", "GPUs without NVLink reach each other directly"),
    severity=Verdict.WARN,
    reads=sentence(
        "check.gpu-p2p.reads", "the driver's peer status of every pair (nvidia-smi topo -p2p r), NCCL's log"
    ),
    rule=sentence(
        "check.gpu-p2p.rule",
        "Every pair without NVLink or xGMI has peer access. A pair that the driver or NCCL calls without warns.",
    ),
    judge=judge,
    traps=(
        sentence(
            "check.gpu-p2p.trap-geforce-cards-from",
            "GeForce cards from the RTX 20 series on have none by design: skip, unless the driver says otherwise.",
        ),
    ),
    ask=("nvidia-smi topo -p2p r",),
    refs=("https://docs.nvidia.com/deeplearning/nccl/user-guide/docs/troubleshooting.html#gpu-direct",),
    repair=repair,
)
