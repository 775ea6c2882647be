"""A folder's programs are passed over unread: what is no text in any script is not made one."""

from __future__ import annotations

from pathlib import Path

import pytest

from wellfed.topology import snapshot_io

LSCPU = "Architecture: x86_64\nCPU(s): 8\n"


def test_only_texts_are_decoded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "program").write_bytes(b"\x7fELF\0" + bytes(range(256)) * 64)
    (tmp_path / "lscpu.txt").write_text(LSCPU)
    (tmp_path / "powershell.txt").write_bytes(LSCPU.encode("utf-16"))
    decode, decoded = snapshot_io._decoded, list[bytes]()

    def watched(content: bytes) -> str:
        decoded.append(content)
        return decode(content)

    monkeypatch.setattr(snapshot_io, "_decoded", watched)
    assert set(snapshot_io.load(tmp_path).dumps.values()) == {LSCPU}
    assert not any(content.startswith(b"\x7fELF") for content in decoded)
