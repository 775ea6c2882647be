"""Prices of cloud machines from `gpuhunt`, an optional package: what GPUs like a plan's cost an hour now."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import message

if TYPE_CHECKING:
    from wellfed.hardware.machine import Machine


@dataclass(frozen=True, slots=True)
class CloudOffer:
    """A machine that can be hired, in USD an hour."""

    provider: str
    location: str
    instance: str
    gpus: int
    price_per_hour: float
    spot: bool


def cloud_offers(machine: Machine, most: int = 5) -> tuple[CloudOffer, ...]:
    """The cheapest offers with the machine's GPUs, all machines together; empty where nobody lists such a card.

    Raises BadInput without gpuhunt, without GPUs, or where its catalogue cannot be reached.
    """
    try:
        import gpuhunt  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        hint = message("cloud.install", "pip install gpuhunt, or say the price: --price-hour 2.50")
        raise BadInput(
            message("cloud.missing", "cloud prices come from gpuhunt, which is not installed"), hint
        ) from error
    specs = [gpu.spec for gpu in machine.gpus if gpu.spec is not None]
    if not specs:
        raise BadInput(message("cloud.no-gpu", "a machine without GPUs has no offers to compare with"))
    name = _short(specs[0].name)
    try:
        items = gpuhunt.query(gpu_name=[name], min_gpu_count=len(specs), max_gpu_count=len(specs))
    except Exception as error:  # whatever a provider's catalogue raises
        hint = message("cloud.say", "say the price: --price-hour 2.50")
        raise BadInput(message("cloud.failed", "gpuhunt has no answer: {why}", why=str(error)), hint) from error
    rows = [_offer(item, machine.count) for item in items]
    return tuple(sorted(rows, key=lambda offer: offer.price_per_hour)[:most])


def _short(name: str) -> str:
    """gpuhunt's names: H100, RTX4090, A100."""
    words = [word for word in name.replace("GeForce", "").split() if word not in {"SXM5", "SXM4", "SXM", "PCIe", "NVL"}]
    name_words = [word for word in words if not word.lower().endswith("gb")]
    return "".join(name_words)


def _offer(item: Any, count: int) -> CloudOffer:
    return CloudOffer(
        str(item.provider), str(item.location), str(item.instance_name), int(item.gpu_count),
        float(item.price) * count, bool(getattr(item, "spot", False)),
    )  # fmt: skip
