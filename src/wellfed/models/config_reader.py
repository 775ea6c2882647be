"""Reading a config's values: present, whole, positive and of a sane size, or one clear error."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import field

from wellfed.errors import BadInput
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.models.model import Layer
from wellfed.models.tensor import Tensor
from wellfed.models.values import SIZE_GIVING, is_given, names_of

MOST = 1 << 24  # no width, head count or vocabulary of a real model is beyond
MOST_CONTEXT = 1 << 33
MOST_LAYERS = 2048


@dataclass(frozen=True, slots=True)
class Shape:
    """What a builder finds: the layers, and what lies outside them.

    `mtp_copies`: the MTP layers' files repeat embedding and head. `mtp_extra` are their tensors beyond a layer's own.
    """

    layers: tuple[Layer, ...]
    tied: bool = False
    mtp_layers: tuple[Layer, ...] = ()
    extra: tuple[Tensor, ...] = ()
    mtp_copies: bool = False
    notes: tuple[str, ...] = ()  # what was assumed


@dataclass(frozen=True, slots=True)
class Config:
    """A mapping with checked access by the vocabulary of `values`; `kind` is its model_type.

    `read_keys` collects the names that a builder asked for, so that unknown keys are told from the others.
    """

    values: Mapping[str, object]
    kind: str
    read_keys: set[str] = field(default_factory=set, compare=False)

    def find(self, *keys: str) -> object:
        """The first of `keys`, under any of its names, that is present and not null, else None."""
        for key in keys:
            self.read_keys.add(key)
            for name in names_of(key):
                if self.values.get(name) is not None:
                    return self.values[name]
        return None

    def knows(self, *keys: str) -> None:
        """Note that `keys` were thought of, where they change nothing."""
        self.read_keys.update(keys)

    def unread(self) -> tuple[str, ...]:
        """Size-giving names that are given and that nobody asked for."""
        return tuple(name for name in SIZE_GIVING if name not in self.read_keys and is_given(self.values, name))

    def integer(self, *keys: str, default: int | None = None, least: int = 1) -> int:
        """A whole number from `least` up. Raises BadInput when missing without default, or impossible."""
        value = self.find(*keys)
        if value is None:
            if default is None:
                raise BadInput(
                    sentence(
                        "config-reader.config-model",
                        "config of a {kind} model has no {keys}",
                        kind=self.kind,
                        keys=keys[0],
                    ),
                    sentence("config-reader.file-complete", "is the file complete?"),
                )
            return default
        return self.checked(value, keys[0], least)

    def checked(self, value: object, key: str, least: int = 1) -> int:
        """`value` as a whole number from `least` up to what real models have. Raises BadInput."""
        if isinstance(value, float) and value.is_integer():
            value = int(value)
        if isinstance(value, bool) or not isinstance(value, int):
            raise BadInput(
                sentence(
                    "config-reader.config-whole-number",
                    "config: {key} is {value}, not a whole number",
                    key=key,
                    value=repr(value)[:60],
                )
            )
        most = MOST_CONTEXT if "position" in key or "window" in key or key.startswith("ngram_vocab_size_b") else MOST
        if not least <= value <= most:
            raise BadInput(
                sentence(
                    "config-reader.config-outside",
                    "config: {key} is {value:.3g}, outside {least} to {most}",
                    key=key,
                    value=float(value),
                    least=least,
                    most=most,
                )
            )
        return value

    def count(self, *keys: str, default: int = 0) -> int:
        """A whole number from 0 up, `default` when absent."""
        return self.integer(*keys, default=default, least=0)

    def flag(self, key: str, default: bool = False) -> bool:
        """The truth value under `key`; `default` where there is none."""
        value = self.find(key)
        if value is None:
            return default
        if not isinstance(value, bool):
            raise BadInput(
                sentence(
                    "config-reader.config-true-false",
                    "config: {key} is {value!r}, not true or false",
                    key=key,
                    value=str(value)[:60],
                )
            )
        return value

    def optional(self, *keys: str) -> int | None:
        """A positive whole number, or None when absent, null or 0."""
        return self.integer(*keys) if self.find(*keys) else None

    def mapping(self, key: str) -> Mapping[str, object]:
        """A nested mapping, empty when absent."""
        value = self.find(key)
        return value if isinstance(value, Mapping) else {}

    def inner(self, key: str) -> Config:
        """A nested mapping to read in the same way."""
        return Config(self.mapping(key), self.kind)

    @property
    def layers(self) -> int:
        """How many layers there are."""
        number = self.integer("num_hidden_layers")
        if number > MOST_LAYERS:
            raise BadInput(
                sentence(
                    "config-reader.config-layers-more",
                    "config: {number} layers, more than {most_layers}",
                    number=number,
                    most_layers=MOST_LAYERS,
                )
            )
        return number

    def per_layer(self, key: str) -> Sequence[object] | None:
        """A list with one entry a layer; None where there is none or it is empty. One that is too short is an error."""
        value = self.find(key)
        if not isinstance(value, list | tuple) or not value:
            return None
        if len(value) < self.layers:
            raise BadInput(
                sentence(
                    "config-reader.config-entries",
                    "config: {key} has {count} entries for {layers} layers",
                    key=key,
                    count=len(value),
                    layers=self.layers,
                )
            )
        return value

    def at(self, key: str, index: int, default: int | None = None, least: int = 1) -> int:
        """A whole number that is given once, or once a layer."""
        listed = self.per_layer(key)
        return (
            self.integer(key, default=default, least=least)
            if listed is None
            else self.checked(listed[index], key, least)
        )

    def divided(self, total: int, parts: int, parameter: str) -> int:
        """total / parts where that must be whole."""
        if total % parts:
            raise BadInput(
                sentence(
                    "config-reader.config-does-divide",
                    "config: {what}: {total} does not divide into {parts}",
                    what=parameter,
                    total=total,
                    parts=parts,
                )
            )
        return total // parts
