"""Whatever is truncated, emptied, garbled or looped: no traceback but ours, no hang."""

from __future__ import annotations

import random
import tarfile
from pathlib import Path

import pytest
from dump_samples import SAMPLES
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from machines_builder import build, two_socket_box
from wellfed.engines.spec import ranges
from wellfed.errors import WellfedError
from wellfed.hardware.machine import Origin
from wellfed.topology.collect import collect
from wellfed.topology.lists import cpu_list, cpu_mask
from wellfed.topology.machine import parse
from wellfed.topology.smbios import memory_devices
from wellfed.topology.snapshot import META, NVML, Snapshot
from wellfed.topology.snapshot_io import load
from wellfed.topology.to_json import topology_json

CAPTURES = Path(__file__).resolve().parents[3] / "shared" / "machines"
GARBAGE = [b"", b"\xff\xfe\x00\x80" * 9, b"-1\n", b"999999999999999999999\n", b"0-99999999\n", b"\n" * 50, b"{}[]<>:,"]


@pytest.fixture(scope="module")
def healthy(tmp_path_factory: pytest.TempPathFactory) -> Snapshot:
    return collect(build(two_socket_box(), tmp_path_factory.mktemp("healthy")))


@pytest.mark.parametrize("garbage", GARBAGE)
def test_every_file_garbled_in_turn(healthy: Snapshot, garbage: bytes) -> None:
    paths = sorted(healthy.files)
    kinds = {path.rpartition("/")[2]: path for path in paths}
    for path in kinds.values():
        topology_json(parse(Snapshot("x", Origin.SNAPSHOT, {**healthy.files, path: garbage}, healthy.links)))


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_random_damage(healthy: Snapshot, data: st.DataObject) -> None:
    files, links = dict(healthy.files), dict(healthy.links)
    for path in data.draw(st.lists(st.sampled_from(sorted(files)), max_size=12)):
        kind = data.draw(st.sampled_from(["cut", "drop", "bytes", "link"]))
        if kind == "cut":
            files[path] = files.get(path, b"")[: data.draw(st.integers(0, 40))]
        elif kind == "drop":
            files.pop(path, None)
        elif kind == "bytes":
            files[path] = data.draw(st.binary(max_size=60))
        else:
            links[path] = data.draw(st.sampled_from([path, path + "/x", "..", "/", "../../.."]))
    topology_json(parse(Snapshot("x", Origin.SNAPSHOT, files, links)))


@settings(max_examples=60, deadline=None)
@given(name=st.sampled_from(sorted(SAMPLES)), data=st.data())
def test_damaged_dumps(name: str, data: st.DataObject) -> None:
    text = SAMPLES[name]
    start, end = sorted(data.draw(st.tuples(st.integers(0, len(text)), st.integers(0, len(text)))))
    insert = data.draw(st.text(max_size=20))
    topology_json(parse(Snapshot("x", Origin.DUMP, dumps={"x": text[:start] + insert + text[end:]})))


@settings(max_examples=100, deadline=None)
@given(name=st.sampled_from(sorted(SAMPLES)), seed=st.integers(0, 10**6))
def test_shuffled_lines(name: str, seed: int) -> None:
    lines = SAMPLES[name].splitlines(keepends=True)
    random.Random(seed).shuffle(lines)
    topology_json(parse(Snapshot("x", Origin.DUMP, dumps={"x": "".join(lines)})))


@settings(max_examples=100, deadline=None)
@given(text=st.text(max_size=200))
def test_any_text(text: str) -> None:
    topology_json(parse(Snapshot("x", Origin.DUMP, dumps={"x": text})))


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**40), 2**70) | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=6), inner, max_size=4),
    max_leaves=12,
)
KEYS = """
    name pci memory bar1 pstate generation generation_max width width_max clock reasons ecc remapped persistence
    power mig processes memory_affinity cpu_affinity nvlinks fabric virtualisation
"""
NVML_KEYS = st.sampled_from(KEYS.split())


@settings(max_examples=60, deadline=None)
@given(values=st.dictionaries(NVML_KEYS, JSON_VALUES, max_size=8), meta=JSON_VALUES)
def test_any_driver_answer(values: dict[str, object], meta: object) -> None:
    import json

    files = {
        NVML: json.dumps({"driver": meta, "gpus": [{"values": values, "errors": meta}, meta]}).encode(),
        META: json.dumps(meta).encode(),
        "/proc/meminfo": b"MemTotal: 1 kB\n",
    }
    topology_json(parse(Snapshot("x", Origin.SNAPSHOT, files)))


@settings(max_examples=200)
@given(table=st.binary(max_size=300))
def test_any_smbios_table(table: bytes) -> None:
    memory_devices(table)


@given(cpus=st.sets(st.integers(0, 500)))
def test_cpu_lists_round_trip(cpus: set[int]) -> None:
    numbers = tuple(sorted(cpus))
    assert cpu_list(ranges(numbers)) == numbers
    assert cpu_mask(f"{sum(1 << cpu for cpu in numbers):x}") == (numbers or ())


@pytest.mark.shared
@pytest.mark.parametrize("name", sorted(p.name for p in CAPTURES.iterdir() if p.is_file()) if CAPTURES.is_dir() else [])
def test_captures_cut_anywhere(name: str, shared: Path, tmp_path: Path) -> None:
    content = (shared / "machines" / name).read_bytes()
    dice = random.Random(name)
    for part in range(6):
        damaged = bytearray(content[: dice.randrange(len(content) + 1)])
        for _ in range(part * 3):
            if damaged:
                damaged[dice.randrange(len(damaged))] = dice.randrange(256)
        path = tmp_path / name
        path.write_bytes(damaged)
        try:
            topology_json(parse(load(path)))
        except WellfedError as error:
            assert error.message


@pytest.mark.shared
@pytest.mark.parametrize("name", ["16em64t-4s2c2t-offlines.tar.bz2", "fakememinitiators-1np2c+1npp+gi.tar.bz2"])
def test_walk_over_an_unpacked_capture(name: str, shared: Path, tmp_path: Path) -> None:
    with tarfile.open(shared / "machines" / "hwloc" / name) as members:
        members.extraction_filter = getattr(tarfile, "tar_filter", None)  # Python before 3.11.4 has none
        members.extractall(tmp_path)
    dice = random.Random(name)
    files = [path for path in sorted(tmp_path.rglob("*")) if path.is_file() and not path.is_symlink()]
    for path in files:
        kind = dice.choice(["keep", "keep", "empty", "cut", "noise", "loop", "folder"])
        content = path.read_bytes()
        if kind == "empty":
            path.write_bytes(b"")
        elif kind == "cut":
            path.write_bytes(content[: len(content) // 2])
        elif kind == "noise":
            path.write_bytes(b"\x80\xff" + content)
        elif kind == "loop":
            path.unlink()
            path.symlink_to(path.name)
        elif kind == "folder":
            path.unlink()
            path.mkdir()
    topology_json(parse(load(tmp_path)))
