"""How much one copy of a plan serves, how many copies a rate needs, and which GPUs are left over."""

from __future__ import annotations

import math

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.message import Amount, Message, counted, message
from wellfed.nouns.plan import Plan
from wellfed.planner.search import Search, meets_targets

_MOST_RATE = 1e5  # requests per second
_CLOSE = 1.03  # the search for the highest rate ends when its bounds are as near as this


@dataclass(frozen=True, slots=True)
class Replicas:
    """Copies of a plan for a rate. `most_rate` requests/s is what one carries within the targets; `here` how many the
    machines hold.
    """

    wanted_rate: float
    most_rate: float
    count: int
    here: int
    gpus_each: int

    def sentence(self) -> Message:
        """How many replicas the load takes, in one sentence."""
        most, rate = Amount(self.most_rate, ""), Amount(self.wanted_rate, "")
        if self.count <= self.here:
            return counted(
                "replicas.enough",
                "one such plan carries {each} requests a second: {rate} need {count} replica, {here} fit here",
                "one such plan carries {each} requests a second: {rate} need {count} replicas, {here} fit here",
                self.count, each=most, rate=rate, here=self.here,
            )  # fmt: skip
        return message(
            "replicas.more",
            "one such plan carries {each} requests a second: {rate} need {count} replicas of {gpus} GPUs, {here} fit",
            each=most, rate=rate, count=self.count, gpus=self.gpus_each, here=self.here,
        )  # fmt: skip


def replicas(search: Search, plan: Plan) -> Replicas | None:
    """For a workload with a request rate; None without one, or where not even a trickle keeps the targets."""
    wanted = plan.workload.request_rate
    if wanted is None:
        return None
    most = most_rate(search, plan)
    if most is None:
        return None
    gpus = plan.layout.gpus
    total = len(plan.machine.gpus) * plan.machine.count
    return Replicas(wanted, most, math.ceil(wanted / most), max(1, total // gpus) if gpus else 1, gpus)


def most_rate(search: Search, plan: Plan) -> float | None:
    """Requests a second that the plan as it is keeps up with, within its targets; to 3 %."""
    low = plan.workload.request_rate or 1.0
    while not _keeps(search, plan, low):
        low /= 4
        if low < 1e-4:
            return None
    high = low * 2
    while _keeps(search, plan, high):
        low, high = high, high * 2
        if high > _MOST_RATE:
            return low
    while high / low > _CLOSE:
        middle = math.sqrt(low * high)
        if _keeps(search, plan, middle):
            low = middle
        else:
            high = middle
    return low


def _keeps(search: Search, plan: Plan, rate: float) -> bool:
    workload = replace(plan.workload, request_rate=rate)
    narrowed = replace(search, workload=workload, sweep=False)
    plans = narrowed.rank([plan.layout]).plans
    try:
        return bool(plans) and meets_targets(plans[0]) is not False
    except WellfedError:
        return False


def idle_words(plan: Plan) -> Message | None:
    """Which GPUs the plan leaves idle; None where it uses all."""
    per_machine, used = len(plan.machine.gpus), plan.layout.gpus
    total = per_machine * plan.machine.count
    if not 0 < used < total:
        return None
    if plan.machine.count == 1:
        if used < total - 1:
            return message("plan.idle", "gpu{first} to gpu{last} stay idle", first=used, last=total - 1)
        return message("plan.idle-one", "gpu{last} stays idle", last=total - 1)
    return message(
        "plan.idle-nodes", "{count} of {total} GPUs stay idle: {here} of machine {node} on",
        count=total - used, total=total, here=f"gpu{used % per_machine}", node=used // per_machine + 1,
    )  # fmt: skip
