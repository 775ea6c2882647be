"""What tokens cost in money and energy: hire or amortisation, electricity, the price of an API, power caps."""

from __future__ import annotations

from collections.abc import Iterator

from wellfed.errors import WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.message import Amount, Message, message
from wellfed.nouns.plan import Plan, Request
from wellfed.perf.estimate import speeds
from wellfed.perf.load import LOCAL
from wellfed.planner.power import power
from wellfed.planner.search import Search

_HOURS_A_YEAR = 8766.0  # 365.25 days
_CAPS = (0.9, 0.8, 0.7, 0.6, 0.5)  # of the board's power


@dataclass(frozen=True, slots=True)
class Rates:
    """What is paid. `price` is the machine's, written off over `years`; `api_per_million` what an API asks for a
    million output tokens; electricity per kWh. All in `currency`; None: not given.
    """

    hire_per_hour: float | None = None
    electricity_per_kwh: float | None = None
    price: float | None = None
    years: float = 3.0
    api_per_million: float | None = None
    currency: str = "USD"

    @property
    def paid(self) -> bool:
        """Whether anything is paid at all."""
        return any(value is not None for value in (self.hire_per_hour, self.electricity_per_kwh, self.price))


NOTHING_PAID = Rates()


@dataclass(frozen=True, slots=True)
class Money:
    """Of a plan under its load, day and night. Per million output tokens; None where a figure is missing.

    `break_even_share`: of the hours that the machine must be so busy to cost no more than the API; above 1: never.
    """

    currency: str
    power_w: float | None
    joules_per_token: float | None
    hire: float | None
    electricity: float | None
    amortisation: float | None
    break_even_share: float | None

    @property
    def per_million(self) -> float | None:
        """All that is known of it."""
        parts = [part for part in (self.hire, self.electricity, self.amortisation) if part is not None]
        return sum(parts) if parts else None

    def sentences(self) -> tuple[Message, ...]:
        """What it costs in sentences: energy, tokens, when a machine has paid for itself."""
        lines = []
        if self.joules_per_token is not None:
            lines.append(message(
                "money.energy", "energy: {power} at full load, {joules} a token",
                power=Amount(self.power_w, "W"), joules=Amount(self.joules_per_token, "J"),
            ))  # fmt: skip
        if self.per_million is not None:
            lines.append(message(
                "money.cost", "a million output tokens: {cost} {currency} (hire {hire}, electricity {power}, "
                "written off {price}), busy day and night",
                cost=_money(self.per_million), currency=self.currency, hire=_money(self.hire),
                power=_money(self.electricity), price=_money(self.amortisation),
            ))  # fmt: skip
        if self.break_even_share is not None and self.break_even_share <= 1:
            lines.append(message(
                "money.break-even", "cheaper than the API from {share} of the hours at this load",
                share=Amount(self.break_even_share, "%"),
            ))  # fmt: skip
        elif self.break_even_share is not None:
            lines.append(message("money.never", "dearer than the API even when it is busy all the time"))
        return tuple(lines)


def money(plan: Plan, rates: Rates) -> Money:
    """The plan's cost; power is what data sheets rate GPUs and CPUs at, all machines together."""
    watts = power(plan.machine).total_w
    million_s = 1e6 / plan.estimate.total_tok_s.value
    hours = million_s / 3600
    electricity = (
        None if watts is None or rates.electricity_per_kwh is None else hours * watts / 1000 * rates.electricity_per_kwh
    )
    hire = None if rates.hire_per_hour is None else hours * rates.hire_per_hour
    written_off = None if rates.price is None else hours * rates.price / (rates.years * _HOURS_A_YEAR)
    return Money(
        rates.currency, watts, None if watts is None else watts * million_s / 1e6, hire, electricity, written_off,
        _break_even(rates.api_per_million, hire, electricity, written_off),
    )  # fmt: skip


def _break_even(
    api: float | None, hire: float | None, electricity: float | None, written_off: float | None
) -> float | None:
    """Hire and purchase are paid at every hour, electricity (nearly) only while busy."""
    if api is None or (hire is None and electricity is None and written_off is None):
        return None
    margin = api - (electricity or 0.0)
    return float("inf") if margin <= 0 else ((hire or 0.0) + (written_off or 0.0)) / margin


@dataclass(frozen=True, slots=True)
class Capped:
    """The plan with its GPUs held to `watts_each`. Rates are shares of the uncapped ones."""

    share: float
    watts_each: float
    decode_share: float
    total_share: float
    ttft_times: float
    joules_per_token: float | None


def power_caps(search: Search, plan: Plan) -> Iterator[Capped]:
    """Each cap from 90 % of board power down; nothing without GPUs whose power is known, and for
    serving engines, whose estimate knows no power limit yet."""
    specs = [gpu.spec for gpu in plan.machine.gpus]
    boards = [spec.board_power_w for spec in specs if spec is not None and spec.board_power_w]
    if not boards or not plan.layout.gpus or len(boards) != len(specs) or plan.layout.engine not in LOCAL:
        return
    base = plan.estimate
    for share in _CAPS:
        gpus = tuple(
            replace(gpu, power_limit_w=watts * share) for gpu, watts in zip(plan.machine.gpus, boards, strict=True)
        )
        machine = replace(plan.machine, gpus=gpus)
        try:
            request = Request(machine, plan.model, plan.weights, plan.layout, plan.workload)
            capped = speeds(request, search.calibration)
        except WellfedError:
            return
        watts = power(machine).total_w
        yield Capped(
            share, max(boards) * share, 1 / capped.tpot_s / base.decode_tok_s.value,
            capped.total_tok_s / base.total_tok_s.value, capped.ttft_s / base.ttft_s.value,
            None if watts is None else watts / capped.total_tok_s,
        )  # fmt: skip


def _money(value: float | None) -> str:
    return "0" if value is None else f"{value:.2f}" if value >= 0.1 else f"{value:.3g}"
