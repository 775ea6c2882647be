"""The whole answer to `plan`: ranking, verdict, upgrades."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellfed.catalog.parts_index import front_hosts
from wellfed.engines.models_run import why_not_listed
from wellfed.frozen import dataclass, replace
from wellfed.message import sentence
from wellfed.planner.host_cost import HostCost, host_cost
from wellfed.planner.ranking import Ranking
from wellfed.planner.search import Search
from wellfed.planner.upgrades import Upgrade, upgrades, with_host
from wellfed.planner.verdict import Verdict, verdict
from wellfed.provenance import Assumption

if TYPE_CHECKING:
    from wellfed.planner.levers import Lever


@dataclass(frozen=True, slots=True)
class Answer:
    """What was asked, and what came out."""

    search: Search
    ranking: Ranking
    verdict: Verdict
    upgrades: tuple[Upgrade, ...] = ()
    assumptions: tuple[Assumption, ...] = ()
    levers: tuple[Lever, ...] = ()  # where nothing fits: what would, least loss first
    host: HostCost | None = None  # of the best plan


def answer(search: Search, assumptions: tuple[Assumption, ...] = (), with_upgrades: bool = True) -> Answer:
    """Rank, judge, and ask what the next upgrade would buy."""
    ranking = search.run()
    bought = upgrades(search, ranking.best) if with_upgrades else ()
    host = _host(search, ranking) if with_upgrades else None
    if host is not None and host.counts:
        bought = with_host(bought, host)
    return Answer(search, ranking, verdict(ranking), bought, (*assumptions, *_unlisted(search)), host=host)


def _unlisted(search: Search) -> tuple[Assumption, ...]:
    """Engines that were named though their own lists do not have the model."""
    reason = sentence("answer.named", "planned since it was named")
    unlisted = ((engine, why_not_listed(engine, search.model)) for engine in search.goal.engines)
    return tuple(
        Assumption(sentence("answer.unlisted", "{engine}: {why}", engine=engine.value, why=why), reason, reading=True)
        for engine, why in unlisted
        if why is not None
    )


def _host(search: Search, ranking: Ranking) -> HostCost | None:
    """What the CPU costs the best plan that GPUs take part in: on CPUs alone the plan itself is that."""
    if ranking.best is None or not ranking.best.layout.gpus:
        return None
    return host_cost(ranking.best, search.calibration, front_hosts())


def with_way_out(answer: Answer) -> Answer:
    """The answer with its levers, where nothing fits."""
    if answer.ranking.plans:
        return answer
    from wellfed.planner.levers import levers

    return replace(answer, levers=levers(answer.search, answer.upgrades))
