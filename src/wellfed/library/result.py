"""What every verb returns: a value that shows itself shortly, in a notebook as a table, to programs as JSON."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any, TypeAlias

Row: TypeAlias = Mapping[str, "str | int | float | bool | None"]

_MOST_ROWS = 50  # shown in a notebook


class Result(ABC):
    """An answer. `to_dict()` is the document of `--json`; `rows()` are flat, one dictionary a row, for `pandas`."""

    __slots__ = ()

    @abstractmethod
    def to_dict(self) -> dict[str, Any]:
        """The document that the command prints with `--json`."""

    @abstractmethod
    def flat(self) -> list[Row]:
        """The rows, their texts perhaps still messages."""

    def rows(self) -> list[Row]:
        """The answer as flat rows in base units, ready for `pandas.DataFrame(...)`; unknown values are None."""
        return [
            {name: str(value) if isinstance(value, str) else value for name, value in row.items()}
            for row in self.flat()
        ]

    @abstractmethod
    def summary(self) -> str:
        """The answer in one line."""

    def __repr__(self) -> str:
        """The one line, in angle brackets."""
        return f"<wellfed: {self.summary()}>"

    def _repr_html_(self) -> str:
        """The line and the rows as a table, for notebooks."""
        rows = self.rows()
        return f"<p><b>{_escaped(self.summary())}</b></p>{_table(rows[:_MOST_ROWS])}{_more_rows(len(rows))}"


def _table(rows: list[Row]) -> str:
    if not rows:
        return ""
    heads = "".join(f"<th>{_escaped(name)}</th>" for name in rows[0])
    lines = "".join(
        "<tr>" + "".join(f"<td>{_escaped(_cell(row[name]))}</td>" for name in rows[0]) + "</tr>" for row in rows
    )
    return f"<table><thead><tr>{heads}</tr></thead><tbody>{lines}</tbody></table>"


def _escaped(text: str) -> str:
    from html import escape

    return escape(text)


def _more_rows(count: int) -> str:
    return f"<p>{count - _MOST_ROWS} rows more</p>" if count > _MOST_ROWS else ""


def _cell(value: str | int | float | bool | None) -> str:
    match value:
        case None:
            return "?"
        case bool():
            return "yes" if value else "no"
        case float():
            return f"{value:,.0f}" if abs(value) >= 1e6 else f"{value:.4g}"
        case _:
            return str(value)
