"""Types of what `explain` answers: terms, and faults with what shows them at rest and at work."""

from __future__ import annotations

from typing import Literal

from typing_extensions import TypedDict


class Term(TypedDict):
    id: str
    names: dict[str, str]
    texts: dict[str, str]
    also: list[str]


class ExplainedRemedy(TypedDict):
    text: str
    safety: Literal["safe", "needs a restart", "by hand"]


class ExplainedCheck(TypedDict):
    id: str
    code: str
    title: str
    rule: str
    reads: str


class ExplainedDiagnosis(TypedDict):
    id: str
    title: str
    rule: str
    reads: str


class ExplainedFault(TypedDict):
    """`fault` is null for a symptom or a healthy limit; `why` is then why it is no fault."""

    fault: str | None
    title: str | None
    why: str | None
    remedies: list[ExplainedRemedy]
    priced: bool | None
    price: str | None
    checks: list[ExplainedCheck]
    diagnoses: list[ExplainedDiagnosis]


class GlossaryDocument(TypedDict):
    schema: Literal["wellfed.glossary/1"]
    terms: list[Term]
    faults: list[ExplainedFault]
