"""Files that people hand to `check`: nothing that could not be read passes for a healthy machine."""

from __future__ import annotations

from pathlib import Path

import pytest
from click.testing import CliRunner

from wellfed.cli.check import command
from wellfed.errors import BadInput
from wellfed.hardware.machine import Origin
from wellfed.topology.snapshot import Snapshot
from wellfed.topology.snapshot_io import save
from wellfed.verbs import inputs

FILES = {f"/sys/devices/system/cpu/cpu{n}/topology/core_id": f"{n * 7919 % 1009}\n".encode() for n in range(200)}


@pytest.mark.parametrize("content", [b"\0\1\2" * 500, b"\x1f\x8b" + b"\xaa" * 300, bytes(range(128, 256)) * 9])
def test_what_is_no_text_is_an_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "paste.txt"
    path.write_bytes(content)
    with pytest.raises(BadInput):
        inputs.captured(path)


@pytest.mark.parametrize("content", [b"hello\n", b""])
def test_text_of_no_known_kind_is_pointed_out(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "paste.txt"
    path.write_bytes(content)
    result = CliRunner().invoke(command, ["--from", str(path)])
    assert isinstance(result.exception, BadInput) and result.exception.exit_code == 2
    assert "paste.txt" in result.exception.message and "passed" not in result.stdout


@pytest.mark.parametrize("share", [3, 5, 7, 9])
def test_a_truncated_snapshot_says_so_and_keeps_what_is_left(tmp_path: Path, share: int) -> None:
    whole = tmp_path / "whole.tar.gz"
    save(Snapshot("whole", Origin.SNAPSHOT, FILES), whole)
    cut = tmp_path / "cut.tar.gz"
    cut.write_bytes(whole.read_bytes()[: whole.stat().st_size * share // 10])
    assert "snapshot" not in inputs.captured(whole).unknown
    assert "damaged" in inputs.captured(cut).unknown["snapshot"]
    result = CliRunner().invoke(command, ["--from", str(cut)])
    assert "damaged" in result.stderr


def test_one_reason_for_many_checks_is_said_once(tmp_path: Path) -> None:
    (tmp_path / "proc").mkdir()
    (tmp_path / "sys").mkdir()
    result = CliRunner().invoke(command, ["--from", str(tmp_path)])
    assert result.output.count("the source shows no PCI devices") == 1
    assert "gpu-ecc" in result.output and "pcie-width" in result.output
