"""Findings: what a check or a watch says of one subject."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    """`skip` does not apply; `unknown` applies but could not be read, and never counts as pass."""

    PASS = "pass"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Cost:
    """The estimate of the repaired machine minus the estimate of this one; positive is what the fault costs."""

    decode_tok_s: float = 0.0
    prefill_tok_s: float = 0.0
    ttft_s: float = 0.0
    load_s: float = 0.0
    note: str = ""


@dataclass(frozen=True, slots=True)
class Finding:
    """One verdict on one subject (gpu0, node1, socket0, system ...)."""

    id: str
    verdict: Verdict
    subject: str
    why: str
    measured: str | None = None
    wanted: str | None = None
    fix: tuple[str, ...] = ()
    refs: tuple[str, ...] = ()
    cost: Cost | None = None
