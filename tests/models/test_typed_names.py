"""Names as people type them in 2026, with what they are: hub ids, tags, file names, nicknames, models that are none.

A line of typed_names.txt: the name, then its billions of parameters (several where people count towers or embeddings
differently), `!lm` for what is no language model, `!` for what no catalogue may know.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from samples import few
from wellfed.resolution import Resolved, resolve

LINES = Path(__file__).with_name("typed_names.txt").read_text(encoding="utf-8").splitlines()
_ROUNDING, _LEAST = 0.04, 0.02  # of published counts; billions


@pytest.mark.parametrize("line", few(LINES, 12))
def test_a_typed_name_is_understood_or_refused_by_its_kind(line: str) -> None:
    name, verdict = line.split(" | ")
    (answer,) = resolve([name])
    if verdict.startswith("!"):
        assert not isinstance(answer, Resolved), answer.id
        assert verdict == "!" or answer.kind == "not-a-language-model"
        return
    assert isinstance(answer, Resolved), answer.message
    counted = [count / 1e9 for count in (answer.parameters, answer.total_parameters) if count]
    wanted = [float(count) for count in verdict.split()]
    assert any(abs(count - want) <= _ROUNDING * want + _LEAST for count in counted for want in wanted), answer.id
