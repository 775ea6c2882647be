"""What an engine's processes leave in shared memory, and how vLLM is asked for its flags."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wellfed.errors import BadInput
from wellfed.launch import leftovers
from wellfed.launch.failures import explain, until_cause
from wellfed.launch.programs import Program, known_words
from wellfed.nouns.layout import Engine


def process(proc: Path, pid: int, group: int, *mapped: str, rights: str = "rw-s") -> None:
    """A process of a group that maps files."""
    folder = proc / str(pid)
    folder.mkdir()
    (folder / "stat").write_text(f"{pid} (a (strange) name) S 1 {group} {group} 0 -1")
    lines = [f"7f0000000000-7f0000001000 {rights} 00000000 00:01 {n} {path}" for n, path in enumerate(mapped)]
    (folder / "maps").write_text("\n".join([*lines, "7ffc0000-7ffd0000 rw-p 00000000 00:00 0"]))


def test_a_groups_shared_memory_is_known(tmp_path: Path) -> None:
    process(tmp_path, 10, 10, "/dev/shm/psm_1", "/usr/lib/libc.so")
    process(tmp_path, 11, 10, "/dev/shm/with a space", "/dev/shm/gone (deleted)")
    process(tmp_path, 12, 12, "/dev/shm/of_another")
    (tmp_path / "self").mkdir()
    assert leftovers.shared_memory(10, tmp_path) == ("/dev/shm/psm_1", "/dev/shm/with a space")


@pytest.mark.parametrize("rights", ["r--s", "r--p", "rw-p"])
def test_a_model_in_memory_is_its_owners(tmp_path: Path, rights: str) -> None:
    """Files that are mapped to be read, as llama.cpp maps a GGUF file in /dev/shm."""
    process(tmp_path, 10, 10, "/dev/shm/model.gguf", rights=rights)
    assert leftovers.shared_memory(10, tmp_path) == ()


def test_what_somebody_maps_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    proc, shm = tmp_path / "proc", tmp_path / "shm"
    proc.mkdir()
    shm.mkdir()
    monkeypatch.setattr(leftovers, "_FOLDER", f"{shm}/")
    used, left, link = shm / "used", shm / "left", shm / "link"
    used.touch()
    left.touch()
    link.symlink_to(tmp_path)
    process(proc, 5, 5, str(used))
    leftovers.remove([str(used), str(left), str(link), str(shm), str(shm / "never")], proc)
    assert used.exists() and not left.exists() and link.is_symlink() and shm.is_dir()


def test_the_meeting_point_is_in_the_log(tmp_path: Path) -> None:
    log = tmp_path / "log"
    said = "world_size=2 rank=0 distributed_init_method=file:///tmp/vllm_dist_27ab backend=gloo\n"
    log.write_text(said * 2 + "distributed_init_method=file:///etc/passwd \n")
    assert leftovers.meeting_points(log) == ("/tmp/vllm_dist_27ab",)
    assert leftovers.meeting_points(tmp_path / "none") == ()


def fake_vllm(folder: Path, flags: str, sections: bool = True) -> Program:
    """A vLLM that tells its flags as versions do: by section unless asked for all, or at once."""
    script = folder / "vllm"
    all_flags = "['serve', '--help=all']" if sections else "['serve', '--help']"
    script.write_text(
        f"#!{sys.executable}\nimport sys\n"
        f"print({flags!r} if sys.argv[1:] == {all_flags} else 'usage: vllm --help --version')\n"
    )
    script.chmod(0o755)
    return Program((str(script),), "given")


@pytest.mark.parametrize("sections", [True, False])
def test_vllm_is_asked_for_all_its_flags(tmp_path: Path, sections: bool) -> None:
    found = fake_vllm(tmp_path, "--max-model-len N --port N --new-thing X", sections)
    words = ("serve", "m", "--max-model-len", "1", "--new-thing=2", "--new-thing.key", "3")
    assert known_words(found, words, Engine.VLLM) == words
    with pytest.raises(BadInput, match="--max-num-seqs"):
        known_words(found, (*words, "--max-num-seqs", "1"), Engine.VLLM)


def test_without_its_help_the_recorded_flags_decide(tmp_path: Path) -> None:
    found = fake_vllm(tmp_path, "nothing")
    assert known_words(found, ("serve", "--kv-cache-memory-bytes", "1"), Engine.VLLM)
    with pytest.raises(BadInput, match="--new-thing"):
        known_words(found, ("serve", "--new-thing", "1"), Engine.VLLM)


@pytest.mark.parametrize(
    ("log", "message"),
    [
        ("ValueError: Available memory on node 0 (20.9/23.5 GiB) on kv cache allocation is less than", "NUMA node"),
        ("RuntimeError: Failed to infer device type, please set the environment variable", "built for a GPU"),
        ("Model architectures ['FooForCausalLM'] are not supported for now.", "architecture"),
    ],
)
def test_vllms_failures_are_explained(log: str, message: str) -> None:
    assert message in explain(log, 1)[0]


def test_the_cause_is_found_before_what_came_of_it() -> None:
    cause = "ValueError: Available memory on node 0 (1/2 GiB) on kv cache allocation is less than requested"
    log = f"starting\n{cause}\n" + "RuntimeError: Engine core initialization failed. See root cause above.\n" * 9
    assert until_cause(log) == f"starting\n{cause}"
    assert until_cause("all is well\n") == ""
