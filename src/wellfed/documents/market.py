"""Whole machines for a model, as JSON: the document of `wellfed plan --buy --json`."""

from __future__ import annotations

from typing import Any

from wellfed.documents.answers import plan_json, which_cpu_json
from wellfed.documents.machine_line import machine_line
from wellfed.planner.market import Market
from wellfed.planner.sensitivity import Sensitivity

SCHEMA = "wellfed.market/1"


def market_json(market: Market) -> dict[str, Any]:
    """The offers with their plans."""
    return {
        "schema": SCHEMA,
        "machines": market.machines,
        "feasible": market.feasible,
        "offers": [
            {
                "machine": offer.machine.name,
                "parts": machine_line(offer.machine),
                "power_w": offer.power_w,
                "price": offer.price,
                "price_reason": offer.price_reason or None,
                "cpu": None if offer.cpu is None else which_cpu_json(offer.cpu),
                "plan": plan_json(offer.plan),
            }
            for offer in market.offers
        ],
        "sensitivities": [sensitivity_json(one) for one in market.weakest],
    }


def sensitivity_json(one: Sensitivity) -> dict[str, Any]:
    """One part's worth."""
    names = ("part", "factor", "decode_gain", "total_gain", "ttft_gain")
    return {name: getattr(one, name) for name in names}
