"""Remote memory and busy memory buses on written scenes: what is told from what."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from tests.watch.scenes import QUIET, Scene, T, pages, said

from wellfed.watching.samplers.host import HostSampler
from wellfed.watching.view import Baseline
from wellfed.watching.window import view

BOTH = Scene(nodes=2, threads=(T(0.95, cpu=0), T(0.95, cpu=1), T(0.95, cpu=6), T(0.95, cpu=7)))
SLOW = Scene(threads=(T(0.98),), tok_s=24.0, steps_s=24.0, foreign=3.0)
BEFORE = Baseline(40.0, 1.0)


@pytest.mark.parametrize(("first", "second"), [(8.0, 0.0), (7.0, 1.0), (0.5, 8.0)])
def test_one_nodes_memory_for_threads_on_both_is_told(first: float, second: float) -> None:
    found = said(replace(BOTH, process_now={"pages": pages(first, second)}))
    assert found.id == "numa-remote"
    assert "one node's memory serves" in found.causes[0].sign.why
    assert found.causes[0].sign.fix[0].text == "numactl --interleave=all COMMAND"


@pytest.mark.parametrize(("first", "second"), [(4.0, 4.0), (5.0, 3.0), (3.2, 4.8)])
def test_pages_on_both_for_threads_on_both_are_fine(first: float, second: float) -> None:
    assert said(replace(BOTH, process_now={"pages": pages(first, second)})).id == "cpu-bound"


def test_a_stray_thread_on_the_other_node_asks_for_no_bandwidth() -> None:
    stray = (*(T(0.95, cpu=cpu) for cpu in (0, 0, 1, 1, 2, 2, 3)), T(0.6, cpu=7))
    scene = Scene(nodes=2, threads=stray, process_now={"pages": pages(8.0, 0.1)})
    assert said(scene).id == "cpu-bound"


def test_wrong_node_costs_more_than_uneven_and_has_another_fix() -> None:
    scene = replace(BOTH, threads=BOTH.threads[:2], process_now={"pages": pages(0.2, 8.0)})
    found = said(scene)
    assert found.id == "numa-remote"
    assert "another NUMA node" in found.causes[0].sign.why
    assert not found.causes[0].sign.fix  # the rule's own


def with_clocks(scene: Scene, clock: float) -> Scene:
    """The scene at a share of the highest clock."""
    return replace(scene, clock=clock)


def test_what_the_clocks_explain_is_no_memory_contention() -> None:
    before = Baseline(40.0, 1.0, 1.0)
    assert said(with_clocks(replace(SLOW, steps_s=27.0, tok_s=27.0), 0.72), baseline=before).id == "cpu-bound"
    found = said(with_clocks(SLOW, 0.95), baseline=before)
    assert found.id == "memory-contention"
    assert "at the same clocks" in found.causes[0].sign.evidence[0]


def test_busy_hyperthreads_beside_its_own_are_said() -> None:
    """On 8 CPUs that are 4 cores, `foreign` is spread over all of them."""
    samples = SLOW.samples()
    shared = tuple(
        replace(each, host=replace(each.host, cpus=tuple(replace(c, core=c.cpu // 2 * 2) for c in each.host.cpus)))
        for each in samples
        if each.host and each.host.cpus
    )
    from wellfed.watching.diagnose import diagnose

    found = diagnose(view(shared, None, BEFORE))
    assert found.id == "memory-contention"
    assert "other hyperthreads" in found.causes[0].sign.why
    alone = diagnose(view(samples, None, BEFORE))
    assert alone.id == "memory-contention"
    assert "memory bandwidth" in alone.causes[0].sign.why


def test_cores_are_read_where_they_have_hyperthreads(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "proc/stat").write_text("".join(f"cpu{n} 1 2 3 4 5 6 7 8 0 0\n" for n in range(4)))
    for cpu, listed in enumerate(("0,2", "1,3", "0,2", "1,3")):
        folder = tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology"
        folder.mkdir(parents=True)
        (folder / "thread_siblings_list").write_text(listed + "\n")
    cpus = HostSampler(str(tmp_path)).sample().cpus
    assert cpus is not None and [cpu.core for cpu in cpus] == [0, 1, 0, 1]
    for cpu in range(4):
        (tmp_path / f"sys/devices/system/cpu/cpu{cpu}/topology/thread_siblings_list").write_text(f"{cpu}\n")
    cpus = HostSampler(str(tmp_path)).sample().cpus
    assert cpus is not None and {cpu.core for cpu in cpus} == {None}


def test_a_gap_in_the_samples_does_not_make_threads_look_idle() -> None:
    first = QUIET.samples(8)
    later = [replace(each, t=each.t + 60) for each in QUIET.samples(16)[8:]]
    whole, gapped = view(QUIET.samples(16)).process, view((*first, *later)).process
    assert whole is not None and gapped is not None
    assert gapped.cores == pytest.approx(whole.cores, rel=0.05)
