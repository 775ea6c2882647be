"""A plan's answer as JSON: the documents of `wellfed plan --json`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wellfed.engines.versions import CURRENT
from wellfed.frozen import asdict, replace
from wellfed.nouns.estimate import DeviceMemory, Quantity, Start, Term
from wellfed.nouns.plan import Plan, Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory import cache_tokens
from wellfed.planner.kinds import describe, kind_of
from wellfed.planner.money import NOTHING_PAID, Rates, money, power_caps
from wellfed.planner.ranking import NearMiss
from wellfed.planner.replicas import replicas
from wellfed.planner.search import meets_targets, missed_targets
from wellfed.planner.start import starts_of
from wellfed.planner.tiers import tiers

if TYPE_CHECKING:
    from wellfed.planner.answer import Answer
    from wellfed.planner.host_cost import HostCost
    from wellfed.planner.sweep import MostUsers
    from wellfed.planner.verdict import Verdict
    from wellfed.planner.which_cpu import HostChoice, WhichCpu
    from wellfed.verbs.from_command import AsItIs  # reads compose files and processes: not for every plan
    from wellfed.verbs.next_steps import NextSteps, Question

SCHEMA = "wellfed.plan/1"
FROM_COMMAND_SCHEMA = "wellfed.from-command/1"


def answer_json(answer: Answer, top: int, question: Question, rates: Rates = NOTHING_PAID) -> dict[str, Any]:
    """The answer with its best `top` plans of different kinds."""
    search, ranking = answer.search, answer.ranking
    copies = None if ranking.best is None else replicas(search, ranking.best)
    return {
        "schema": SCHEMA,
        "machine": {"name": search.machine.name, "origin": search.machine.origin.value},
        "model": {
            "id": search.model.id,
            "parameters": search.model.parameters,
            "active_parameters": search.model.active_parameters,
        },
        "workload": workload_json(search.workload),
        "objective": search.goal.objective.value,
        "considered": ranking.considered,
        "drafting": None if ranking.drafting is None else ranking.drafting.to_dict(),
        "meets_targets": None if ranking.best is None else meets_targets(ranking.best),
        "verdict": _verdict_json(answer.verdict),
        "plans": [
            {**plan_json(plan), "money": _money_json(plan, rates), **steps_json(question.steps(plan))}
            for plan in ranking.best_of_each_kind()[:top]
        ],
        "refused": [
            {"what": refusal.subject, "reason": refusal.reason, "hint": refusal.hint} for refusal in ranking.refused
        ],
        "near_miss": None if ranking.near_miss is None else _near_miss_json(answer, ranking.near_miss, question),
        "upgrades": [
            {"change": upgrade.change, "total_tok_s_gain": _finite(upgrade.gain), "plan": plan_json(upgrade.plan)}
            for upgrade in answer.upgrades
        ],
        "power_caps": [] if ranking.best is None else [asdict(row) for row in power_caps(search, ranking.best)],
        "replicas": None if copies is None else {**asdict(copies), "message": copies.sentence().to_dict()},
        "host": None if answer.host is None else host_json(answer.host),
        "assumptions": [asdict(assumption) for assumption in answer.assumptions],
    }


def workload_json(load: Workload) -> dict[str, Any]:
    """What is asked; pictures by count, size and tokens."""
    pictures = load.pictures
    return {
        **asdict(replace(load, pictures=None)),
        "pictures": None
        if pictures is None or not pictures.count
        else {
            "count": pictures.count,
            "width": pictures.width or None,
            "height": pictures.height or None,
            "tokens_each": pictures.seen.tokens,
            "patches_each": pictures.seen.patches or None,
            "family": None if pictures.sight is None else pictures.sight.id,
            "source": None if pictures.sight is None else pictures.sight.source,
        },
    }


def _verdict_json(verdict: Verdict) -> dict[str, Any]:
    return {
        "kind": verdict.kind and verdict.kind.value,
        "why": verdict.why,
        "reasons": [reason.to_dict() for reason in verdict.reasons],
    }


def _near_miss_json(answer: Answer, miss: NearMiss, question: Question) -> dict[str, Any]:
    """The layout that misses by least, and the levers that would make something fit."""
    return {
        "layout": _layout_json(miss.layout),
        "device": miss.device,
        "missing_bytes": miss.missing_bytes,
        "memory": [device_json(device) for device in miss.memory.devices],
        "levers": [
            {
                "kind": lever.kind.value,
                "change": str(lever.change),
                "message": lever.change.to_dict(),
                "plan": {
                    **plan_json(lever.plan),
                    "model": lever.plan.model.id,
                    **steps_json(question.way_out(lever)),
                },
            }
            for lever in answer.levers
        ],
    }


def most_users_json(most: MostUsers | None) -> dict[str, Any] | None:
    """How many users keep the targets, with the plan; None where not even one does."""
    if most is None:
        return None
    return {"users": most.users, "at_least": most.at_least, "plan": plan_json(most.plan)}


def as_it_is_json(read: AsItIs) -> dict[str, Any]:
    """A command line estimated as it is, and improved."""
    best = read.better.ranking.best
    return {
        "schema": FROM_COMMAND_SCHEMA,
        "engine": read.command.engine.value,
        "model": read.plan.model.id,
        "as_it_is": plan_json(read.plan),
        "improved": None if best is None else plan_json(best),
        "changes": [change.to_dict() for change in read.changes],
    }


def host_json(cost: HostCost) -> dict[str, Any]:
    """What the CPU costs the best plan: shares of the speed behind the fastest host."""
    return {
        "single_thread_ratio": cost.ratio,
        "unhindered_ratio": cost.speed.unhindered,
        "losses": [{"cause": cause.value, "left": share_left} for cause, share_left in cost.speed.losses],
        "fastest": {"id": cost.fastest.id, "name": cost.fastest.name, "single_thread_ratio": cost.fastest_ratio},
        "total_tok_s_share": cost.total_tok_s_share,
        "decode_tok_s_share": cost.decode_tok_s_share,
        "ttft_times": cost.ttft_times,
        "message": cost.sentence().to_dict(),
    }


def which_cpu_json(choice: WhichCpu) -> dict[str, Any]:
    """The CPU to put the GPUs behind, the best of all, and the next weaker one."""
    return {
        "pick": _choice_json(choice.pick),
        "best": _choice_json(choice.best),
        "next_weaker": None if choice.weaker is None else _choice_json(choice.weaker),
        "compared": choice.compared,
        "by_price": choice.priced,
        "messages": [line.to_dict() for line in choice.sentences()],
    }


def _choice_json(choice: HostChoice) -> dict[str, Any]:
    return {
        "id": choice.cpu.id,
        "name": choice.cpu.name,
        "sockets": choice.sockets,
        "cores": choice.cpu.cores * choice.sockets,
        "channels": choice.channels,
        "lanes": list(choice.lanes),
        "total_tok_s_share": choice.total_tok_s_share,
        "ttft_times": choice.ttft_times,
        "price": choice.price,
    }


def steps_json(steps: NextSteps) -> dict[str, Any]:
    """What to type, and what is fetched: names and sizes are by rule unless `exact`."""
    files = steps.downloads.files if steps.downloads else ()
    return {
        "next": [{"what": step.purpose.to_dict()["text"], "command": step.command} for step in steps.steps],
        "downloads": [
            {"repository": steps.downloads.repository, "file": name, "bytes": size, "exact": steps.downloads.exact}
            for name, size in files
            if steps.downloads
        ],
    }


def _money_json(plan: Plan, rates: Rates) -> dict[str, Any]:
    costs = money(plan, rates)
    row = asdict(costs) | {"per_million_output_tokens": costs.per_million}
    return row | {"break_even_share": costs.break_even_share and _finite(costs.break_even_share)}


def _finite(value: float) -> float | None:
    return None if value == float("inf") else value


def plan_json(plan: Plan) -> dict[str, Any]:
    """A plan with its ledgers of memory and time, as `--json` prints it."""
    estimate = plan.estimate
    return {
        "layout": _layout_json(plan.layout),
        "placement": kind_of(plan.layout).value,
        "description": describe(plan.layout),
        "engine_version": plan.layout.version or CURRENT[plan.layout.engine],
        "concurrency": plan.workload.concurrency,
        "context": plan.workload.context,
        "fits": estimate.memory.fits,
        "memory": [device_json(device) for device in estimate.memory.devices],
        "max_sequences": estimate.memory.max_sequences,
        "max_context": estimate.memory.max_context,
        "cache_tokens": _cache_tokens(plan),
        "ttft_s": quantity_json(estimate.ttft_s),
        "tpot_s": quantity_json(estimate.tpot_s),
        "decode_tok_s": quantity_json(estimate.decode_tok_s),
        "prefill_tok_s": quantity_json(estimate.prefill_tok_s),
        "total_tok_s": quantity_json(estimate.total_tok_s),
        "running": estimate.running,
        "ttft_p99_s": estimate.ttft_p99_s,
        "tpot_p99_s": estimate.tpot_p99_s,
        "idle_gpus": len(plan.machine.gpus) * plan.machine.count - plan.layout.gpus,
        "load_s": estimate.load_s,
        "starts": [_start_json(start) for start in starts_of(plan)],
        "limited_by": estimate.limited_by,
        "cache_tiers": [asdict(tier) for tier in tiers(plan)],
        "meets_targets": meets_targets(plan),
        "missed": [{"target": missed.target, "by": missed.by} for missed in missed_targets(plan)],
        "decode": [_term(term) for term in estimate.decode],
        "prefill": [_term(term) for term in estimate.prefill],
        "assumptions": [asdict(assumption) for assumption in estimate.assumptions],
        "calibration": estimate.calibration,
    }


def _cache_tokens(plan: Plan) -> float | None:
    """Tokens of cache of one replica, of engines that fill a pool with it."""
    if plan.layout.engine.is_local or not plan.layout.gpus:
        return None
    return cache_tokens(Request(plan.machine, plan.model, plan.weights, plan.layout, plan.workload))


def _layout_json(layout: Any) -> dict[str, Any]:
    return {name: value for name, value in asdict(layout).items() if value is not None}


def device_json(device: DeviceMemory) -> dict[str, Any]:
    return {
        "device": device.device,
        "capacity_bytes": device.capacity_bytes,
        "free_bytes": device.free_bytes,
        "needed_bytes": device.needed_bytes,
        "spare_bytes": device.spare_bytes,
        "terms": [{"name": term.name, "bytes": term.bytes, "note": term.note} for term in device.terms],
    }


def quantity_json(quantity: Quantity) -> dict[str, float]:
    return {"value": quantity.value, "low": quantity.low, "high": quantity.high}


def _start_json(start: Start) -> dict[str, Any]:
    return {
        "source": start.source.value,
        "ready_s": quantity_json(start.ready_s),
        "terms": [_term(term) for term in start.terms],
    }


def _term(term: Term) -> dict[str, Any]:
    return {"name": term.name, "seconds": term.seconds, "limited_by": term.limited_by, "device": term.device}
