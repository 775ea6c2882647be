"""What each fault costs: the estimate of the repaired machine minus the estimate of this one."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

from wellfed.checks.base import Check, fault_of
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.message import Message, message
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.finding import FAULTS, Cost, Finding

Estimator = Callable[[Machine], Estimate]

NOTHING = message("cost.nothing", "costs nothing for this model")
FITS = message("cost.fits", "does not fit now, and does when mended")
UNPRICED = message("cost.unpriced", "what it does to speed is not in the estimate")
NEGLIGIBLE = 0.002  # relative change of a rate or time that counts as none: below the estimate's own rounding (assumed)


@dataclass(frozen=True, slots=True)
class Priced:
    """Findings with their cost, and what all faults cost together (None: no fault has a price)."""

    findings: tuple[Finding, ...]
    together: Cost | None


def price(machine: Machine, findings: Iterable[Finding], checks: Iterable[Check], estimate: Estimator) -> Priced:
    """Every warning and failure with a cost, singly and all together.

    A check's cost is that of its fault on all subjects, and stands with each of its findings. Whether estimates know
    what a fault does is seen from them: where the repaired machine's is another, there is a price. Where it is the
    same, the fault costs nothing for this model, unless the fault tells why no estimate shows it (`Fault.price`).
    An estimator that cannot answer (the model does not fit now, say) leaves the reason in the cost's note.
    """
    all_findings = tuple(findings)
    faulty = {finding.id for finding in all_findings if finding.verdict in FAULTS}
    mendable = [check for check in checks if check.id in faulty]
    if not mendable:
        return Priced(all_findings, None)
    everything = tuple(checks)
    now = _try(estimate, as_is(machine, everything))
    costs = {check.id: _cost(machine, [check], everything, now, estimate) for check in mendable}
    together = _cost(machine, mendable, everything, now, estimate)
    hardware = {check.id for check in mendable if (fault := fault_of(check)) and fault.hardware}
    priced = (
        _with_cost(finding, costs[finding.id], finding.id in hardware)
        if finding.verdict in FAULTS and finding.id in costs
        else finding
        for finding in all_findings
    )
    return Priced(tuple(priced), together)


def unpriced(findings: Iterable[Finding], why: Message) -> Priced:
    """Findings of a machine that cannot be priced, each fault with the reason."""
    cost = _noted(message("cost.not-priced", "not priced: {why}", why=why))
    return Priced(
        tuple(replace(finding, cost=cost) if finding.verdict in FAULTS else finding for finding in findings), None
    )


def _with_cost(finding: Finding, cost: Cost, hardware: bool) -> Finding:
    """The finding with its cost. One that costs nothing says so first, and counts only as a broken part."""
    if cost.message != NOTHING:
        return replace(finding, cost=cost)
    why = message("check.costs-nothing", "costs nothing for this model: {why}", why=finding.message or finding.why)
    return replace(finding, cost=cost, why=str(why), message=why, counts=hardware)


def _noted(note: Message) -> Cost:
    return Cost(note=str(note), message=note)


def as_is(machine: Machine, checks: Iterable[Check]) -> Machine:
    """The machine as it performs: with the effects of faults that its parts do not show."""
    for check in checks:
        if check.effect is not None:
            machine = check.effect(machine)
    return machine


def mended(machine: Machine, checks: Iterable[Check]) -> Machine:
    """The machine with these checks' faults repaired, one after the other."""
    for check in checks:
        if check.repair is not None:
            machine = check.repair(machine)
    return machine


def _cost(
    machine: Machine,
    checks: list[Check],
    everything: tuple[Check, ...],
    now: Estimate | str,
    estimate: Estimator,
) -> Cost:
    if len(checks) == 1 and checks[0].price is not None:
        return (
            _noted(message("cost.not-priced", "not priced: {why}", why=now))
            if isinstance(now, str)
            else (checks[0].price(machine, now))
        )
    after = _try(estimate, as_is(mended(machine, checks), everything))
    if isinstance(after, str):
        return _noted(message("cost.not-priced", "not priced: {why}", why=after))
    if isinstance(now, str):
        return _noted(message("cost.only-mended", "runs only when mended; now: {why}", why=now))
    cost = difference(now, after)
    silent = [why for check in checks if (why := unpriced_of(check))]
    return _noted(_why_not(silent)) if cost.message == NOTHING and len(silent) == len(checks) else cost


def unpriced_of(check: Check) -> Message | None:
    """Why no estimate shows what a check's fault does, where none does."""
    fault = fault_of(check)
    return None if fault is None or fault.price.is_estimated else fault.price.how


def _why_not(reasons: list[Message]) -> Message:
    if len(reasons) > 1:
        return UNPRICED
    return message("cost.not-priced", "not priced: {why}", why=reasons[0])


def _try(estimate: Estimator, machine: Machine) -> Estimate | str:
    try:
        return estimate(machine)
    except WellfedError as error:
        return error.message


def difference(now: Estimate, after: Estimate) -> Cost:
    """`then` minus `now` for rates, `now` minus `then` for times: positive is what the fault costs.

    Differences of less than 0.2 % are nothing. What does not fit now has no rates to compare. Room for more requests at
    a time makes each one's rate lower and all of them together faster: that is no loss. Nor is it one to load longer
    what then is faster.
    """
    if now.memory.fits is False and after.memory.fits is not False:
        return _noted(FITS)
    decode = _gap(now.decode_tok_s.value, after.decode_tok_s.value)
    if decode < 0 and after.total_tok_s.value >= now.total_tok_s.value:
        decode = 0.0
    prefill = _gap(now.prefill_tok_s.value, after.prefill_tok_s.value)
    ttft = -_gap(now.ttft_s.value, after.ttft_s.value)
    load = 0.0 if now.load_s is None or after.load_s is None else -_gap(now.load_s, after.load_s)
    if load < 0 and max(decode, prefill, ttft) > 0:
        load = 0.0
    note = None if any((decode, prefill, ttft, load)) else NOTHING
    return Cost(decode, prefill, ttft + 0.0, load + 0.0, str(note or ""), note)


def _gap(now: float, after: float) -> float:
    gap = after - now
    return 0.0 if abs(gap) <= NEGLIGIBLE * max(abs(now), abs(after)) else gap
