"""Reading a config's values: present, whole, positive and of a sane size, or one clear error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from wellfed.errors import BadInput
from wellfed.models.model import Layer
from wellfed.models.tensor import Tensor

MOST = 1 << 24  # no width, head count or vocabulary of a real model is beyond
MOST_CONTEXT = 1 << 33
MOST_LAYERS = 2048


@dataclass(frozen=True, slots=True)
class Shape:
    """What a builder finds: the layers, and what lies outside them."""

    layers: tuple[Layer, ...]
    tied: bool = False
    mtp_layers: tuple[Layer, ...] = ()
    extra: tuple[Tensor, ...] = ()


@dataclass(frozen=True, slots=True)
class Config:
    """A mapping with checked access; `kind` is its model_type."""

    values: Mapping[str, object]
    kind: str

    def find(self, *keys: str) -> object:
        """The first of `keys` that is present and not null, else None."""
        return next((self.values[key] for key in keys if self.values.get(key) is not None), None)

    def whole(self, *keys: str, default: int | None = None, least: int = 1) -> int:
        """A whole number from `least` up. Raises BadInput when missing without default, or impossible."""
        value = self.find(*keys)
        if value is None:
            if default is None:
                raise BadInput(f"config of a {self.kind} model has no {keys[0]}", "is the file complete?")
            return default
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadInput(f"config: {keys[0]} is {repr(value)[:60]}, not a whole number")
        number = value
        most = MOST_CONTEXT if "position" in keys[0] or "window" in keys[0] else MOST
        if not least <= number <= most:
            raise BadInput(f"config: {keys[0]} is {number:.3g}, outside {least} to {most}")
        return number

    def count(self, *keys: str, default: int = 0) -> int:
        """A whole number from 0 up, `default` when absent."""
        return self.whole(*keys, default=default, least=0)

    def flag(self, key: str, default: bool = False) -> bool:
        """A truth value."""
        value = self.values.get(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise BadInput(f"config: {key} is {str(value)[:60]!r}, not true or false")
        return value

    def optional(self, *keys: str) -> int | None:
        """A positive whole number, or None when absent or null."""
        return None if self.find(*keys) is None else self.whole(*keys)

    @property
    def layers(self) -> int:
        """How many layers there are."""
        number = self.whole("num_hidden_layers", "n_layer", "num_layers")
        if number > MOST_LAYERS:
            raise BadInput(f"config: {number} layers, more than {MOST_LAYERS}")
        return number

    def per_layer(self, key: str) -> Sequence[object] | None:
        """A list with one entry a layer, or None; a list that is too short is an error."""
        value = self.values.get(key)
        if not isinstance(value, list | tuple):
            return None
        if len(value) < self.layers:
            raise BadInput(f"config: {key} has {len(value)} entries for {self.layers} layers")
        return value

    def divided(self, total: int, parts: int, what: str) -> int:
        """total / parts where that must be whole."""
        if total % parts:
            raise BadInput(f"config: {what}: {total} does not divide into {parts}")
        return total // parts
