"""Messages are values: a stable id, an English template and typed parameters; words come at the edge.

Nothing decides by a message's text. `str(message)` is the English text; `wellfed.messages` puts it into other
languages. An extractor finds every call of `message` and `counted` (id = context, template = message).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TypeAlias

from wellfed.frozen import dataclass
from wellfed.units import format_bandwidth, format_bytes, format_rate, format_seconds

Parameter: TypeAlias = "str | int | float | Amount | Message | Listing | Number | None"
Translate: TypeAlias = "Callable[[Message], str]"


@dataclass(frozen=True, slots=True)
class Amount:
    """A quantity in a base unit, so that each language can write it its own way. None = unknown, written `?`.

    Units: B, B/s, s, tok/s, req/s, W, J, % (0.12 is 12 %), x (a factor), and "" for a bare number.
    """

    value: float | None
    unit: str


@dataclass(frozen=True, slots=True)
class Number:
    """A number that its template writes: `{share:.0%}`."""

    value: int | float


@dataclass(frozen=True, slots=True)
class Listing:
    """Several parameters as one enumeration."""

    items: tuple[Parameter, ...]


@dataclass(frozen=True, slots=True)
class Message:
    """One sentence. `template` names its parameters in braces; `plural` is the template for counts other than one.

    Equal ids have equal templates everywhere. `arguments` in the order they were given.
    """

    id: str
    template: str
    arguments: tuple[tuple[str, Parameter], ...] = ()
    plural: str | None = None
    count: int | None = None

    @property
    def params(self) -> Mapping[str, Parameter]:
        """The parameters by name."""
        return dict(self.arguments)

    def __str__(self) -> str:
        """In English."""
        return render(self)

    def to_dict(self) -> dict[str, object]:
        """For `--json`: id, parameters as numbers and text, and the English text."""
        return {"id": self.id, "params": {k: _plain(v) for k, v in self.arguments}, "text": str(self)}


def message(id: str, template: str, **params: Parameter) -> Message:
    """A sentence with its parameters: `message("plan.spare", "{device} has {spare} to spare", ...)`."""
    return Message(id, template, tuple(params.items()))


COMMA = message("list.comma", ", ")


def counted(id: str, singular: str, plural: str, count: int, **params: Parameter) -> Message:
    """A sentence that depends on a number, which both templates may name `{count}`."""
    return Message(id, singular, (("count", count), *params.items()), plural, count)


class Sentence(str):
    """A message's English text that is still its message: text to whoever compares, counts or stores it.

    For reasons, remedies and notes that travel as text: `wellfed.messages.words` finds the message behind it.
    """

    id: str
    template: str
    params: dict[str, object]
    made_of: Message | None = None

    @property
    def message(self) -> Message:
        """The message that the text was made of."""
        return self.made_of or Message(
            self.id, self.template, tuple((name, _parameter(value)) for name, value in self.params.items())
        )

    def __add__(self, text: str) -> Sentence:
        """Both, one after the other."""
        return joined("", (self, text))

    def __radd__(self, text: str) -> Sentence:
        """As `__add__`."""
        return joined("", (text, self))

    def __reduce__(self) -> tuple[object, ...]:
        """For copies and other processes: made again from its message."""
        return (as_text, (self.made_of,)) if self.made_of else (_sentence_from, (self.id, self.template, self.params))


def sentence(id: str, template: str, /, **params: object) -> Sentence:
    """A message as text: `sentence("check.smt.off", "SMT is off on {cpus} CPUs", cpus=4)`.

    Its template is written like an f-string's text: numbers as Python writes them, or by a format given with the name
    (`{share:.0%}`, `{name!r}`). Estimates make thousands of them: the message itself is made when somebody asks.
    """
    result = Sentence(template.format_map(params))
    result.id, result.template, result.params = id, template, params
    return result


def as_text(message: Message) -> Sentence:
    """A message as text that is still that message."""
    result = Sentence(str(message))
    result.id, result.template, result.params = message.id, message.template, dict(message.arguments)
    result.made_of = message
    return result


def message_of(text: str | Message) -> Message | None:
    """The message behind a text; None where it is no sentence of ours."""
    if isinstance(text, Sentence):
        return text.message
    return text if isinstance(text, Message) else None


JOINED, LISTED = "joined", "listed"


def joined(separator: str, items: Iterable[object]) -> Sentence:
    """Texts, sentences among them, in one: what `separator.join(items)` gives, each still in every language."""
    return _sequence(JOINED, separator, items)


def listed(items: Iterable[object]) -> Sentence:
    """Names, one after the other: what `", ".join(items)` gives, enumerated as each language does."""
    return _sequence(LISTED, COMMA.template, items)


def _sequence(id: str, separator: str, items: Iterable[object]) -> Sentence:
    params = {f"item{number}": item for number, item in enumerate(items)}
    return sentence(id, separator.join(f"{{{name}}}" for name in params), **params)


def _sentence_from(id: str, template: str, params: dict[str, object]) -> Sentence:
    return sentence(id, template, **params)


def _parameter(value: object) -> Parameter:
    if isinstance(value, (str, Message, Amount, Listing)):
        return value
    if isinstance(value, Exception):
        return told_by(value)
    return Number(value) if type(value) in (int, float) else str(value)  # type: ignore[arg-type]


def told_by(error: Exception) -> str:
    """What an error says; where that is a sentence of ours, it stays one."""
    text = getattr(error, "message", error.args[0] if error.args else "")
    return as_text(text) if isinstance(text, Message) else text if isinstance(text, Sentence) else str(error)


def render(message: Message, template: str | None = None, words: Translate | None = None) -> str:
    """The text, from `template` (a translation) or the English one; messages inside it by `words`."""
    if template is None:
        singular = message.plural is None or message.count == 1
        template = message.template if singular else message.plural or message.template
    return template.format_map(values(message, words or str))


def values(message: Message, words: Translate) -> dict[str, object]:
    """The parameters as a template takes them; messages among them by `words`."""
    return {name: _field(value, words) for name, value in message.arguments}


def _field(value: Parameter, words: Translate) -> object:
    return value.value if isinstance(value, Number) else written(value, words)


def written(value: Parameter, words: Translate = str) -> str:
    """One parameter as text; `words` puts messages into a language."""
    match value:
        case None:
            return "?"
        case Message():
            return words(value)
        case Sentence():
            return words(value.message)
        case Number():
            return str(value.value)
        case Listing():
            return words(COMMA).join(written(item, words) for item in value.items)
        case Amount():
            return format_amount(value)
        case bool() | str():
            return str(value)
        case int():
            return f"{value:,}"
        case _:
            return f"{value:.3g}" if value < 1e6 else f"{value:,.0f}"


def format_amount(amount: Amount) -> str:
    """`3.20 GiB`, `412 ms`, `17.1 tok/s`, `12 %`, `x1.03`; `?` where unknown."""
    value = amount.value
    if value is None:
        return "?"
    match amount.unit:
        case "B":
            return format_bytes(value)
        case "B/s":
            return format_bandwidth(value)
        case "s":
            return format_seconds(value)
        case "%":
            return f"{value * 100:.3g} %"
        case "x":
            return f"x{value:.3g}"
        case unit:
            return f"{format_rate(value)} {unit}".rstrip()


def _plain(value: Parameter) -> object:
    match value:
        case Amount(number, unit):
            return {"value": number, "unit": unit}
        case Number(number):
            return number
        case Listing(items):
            return [_plain(item) for item in items]
        case Message():
            return value.to_dict()
        case _:
            return value
