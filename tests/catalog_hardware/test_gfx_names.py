"""AMD cards of which a tool prints the architecture alone: known by their memory, or not at all."""

from __future__ import annotations

import pytest

from wellfed.catalog.gfx_names import _PRODUCTS
from wellfed.catalog.hardware import gpu_or_none, gpus


def test_every_product_is_in_the_catalogue() -> None:
    assert {product for products in _PRODUCTS.values() for product in products} <= {spec.id for spec in gpus()}


@pytest.mark.parametrize(
    ("name", "gib", "known"),
    [
        ("gfx942:sramecc+:xnack-", 191.98, "mi300x"),
        ("(gfx942:sramecc+:xnack-)", 255.98, "mi325x"),
        ("gfx1100", 23.98, "rx-7900-xtx"),
        ("gfx1201", 31.86, "ai-pro-r9700"),
        ("gfx908", None, "mi100"),
        ("gfx950", 287.98, None),  # two cards alike
        ("gfx1100", None, None),
        ("gfx1201", 15.92, None),
        ("gfx90a", 63.98, None),  # an MI210, or half an MI250
        ("gfx1234", 16.0, None),
    ],
)
def test_a_card_is_known_by_architecture_and_memory(name: str, gib: float | None, known: str | None) -> None:
    found = gpu_or_none(name, None if gib is None else round(gib * 2**30))
    assert (found and found.id) == known
