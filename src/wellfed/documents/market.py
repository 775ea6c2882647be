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
    """The document of `wellfed plan --buy --json`."""
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
                "cooling": (cooling := cooling_words(offer.machine)) and cooling.to_dict(),
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
        "sensitivities": [sensitivity_json(sensitivity) for sensitivity in market.weakest],
    }


def sensitivity_json(sensitivity: Sensitivity) -> dict[str, Any]:
    """How much the speed gains where one part is `factor` times as good."""
    return {
        "part": sensitivity.part,
        "factor": sensitivity.factor,
        "decode_gain": sensitivity.decode_gain,
        "total_gain": sensitivity.total_gain,
        "ttft_gain": sensitivity.ttft_gain,
    }
