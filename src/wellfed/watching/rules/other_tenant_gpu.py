"""`other-tenant-gpu`: other processes compute on the engine's GPU."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.cards import SEE_HOLDERS, SHARE_CARD
from wellfed.message import listed, sentence
from wellfed.units import format_bytes
from wellfed.watching.rules.base import Kind, Rule, Sign, percent, rates, sign
from wellfed.watching.view import View

_MUCH_BYTES = 256 * 2**20  # a desktop's compositor holds less (assumed)


def judge(view: View) -> Iterable[Sign]:
    """A busy GPU with strangers on it while the engine rests, or is slower than planned."""
    engine = view.engine
    resting = engine is not None and engine.idle is not None and engine.idle > 0.9
    slow = (
        view.against_promise is not None
        and view.promise is not None
        and (view.against_promise < 0.8 * view.promise.decode_low_tok_s / view.promise.decode_tok_s)
    )
    signs: list[Sign] = []
    for gpu in view.gpus or ():
        if not gpu.foreign_pids or gpu.engine_here is False or (gpu.busy or 0.0) < 0.5:
            continue
        if (gpu.foreign_bytes or 0) < _MUCH_BYTES or not (resting or slow):
            continue
        signs += sign(
            0.8 if slow else 0.5,
            gpu.subject,
            sentence("watch.other-tenant-gpu.other-processes", "other processes compute on this GPU"),
            sentence(
                "watch.other-tenant-gpu.processes-hold",
                "processes {foreign_pids} hold {foreign_bytes}",
                foreign_pids=listed(gpu.foreign_pids),
                foreign_bytes=format_bytes(gpu.foreign_bytes),
            ),
            sentence(
                "watch.other-tenant-gpu.gpu-busy-time", "the GPU is busy {busy} of the time", busy=percent(gpu.busy)
            )
            + (sentence("watch.other-tenant-gpu.request-runs", ", and no request runs") if resting else ""),
            rates(view),
        )
    return signs


RULE = Rule(
    id="other-tenant-gpu",
    title=sentence("watch.other-tenant-gpu.title", "Another tenant on the GPU"),
    kind=Kind.ILL,
    reads=sentence(
        "watch.other-tenant-gpu.reads", "NVML processes and utilisation; the engine's requests; the plan's rate"
    ),
    rule=sentence(
        "watch.other-tenant-gpu.rule",
        "Others hold >= 256 MiB on a GPU busy >= 50 % while the engine rests or is slower than the plan's interval.",
    ),
    judge=judge,
    fix=(
        SEE_HOLDERS,
        SHARE_CARD,
    ),
    then=sentence("watch.other-tenant-gpu.then", "`nvidia-smi pmon`: each process's share."),
    explains=("queueing", "gpu-launch-bound"),
)
