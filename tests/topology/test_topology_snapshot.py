"""Snapshots: saved and loaded they tell the same, they leak nothing, and archives cannot climb out."""

from __future__ import annotations

import io
import json
import os
import tarfile
from pathlib import Path

import pytest

from machines_builder import Box, build, channel_slots, read, two_socket_box
from wellfed.errors import BadInput
from wellfed.hardware.machine import Origin
from wellfed.topology.collect import collect
from wellfed.topology.machine import live, parse
from wellfed.topology.redact import clean_text
from wellfed.topology.snapshot import Snapshot, Tree
from wellfed.topology.snapshot_io import load, save
from wellfed.topology.to_json import topology_json


@pytest.mark.parametrize("name", ["box.tar.gz", "box.tar", "box.tgz"])
def test_saved_and_loaded_tells_the_same(tmp_path: Path, name: str) -> None:
    root = build(two_socket_box(), tmp_path / "root")
    save(collect(root), tmp_path / name)
    before, after = topology_json(read(root)), topology_json(parse(load(tmp_path / name)))
    assert {**after, "name": ""} == {**before, "name": ""}


def test_zstandard_where_installed(tmp_path: Path) -> None:
    pytest.importorskip("zstandard")
    root = build(Box(), tmp_path / "root")
    save(collect(root), tmp_path / "box.tar.zst")
    assert topology_json(parse(load(tmp_path / "box.tar.zst")))["counts"]["pus"] == 8


def test_unknown_suffix_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="unknown kind"):
        save(collect(build(Box(), tmp_path / "root")), tmp_path / "box.rar")


SECRETS = {
    "/proc/cmdline": "root=UUID=78c30682-53e7-4e5e-abe9-5668fac78f99 hostname=mybox ip=10.1.2.3 quiet\n",
    "/proc/self/cgroup": "0::/user.slice/user-alice.slice/job_77.scope\n",
    "/proc/mounts": "cgroup2 /sys/fs/cgroup cgroup2 rw 0 0\nnas.secret.example:/home /home nfs rw 0 0\n",
    "/sys/fs/cgroup/user.slice/user-alice.slice/job_77.scope/cpu.max": "200000 100000\n",
    "/proc/version": "Linux version 6.8.0-test (alice@mybox) (gcc)\n",
}


def test_nothing_that_identifies_is_kept(tmp_path: Path) -> None:
    root = build(Box(files=SECRETS, slots=channel_slots(1, "AB")), tmp_path / "root")
    save(collect(root), tmp_path / "box.tar")
    raw = (tmp_path / "box.tar").read_bytes()
    for secret in (
        b"78c30682",
        b"mybox",
        b"10.1.2.3",
        b"alice",
        b"job_77",
        b"secret.example",
        b"SERIAL-123",
        b"ASSET-9",
    ):
        assert secret not in raw, secret


def test_redaction_keeps_the_figures(tmp_path: Path) -> None:
    root = build(Box(files=SECRETS, slots=channel_slots(1, "AB")), tmp_path / "root")
    save(collect(root), tmp_path / "box.tar")
    machine = parse(load(tmp_path / "box.tar"))
    assert machine.os.cpu_quota == 2.0
    assert machine.sockets[0].channels == 2
    assert machine.dimms[0].part == "PART-1"


@pytest.mark.parametrize(
    "text",
    [
        "Serial Number: 1795125027133",
        "GPU UUID : GPU-e588912b-1368-6b4f-0e2a-0d08f8afb39b",
        "link/ether 78:2b:cb:38:ac:21",
    ],
)
def test_pasted_identifiers_are_removed(text: str) -> None:
    cleaned = clean_text(text)
    assert not any(secret in cleaned for secret in ("1795125027133", "e588912b", "78:2b:cb"))


def test_pci_addresses_survive_redaction() -> None:
    line = "0000:01:00.0 NVIDIA 10de:2204 0000:af:00.1"
    assert clean_text(line) == line


def archive_of(path: Path, *members: tuple[tarfile.TarInfo, bytes]) -> Path:
    with tarfile.open(path, "w") as archive:
        for info, content in members:
            info.size = len(content)
            archive.addfile(info, io.BytesIO(content))
    return path


def test_climbing_members_are_ignored(tmp_path: Path) -> None:
    path = archive_of(
        tmp_path / "evil.tar",
        (tarfile.TarInfo("../../../../tmp/wellfed-evil.txt"), b"x"),
        (tarfile.TarInfo("/sys/devices/../../etc/passwd"), b"x"),
        (tarfile.TarInfo("proc/meminfo"), b"MemTotal: 1024 kB\n"),
    )
    assert set(load(path).files) == {"/proc/meminfo"}
    assert not Path("/tmp/wellfed-evil.txt").exists()


