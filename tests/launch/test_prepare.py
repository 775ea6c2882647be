"""What is decided and refused before anything is started."""

from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wellfed.errors import BadInput, WellfedError
from wellfed.hardware.machine import Machine
from wellfed.launch import models, pages, state
from wellfed.launch.cores import idle_cores, running_threads, threads_now
from wellfed.launch.models import Download, choose_gguf, ensure_disk_has_room
from wellfed.launch.preflight import DoesNotFit
from wellfed.nouns.finding import Cost, Finding, Verdict
from wellfed.nouns.layout import Engine
from wellfed.verbs import checking, inputs, planning, running

NODE0 = "sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages"


@pytest.fixture(autouse=True)
def own_data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No calibration of the machine that tests run on, and no state of its user."""
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path / "state"))


def prepared(tiny: Path, **changes: object) -> running.Prepared:
    """A small launch."""
    fields: dict[str, object] = {"context": 512, "threads": 1}
    return running.prepare(str(tiny), running.RunOptions(**(fields | changes)))  # type: ignore[arg-type]


def test_the_estimate_is_of_what_is_started(tiny: Path) -> None:
    found = prepared(tiny, concurrency=3, context=1000)
    words = dict(zip(found.spec.argv, found.spec.argv[1:], strict=False))
    assert words["--parallel"] == "3"
    assert int(words["--ctx-size"]) == 3 * 1024  # a slot's context is rounded up to 256 cells
    assert words["--threads"] == "1" and found.plan.layout.threads == 1
    kv = next(t for d in found.plan.estimate.memory.devices for t in d.terms if t.name == "kv")
    assert kv.bytes == 3 * 1024 * 4 * 2 * 64 * 2 * 2  # slots, tokens, layers, heads, width, keys and values, F16
    assert found.spec.memory_bytes == found.plan.estimate.memory.devices[-1].needed_bytes


def test_an_engine_that_is_not_there_gives_way_to_one_that_is(tiny: Path) -> None:
    ranking = planning.plan(str(tiny), planning.PlanOptions()).ranking
    assert {plan.layout.engine for plan in ranking.plans} == {Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP}
    assert prepared(tiny).plan.layout.engine is Engine.LLAMA_CPP
    with pytest.raises(BadInput, match=r"ik_llama\.cpp"):
        prepared(tiny, engine="ik_llama.cpp")


def test_a_memory_limit_below_the_ledger_is_refused(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    here = inputs.machine()

    def limited(*_: object) -> Machine:
        return replace(here, os=replace(here.os, memory_limit_bytes=24 * 2**20, memory_used_by_cgroup_bytes=0))

    monkeypatch.setattr(inputs, "machine", limited)
    with pytest.raises(DoesNotFit, match=r"ram is .* short") as refused:
        prepared(tiny)
    assert refused.value.exit_code == 1 and refused.value.hint


@pytest.mark.parametrize("host", ["0.0.0.0", "192.0.2.1", "::", "example.org"])
def test_addresses_of_others_need_a_key(tiny: Path, host: str) -> None:
    with pytest.raises(BadInput, match="no API key"):
        prepared(tiny, host=host)
    assert prepared(tiny, host=host, api_key="k").spec.secrets
    assert prepared(tiny, host=host, insecure=True).spec.insecure


def test_missing_programs_are_named_with_a_hint(tiny: Path) -> None:
    with pytest.raises(BadInput, match="no program 'nowhere'"):
        prepared(tiny, program="nowhere")


def test_only_costly_findings_are_warned_of(tiny: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plan = prepared(tiny).plan
    rate = plan.estimate.decode_tok_s.value
    findings = tuple(
        Finding(name, verdict, "system", f"{name} is wrong", cost=cost)
        for name, verdict, cost in (
            ("dear", Verdict.FAIL, Cost(decode_tok_s=0.2 * rate)),
            ("cheap", Verdict.FAIL, Cost(decode_tok_s=0.01 * rate)),
            ("fine", Verdict.PASS, Cost(decode_tok_s=rate)),
            ("unpriced", Verdict.WARN, None),
        )
    )
    monkeypatch.setattr(checking, "check_plan", lambda plan: checking.Checked(plan.machine, findings))
    (line,) = running.costly_findings(plan)
    assert "dear is wrong" in line and "20%" in line and "wellfed check" in line


@given(st.integers(1, 256), st.floats(0, 256))
def test_threads_never_exceed_idle_cores_nor_the_plan(planned: int, idle: float) -> None:
    count = threads_now(planned, idle)
    assert 1 <= count <= planned
    assert count <= max(1, idle + 0.3)


def test_idle_cores_are_those_of_the_binding() -> None:
    def look() -> list[float]:
        return [0.0, 50.0, 100.0, 100.0]

    assert idle_cores((), look) == pytest.approx(1.5)
    assert idle_cores((0, 1), look) == pytest.approx(1.5)
    assert idle_cores((2, 3), look) == 0


def test_threads_that_want_a_core_are_counted_without_the_one_that_looks() -> None:
    looks = iter(["cpu 1\nprocs_running 4\nprocs_blocked 9\n", "procs_running 2\n"] * 10)
    assert running_threads(lambda: next(looks)) == pytest.approx(2.0)
    assert running_threads(lambda: "cpu 1 2 3\n") is None


def huge(root: Path, count: int = 5) -> Path:
    """A root with `count` pages reserved on node 0."""
    path = root / NODE0
    path.parent.mkdir(parents=True)
    path.write_text(f"{count}\n")
    return path


def test_huge_pages_are_added_and_given_back(tmp_path: Path) -> None:
    path = huge(tmp_path)
    with pages.reserved({0: 7}, tmp_path):
        assert path.read_text() == "12"
    assert path.read_text() == "5"


def test_huge_pages_that_the_kernel_does_not_find_are_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = huge(tmp_path)
    monkeypatch.setattr(pages, "_write", lambda path, count: path.write_text(str(min(count, 8))))
    with pytest.raises(WellfedError, match="gave 3 of 7"), pages.reserved({0: 7}, tmp_path):
        pytest.fail("it started")
    assert path.read_text() == "5"


def test_huge_pages_denied(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = huge(tmp_path)

    write = Path.write_text

    def denied(self: Path, text: str) -> None:
        if self == path:
            raise PermissionError(13, "Permission denied")
        write(self, text)

    monkeypatch.setattr(Path, "write_text", denied)
    with pytest.raises(WellfedError, match="may not reserve") as refused, pages.reserved({0: 7}, tmp_path):
        pytest.fail("it started")
    assert "--huge-pages" in str(refused.value.hint)
    monkeypatch.undo()
    assert path.read_text() == "5\n"


def killed_while_reserving(tmp_path: Path, moment: str) -> None:
    """A process that reserves 7 pages and is killed, at once (`moment`: before the write) or while it holds them."""
    code = f"""
