"""Templates and what they may use."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from wellfed.messages.language import language
from wellfed.messages.terms import limit_words, term_words
from wellfed.messages.words import words
from wellfed.serve.page.labels import label
from wellfed.serve.page.state import query_string
from wellfed.serve.worker import Answer
from wellfed.units import format_bytes, format_rate, format_seconds


@cache
def environment() -> Environment:
    """The templates; everything is escaped, and a name that is not there is an error."""
    templates = Environment(
        loader=FileSystemLoader(Path(__file__).with_name("templates")), autoescape=True, undefined=StrictUndefined,
        trim_blocks=True, lstrip_blocks=True,
    )  # fmt: skip
    templates.globals.update(t=label, query_string=query_string)
    templates.filters.update(
        words=words, bytes=format_bytes, rate=format_rate, seconds=format_seconds, limit=limit_words, term=term_words
    )
    return templates


def html(template: str, status: int = 200, **values: Any) -> Answer:
    """A page or a part of one, as an answer whose code is the HTTP status."""
    text = environment().get_template(template).render(lang=language(), **values)
    return Answer(status, text)
