"""A message in a language: its template from the gettext catalogue, its parameters as the message has them.

Catalogues are `locale/LANGUAGE/LC_MESSAGES/wellfed.mo`, compiled when the package is built; one is opened when the
first message in its language is rendered, and English needs none.
"""

from __future__ import annotations

from functools import reduce

from wellfed.message import COMMA, JOINED, LISTED, Message, Parameter, Sentence, message, sentence, values
from wellfed.messages import language as spoken
from wellfed.messages.catalogue import catalogue
from wellfed.messages.language import language
from wellfed.messages.spacing import filled


def words(text: Message | str, chosen: str | None = None) -> str:
    """The text in `chosen`, by default the language of whoever runs this; plain texts stay as they are."""
    if isinstance(text, Sentence):
        text = text.message
    elif isinstance(text, str):
        return text
    target = chosen or language()
    if target == "en":
        return str(text)
    return filled(template_of(text, target), values(text, lambda inner: words(inner, target)))


_SEPARATORS = (message("joined.semicolon", "; "), message("joined.comma", ", "), message("joined.colon", ": "))


def template_of(sentence: Message, target: str) -> str:
    """The template of a message in a language, the English one where its catalogue has none."""
    if sentence.id == JOINED:
        marks = ((mark.template, template_of(mark, target)) for mark in _SEPARATORS)
        return reduce(lambda text, mark: text.replace(*mark), marks, sentence.template)
    if sentence.id == LISTED:
        return sentence.template.replace(COMMA.template, template_of(COMMA, target))
    entries = catalogue(spoken.LOCALE, target)
    if sentence.plural is None:
        return (entries and entries.template(sentence.id, sentence.template)) or sentence.template
    count = sentence.count or 0
    english = sentence.template if count == 1 else sentence.plural
    return (entries and entries.plural(sentence.id, sentence.template, sentence.plural, count)) or english


def phrase(id: str, template: str, **params: Parameter) -> str:
    """A message of the surfaces themselves (heads, labels), rendered at once."""
    return words(message(id, template, **params))


def tell(id: str, template: str, /, **params: object) -> str:
    """A sentence of the surfaces themselves, rendered at once; written like an f-string's text (`{share:.0%}`)."""
    return words(sentence(id, template, **params))
