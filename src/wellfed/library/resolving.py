"""`wellfed.resolve`: which models are meant by names."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from wellfed.frozen import dataclass
from wellfed.library import options
from wellfed.library.result import Result, Row
from wellfed.verbs import resolving

if TYPE_CHECKING:
    from wellfed.resolution import Refused, Resolved

HUBS = ("huggingface", "modelscope")
_FACTS = ("id", "name", "task", "parameters", "active_parameters", "context", "format", "weight_bytes", "how")


@dataclass(frozen=True, slots=True, repr=False)
class Understood(Result):
    """The answer of `resolve`, in the order of the names; a refusal is an answer too."""

    answers: tuple[Resolved | Refused, ...]

    def to_dict(self) -> dict[str, Any]:
        """The document of `wellfed resolve --json`."""
        from wellfed.resolution import to_json

        return to_json(self.answers)

    def flat(self) -> list[Row]:
        """One row a name; `refused` says why it is no model."""
        return [_row(asdict(answer)) for answer in self.answers]

    def summary(self) -> str:
        """Each name with what it is."""
        return "; ".join(f"{row['text']} is {row['id'] or '?'}" for row in self.rows())


def _row(answer: dict[str, Any]) -> dict[str, Any]:
    return {"text": answer["text"], **{name: answer.get(name) for name in _FACTS}, "refused": answer.get("message")}


def resolve(*names: str, hub: str | None = None) -> Understood:
    """What each name is understood as. No hub is asked unless `hub` names one ("huggingface", "modelscope")."""
    return Understood(resolving.resolve(names, None if hub is None else options.one_of(hub, HUBS, "hub")))
