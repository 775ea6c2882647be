"""How many users keep the targets, and the file that is sent to a colleague."""

from __future__ import annotations

import json
from html.parser import HTMLParser
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from wellfed.cli.main import cli
from wellfed.errors import Misuse
from wellfed.planner.sweep import over_context, over_users
from wellfed.verbs import planning

ON = ("--on", "2x a100 40gb, epyc 7543, 8x32gb ddr4-3200", "--engine", "vllm", "--quant", "int4")


def plan(*words: str) -> Result:
    return CliRunner().invoke(cli, ["plan", *words])


def most(tpot_ms: float) -> int:
    done = plan("qwen3-32b", *ON, "--tpot", str(tpot_ms), "--ttft", "5", "--max-users", "--json")
    found = json.loads(done.output)["max_users"]
    return 0 if found is None else int(found["users"])


def test_more_users_are_too_many() -> None:
    users = most(40)
    assert users >= 1

    def keeps(count: int) -> bool:
        done = plan("qwen3-32b", *ON, "--tpot", "40", "--ttft", "5", "-c", str(count), "--json")
        answer = json.loads(done.output)
        return any(not p["missed"] and (p["max_sequences"] or count) >= count for p in answer["plans"])

    done = plan("qwen3-32b", *ON, "--tpot", "40", "--ttft", "5", "--max-users", "--json")
    shown = json.loads(done.output)["max_users"]["plan"]  # another division may hold fewer and still rank first
    assert not shown["missed"] and shown["max_sequences"] >= users
    assert not keeps(users + max(2, users // 20))


def test_a_looser_target_never_allows_fewer() -> None:
    counts = [most(limit) for limit in (10, 30, 60)]
    assert counts == sorted(counts) and counts[0] < counts[-1]


def test_it_needs_a_target() -> None:
    refused = plan("qwen3-32b", *ON, "--max-users").exception
    assert isinstance(refused, Misuse) and refused.exit_code == 2


class Tags(HTMLParser):
    """Open tags, to see that all are closed, and every address that is named."""

    VOID = frozenset({"meta", "br", "rect", "circle", "polygon", "polyline"})

    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.addresses: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.add(tag)
        self.addresses += [value for name, value in attrs if name in {"src", "href"} and value]
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        if tag not in self.VOID:
            assert self.open.pop() == tag


def test_the_html_report_is_whole_and_asks_nobody(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    assert plan("qwen3-32b", *ON, "-c", "8", "--report", str(path)).exit_code == 0
    text = path.read_text(encoding="utf-8")
    tags = Tags()
    tags.feed(text)
    tags.close()
    assert tags.open == [] and tags.addresses == []
    assert {"svg", "table", "pre", "polyline"} <= tags.seen and "vllm serve" in text and "script" not in tags.seen


def test_what_does_not_fit_is_reported_too(tmp_path: Path) -> None:
    path = tmp_path / "report.html"
    done = plan(
        "qwen3-32b", "-q", "q8_0", "--on", "rtx 3060 12gb, ryzen 5 5600, 2x8gb ddr4-3200", "--report", str(path)
    )
    assert done.exit_code == 1 and "does not fit" in path.read_text(encoding="utf-8")


def test_the_markdown_report_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    assert plan("qwen3-32b", *ON, "--report", str(path)).exit_code == 0
    rows = [line for line in path.read_text(encoding="utf-8").splitlines() if line.startswith("| ")]
    assert len(rows) >= 3 and len({row.count("|") for row in rows}) == 1


def test_the_markdown_report_of_what_does_not_fit_has_ways_out_to_type(tmp_path: Path) -> None:
    path = tmp_path / "report.md"
    assert plan("deepseek-r1:671b", "--on", "rtx 3060 12gb", "--report", str(path)).exit_code == 1
    text = path.read_text(encoding="utf-8")
    head = text.index("what would fit")
    assert "    wellfed run" in text[head:] and "wellfed run" not in text[:head]


@pytest.mark.parametrize("name", ["x.pdf", "none/x.html"])
def test_a_report_that_cannot_be_is_one_error(tmp_path: Path, name: str) -> None:
    done = plan("qwen3-32b", *ON, "--report", str(tmp_path / name))
    assert done.exit_code != 0 and not list(tmp_path.iterdir())


def test_sweeps_go_the_right_way() -> None:
    options = planning.PlanOptions(on=ON[1], quantisations=("int4",))
    answer = planning.plan("qwen3-32b", options)
    best = answer.ranking.best
    assert best is not None
    rates = [point.decode_tok_s.value for point in over_context(answer.search, best)]
    totals = [point.total_tok_s.value for point in over_users(answer.search, best)]
    assert len(rates) > 1 and rates == sorted(rates, reverse=True), "a longer context is never faster"
    assert len(totals) > 1 and totals[-1] > totals[0], "users together get more than one"
