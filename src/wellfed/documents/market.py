"""Whole machines for a model, as JSON: the document of `wellfed plan --buy --json`."""

from __future__ import annotations

from typing import Any

from wellfed.documents.answers import plan_json, which_cpu_json
from wellfed.documents.machine_line import machine_line
from wellfed.planner.cooling import cooling_words
from wellfed.planner.market import Market
from wellfed.planner.sensitivity import Sensitivity

SCHEMA = "wellfed.market/1"


def market_json(market: Market) -> dict[str, Any]:
    """The offers with their plans."""
    return {
        "schema": SCHEMA,
        "machines": market.machines,
        "feasible": market.feasible,
        "ranked_by": market.ranked_by and market.ranked_by.to_dict(),
        "currency": market.currency or None,
        "offers": [
            {
                "machine": offer.machine.name,
                "parts": machine_line(offer.machine),
                "processors": [socket.cpu.name if socket.cpu else None for socket in offer.machine.sockets],
                "memory_bytes": offer.machine.memory_bytes,
                "cooling": (said := cooling_words(offer.machine)) and said.to_dict(),
                "power_w": offer.power_w,
                "price": offer.price,
                "price_reason": offer.price_reason or None,
                "cpu": None if offer.cpu is None else which_cpu_json(offer.cpu),
                "plan": plan_json(offer.plan),
            }
            for offer in market.offers
        ],
        "nearest": market.nearest
        and {
            "machine": market.nearest.machine.name,
            "price": market.nearest.price,
            "power_w": market.nearest.power_w,
        },
        "sensitivities": [sensitivity_json(one) for one in market.weakest],
    }


def sensitivity_json(one: Sensitivity) -> dict[str, Any]:
    """One part's worth."""
    names = ("part", "factor", "decode_gain", "total_gain", "ttft_gain")
    return {name: getattr(one, name) for name in names}