import os, signal
from pathlib import Path
from wellfed.launch import pages
def die(*_): os.kill(os.getpid(), signal.SIGKILL)
if {moment!r} == "before": pages._write = die
with pages.reserved({{0: 7}}, Path({str(tmp_path)!r})): die()
"""
    assert subprocess.run([sys.executable, "-c", code], check=False, timeout=60).returncode == -signal.SIGKILL


@pytest.mark.parametrize(("moment", "given"), [("during", 7), ("before", 0)])
def test_huge_pages_of_a_killed_run_are_given_back(tmp_path: Path, moment: str, given: int) -> None:
    path = huge(tmp_path)
    killed_while_reserving(tmp_path, moment)
    assert int(path.read_text()) == 5 + given
    assert pages.release_left_behind() == given
    assert int(path.read_text()) == 5
    assert pages.release_left_behind() == 0


def test_huge_pages_of_a_run_that_lives_are_left_alone(tmp_path: Path) -> None:
    path = huge(tmp_path)
    with pages.reserved({0: 7}, tmp_path):
        assert pages.release_left_behind() == 0
        assert path.read_text() == "12"
    assert list(state.folder().iterdir()) == []


def test_huge_pages_of_others_stay(tmp_path: Path) -> None:
    path = huge(tmp_path)
    with pages.reserved({0: 7}, tmp_path):
        path.write_text("112")  # somebody adds a hundred
    assert path.read_text() == "105"


@pytest.mark.parametrize("libc", [("musl", "1.2"), ("glibc", "2.31"), ("", "")])
def test_huge_pages_that_malloc_cannot_use_are_refused(libc: tuple[str, str]) -> None:
    with pytest.raises(BadInput, match=r"need glibc 2\.35"):
        pages.ensure_usable(libc)


def test_huge_pages_are_told_to_the_engine(tiny: Path) -> None:
    found = prepared(tiny, huge_pages=True)
    assert "--no-mmap" in found.spec.argv and "glibc.malloc.hugetlb=2" in found.spec.command_line()
    late = next(t.bytes for d in found.plan.estimate.memory.devices for t in d.terms if t.late_bytes)
    assert found.spec.memory_bytes is not None
    assert sum(found.spec.huge_pages.values()) * 2 * 2**20 < found.spec.memory_bytes - late + 2**22


def test_no_huge_pages_at_all(tmp_path: Path) -> None:
    with pytest.raises(WellfedError, match="no huge pages here"), pages.reserved({0: 1}, tmp_path):
        pytest.fail("it started")


def test_downloads_are_held_against_the_disk_first(tmp_path: Path) -> None:
    ensure_disk_has_room(Download("a/b", (("x.gguf", 1),)), tmp_path)
    with pytest.raises(WellfedError, match="free, the model needs") as refused:
        ensure_disk_has_room(Download("a/b", (("x.gguf", 2**60),), "modelscope"), tmp_path)
    assert "MODELSCOPE_CACHE" in str(refused.value.hint)


@pytest.mark.parametrize(
    ("asked", "chosen"),
    [
        ("q4_k_m", ["M-Q4_K_M.gguf"]),
        ("q8_0", ["Q8_0/M-Q8_0-00001-of-00002.gguf", "Q8_0/M-Q8_0-00002-of-00002.gguf"]),
        ("ud-q2_k_xl", ["M-UD-Q2_K_XL.gguf"]),
        ("q5_k_m", []),
    ],
)
def test_files_of_a_quantisation(asked: str, chosen: list[str]) -> None:
    names = [
        "README.md", "M-Q4_K_M.gguf", "M-Q4_K_S.gguf", "mmproj-Q4_K_M.gguf", "Q8_0/M-Q8_0-00002-of-00002.gguf",
        "Q8_0/M-Q8_0-00001-of-00002.gguf", "M-UD-Q2_K_XL.gguf",
    ]  # fmt: skip
    assert [name for name, _ in choose_gguf([(name, 1) for name in names], asked)] == chosen


def test_a_hub_that_cannot_be_reached_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(WellfedError, match="cannot reach") as refused:
        models.gguf_download("someone/something", "q4_k_m")
    assert "HF_ENDPOINT" in str(refused.value.hint)