@pytest.mark.parametrize("absolute", [True, False])
def test_links_out_of_a_captured_folder_lead_nowhere(tmp_path: Path, absolute: bool) -> None:
    (tmp_path / "secret").write_text("42\n")
    root = build(Box(files={"/proc/sys/vm/swappiness": None}), tmp_path / "root")
    target = str(tmp_path / "secret") if absolute else "../../../../secret"
    (root / "proc/sys/vm/swappiness").symlink_to(target)
    assert parse(collect(root)).os.swappiness is None


def test_link_loops_end(tmp_path: Path) -> None:
    root = build(Box(), tmp_path)
    loop = root / "sys/bus/pci/devices/0000:aa:00.0"
    loop.parent.mkdir(parents=True)
    loop.symlink_to("0000:ab:00.0")
    (loop.parent / "0000:ab:00.0").symlink_to("0000:aa:00.0")
    (root / "sys/devices/system/node/node0/cpumap").unlink()
    (root / "sys/devices/system/node/node0/cpumap").symlink_to("cpumap")
    assert topology_json(read(root))["counts"]["pus"] == 8


def test_loop_in_a_tree_of_links() -> None:
    tree = Tree(Snapshot("", Origin.SNAPSHOT, {}, {"/a": "/b", "/b": "/a"}))
    assert tree.text("/a") is None
    assert tree.names("/a/c") == ()


def test_fifo_does_not_hang(tmp_path: Path) -> None:
    root = build(Box(), tmp_path)
    (root / "proc/sys/vm/swappiness").unlink()
    os.mkfifo(root / "proc/sys/vm/swappiness")
    snapshot = collect(root)
    assert snapshot.unreadable["/proc/sys/vm/swappiness"] == "left out: not a plain file"
    assert parse(snapshot).os.swappiness is None


def test_huge_file_is_cut(tmp_path: Path) -> None:
    root = build(Box(), tmp_path)
    with (root / "proc/cpuinfo").open("wb") as file:
        file.truncate(1 << 30)
    assert sum(map(len, collect(root).files.values())) < 64 << 20


@pytest.mark.skipif(os.geteuid() == 0, reason="root reads everything")
def test_unreadable_file_is_told(tmp_path: Path) -> None:
    root = build(Box(slots=channel_slots(1, "AB")), tmp_path)
    (root / "sys/firmware/dmi/tables/DMI").chmod(0)
    machine = read(root)
    assert "Permission denied" in machine.unknown["dimms"]


def test_nothing_to_read_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for path in (tmp_path / "absent", tmp_path / "empty"):
        with pytest.raises(BadInput) as caught:
            load(path)
        assert caught.value.hint


def test_text_of_no_known_kind_is_said(tmp_path: Path) -> None:
    (tmp_path / "note.txt").write_text("hello\n")
    machine = parse(load(tmp_path / "note.txt"))
    assert machine.unknown["dump note.txt"] == "no known kind of dump"
    assert machine.gpus == ()


def test_compressed_dump(tmp_path: Path) -> None:
    import gzip

    text = "node 0 cpus: 0 1\nnode 0 size: 1000 MB\n"
    (tmp_path / "numa.txt.gz").write_bytes(gzip.compress(text.encode()))
    assert parse(load(tmp_path / "numa.txt.gz")).numa_nodes[0].cpus == (0, 1)


def test_utf16_dump(tmp_path: Path) -> None:
    (tmp_path / "numa.txt").write_bytes("node 0 cpus: 0 1\nnode 0 size: 1000 MB\n".encode("utf-16"))
    assert parse(load(tmp_path / "numa.txt")).numa_nodes[0].memory_bytes == 1000 << 20


def test_archive_of_dumps(tmp_path: Path) -> None:
    path = archive_of(tmp_path / "dumps.tar", (tarfile.TarInfo("x/numa.txt"), b"node 0 cpus: 0\nnode 0 size: 5 MB\n"))
    assert parse(load(path)).numa_nodes[0].memory_bytes == 5 << 20


def test_capture_in_a_named_folder_of_an_archive(tmp_path: Path) -> None:
    root = build(Box(), tmp_path / "somehost")
    path = tmp_path / "capture.tar.gz"
    with tarfile.open(path, "w:gz") as archive:
        archive.add(root, arcname="somehost")
    assert topology_json(parse(load(path)))["counts"]["pus"] == 8


def test_live_machine_knows_its_cpus() -> None:
    machine = live()
    assert machine.origin is Origin.LIVE
    assert machine.os.cpus_online
    assert topology_json(machine)["counts"]["pus"] == len(machine.cpus) > 0
    json.dumps(topology_json(machine))


def test_live_snapshot_round_trip(tmp_path: Path) -> None:
    save(collect(), tmp_path / "me.tar.gz")
    assert topology_json(parse(load(tmp_path / "me.tar.gz")))["counts"] == topology_json(live())["counts"]
