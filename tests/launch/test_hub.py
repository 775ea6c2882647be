"""Listing and fetching with the hub's own client, from a hub on the loopback: whole, resumed, refused, damaged."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from launch.conftest import Wellfed
from launch.hub import Hub, serving
from samples import few, few_rows
from wellfed.launch import models
from wellfed.launch.hub_errors import explained

REPOSITORY = "someone/Some-GGUF"
FILE = "Some-Q8_0.gguf"
_IMPATIENT = "from wellfed.launch import resume; resume.time.sleep = lambda s: None\n"
_FETCH = """
import sys
from wellfed.errors import WellfedError
from wellfed.launch import models
try:
    print(models.fetch(models.gguf_download(sys.argv[1], "q8_0")))
except WellfedError as error:
    print(f"error: {error.message}\\nhint: {error.hint}")
"""


@pytest.fixture
def hub(tiny: Path) -> Iterator[Hub]:
    """A hub with the tiny model in one quantisation, and something else."""
    with serving(Hub({FILE: tiny.read_bytes(), "README.md": b"read me"})) as found:
        yield found


def environment(hub: Hub, folder: Path) -> dict[str, str]:
    """The client's settings: a cache of its own, this hub, no retries that take minutes."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith("HF_") and "proxy" not in key.lower()}
    return {**kept, "HF_HOME": str(folder / "hf"), "HF_ENDPOINT": hub.url, "HF_HUB_DISABLE_PROGRESS_BARS": "1"}


def fetched(hub: Hub, folder: Path, setup: str = "") -> str:
    """What a process that fetches the model says at its end."""
    done = subprocess.run(
        [sys.executable, "-c", setup + _FETCH, REPOSITORY],
        env=environment(hub, folder), capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert "Traceback" not in done.stderr, done.stderr
    return done.stdout.strip()


def downloads(hub: Hub) -> list[str]:
    """Ranges of the file that were asked for."""
    return [wanted for method, path, wanted in hub.asked if method == "GET" and "/resolve/" in path]


def test_the_tower_for_pictures_comes_along_and_is_found_beside(tmp_path: Path, tiny: Path) -> None:
    content = tiny.read_bytes()
    towers = {"mmproj-Some-F32.gguf": content + b"32", "mmproj-Some-F16.gguf": content + b"16"}
    with serving(Hub({FILE: content, **towers})) as stub:
        with_tower = _FETCH.replace('"q8_0")', '"q8_0", with_projector=True)')
        done = subprocess.run(
            [sys.executable, "-c", with_tower, REPOSITORY],
            env=environment(stub, tmp_path), capture_output=True, text=True, timeout=120, check=False,
        )  # fmt: skip
        assert len(downloads(stub)) == 2, done.stdout + done.stderr
    path = Path(done.stdout.strip())
    beside = models.projector_beside(path)
    assert path.name == FILE and beside is not None and beside.name == "mmproj-Some-F16.gguf"


def test_fetched_once_and_then_at_hand_without_the_hub(hub: Hub, tmp_path: Path, tiny: Path) -> None:
    path = Path(fetched(hub, tmp_path))
    assert path.read_bytes() == tiny.read_bytes()
    assert len(downloads(hub)) == 1
    assert Path(fetched(hub, tmp_path)) == path
    assert len(downloads(hub)) == 1
    hub.url = "http://127.0.0.1:9"
    assert Path(fetched(hub, tmp_path)) == path


def test_a_broken_connection_is_taken_up_again(hub: Hub, tmp_path: Path, tiny: Path) -> None:
    hub.cut_after = 700_000
    path = Path(fetched(hub, tmp_path, _IMPATIENT))
    assert path.read_bytes() == tiny.read_bytes()
    starts = [int(wanted.removeprefix("bytes=").partition("-")[0]) for wanted in downloads(hub)]
    assert starts == list(range(0, len(tiny.read_bytes()), 700_000))


def test_a_killed_run_goes_on_where_it_was(hub: Hub, tmp_path: Path, tiny: Path) -> None:
    hub.cut_after = 700_000
    killed = (
        "import os, httpx; from wellfed.launch import resume; resume.time.sleep = lambda s: os.kill(os.getpid(), 9)\n"
    )
    assert fetched(hub, tmp_path, killed) == ""
    (part,) = (tmp_path / "hf").rglob("*.part")
    assert part.stat().st_size == 700_000
    hub.cut_after = None
    hub.asked.clear()
    assert Path(fetched(hub, tmp_path)).read_bytes() == tiny.read_bytes()
    assert downloads(hub) == ["bytes=700000-"]
    assert not list((tmp_path / "hf").rglob("*.part"))


def test_a_hub_that_stops_sending_is_said(hub: Hub, tmp_path: Path) -> None:
    hub.cut_after = 0
    said = fetched(hub, tmp_path, _IMPATIENT)
    assert said.startswith("error: ") and "hint: " in said


def test_a_damaged_download_is_told_and_not_kept(hub: Hub, tmp_path: Path, tiny: Path) -> None:
    hub.damaged = True
    said = fetched(hub, tmp_path)
    assert said.startswith("error: ") and "checksum differs" in said and "mirror" in said
    assert not list((tmp_path / "hf").rglob(FILE))
    hub.damaged = False
    assert Path(fetched(hub, tmp_path)).read_bytes() == tiny.read_bytes()


@pytest.mark.parametrize(
    "lie",
    few([
        {"etag": "/tmp/wellfed-owned"}, {"etag": "../../../owned"}, {"commit": "../../owned"}, {"commit": "main"},
        {"path": "../../owned.Q8_0.gguf"}, {"path": "/tmp/owned.Q8_0.gguf"}, {"told_size": 10**6}, {"etag": "owned"},
        {"path": "a/\x1b[31m.Q8_0.gguf"},
    ], 4),
)  # fmt: skip
def test_a_hub_that_lies_writes_nothing(hub: Hub, tmp_path: Path, lie: dict[str, Any]) -> None:
    for name, value in lie.items():
        setattr(hub, name, value)
    said = fetched(hub, tmp_path)
    assert said.startswith("error: ") and "not to be trusted" in said, said
    assert not Path("/tmp/wellfed-owned").exists()
    assert not [path for path in tmp_path.rglob("*") if "owned" in path.name or path.suffix == ".gguf"]


def test_a_body_without_end_stops_at_its_size(hub: Hub, tmp_path: Path, tiny: Path) -> None:
    hub.endless = True
    said = fetched(hub, tmp_path)
    assert said.startswith("error: ") and "longer than it is" in said, said
    assert sum(path.stat().st_size for path in (tmp_path / "hf").rglob("*") if path.is_file()) < 10**6


def test_what_is_at_hand_is_checked_once(hub: Hub, tmp_path: Path, tiny: Path) -> None:
    path = Path(fetched(hub, tmp_path))
    blob = path.resolve()
    blob.write_bytes(bytes(blob.stat().st_size))
    said = fetched(hub, tmp_path)
    assert said.startswith("error: ") and "checksum differs" in said
    assert Path(fetched(hub, tmp_path)).read_bytes() == tiny.read_bytes()


@pytest.mark.parametrize(
    ("status", "code", "part"),
    few_rows(
        [
            (401, "", "(401)"),
            (401, "GatedRepo", "is gated"),
            (403, "GatedRepo", "is gated"),
            (403, "", "is gated"),
            (404, "RepoNotFound", "is not on the hub"),
            (401, "RepoNotFound", "(401)"),
        ],
        4,
    ),
)
def test_refusals(hub: Hub, tmp_path: Path, status: int, code: str, part: str) -> None:
    hub.status, hub.code = status, code
    said = fetched(hub, tmp_path)
    assert part in said and said.count("\n") == 1, said
    assert "HF_TOKEN" in said or "check the name" in said


def test_nobody_there(hub: Hub, tmp_path: Path) -> None:
    hub.url = "http://127.0.0.1:9"
    said = fetched(hub, tmp_path)
    assert said.startswith(f"error: cannot reach {REPOSITORY}") and "127.0.0.1:9" in said
    assert "HF_ENDPOINT=https://hf-mirror.com" in said and "--hub modelscope" in said


def test_room_is_asked_for_what_is_still_to_come(hub: Hub, tmp_path: Path) -> None:
    narrow = (
        "import shutil, collections; U = collections.namedtuple('U', 'free'); shutil.disk_usage = lambda p: U({})\n"
    )
    said = fetched(hub, tmp_path, narrow.format(10_000))
    assert "free, the model needs" in said and "HF_HOME" in said
    assert downloads(hub) == []
    path = fetched(hub, tmp_path)
    assert fetched(hub, tmp_path, narrow.format(10_000)) == path  # all of it is there: nothing is needed


@pytest.mark.root
def test_a_disk_that_fills_up_on_the_way(hub: Hub, tmp_path: Path) -> None:
    disk = tmp_path / "hf"
    disk.mkdir()
    if subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(disk)], check=False).returncode != 0:
        pytest.skip("may not mount here")
    try:
        assert "free, the model needs" in fetched(hub, tmp_path)
        said = fetched(hub, tmp_path, "import wellfed.launch.models as m; m.ensure_disk_has_room = lambda *a: None\n")
        assert said.startswith("error: ") and re.search("disk|space", said, re.IGNORECASE), said
    finally:
        subprocess.run(["umount", "-l", str(disk)], check=True)


def test_what_is_only_written_down_is_not_fetched(hub: Hub, tmp_path: Path, wellfed: Wellfed) -> None:
    settings = environment(hub, tmp_path)
    hub.files = {"DeepSeek-V2-Lite-Q8_0.gguf": b"x" * 1000}
    words = ("run", "deepseek-v2-lite", "-q", "q8_0", "--repo", REPOSITORY, "--context", "512", "--dry-run")
    done = wellfed(*words, **settings)
    if "short" in done.stderr:
        pytest.skip("this machine has no room for the model")
    assert done.returncode == 0, done.stderr
    assert "--model ./Some-Q8_0.gguf" in done.stdout and f"from {REPOSITORY}" in done.stderr
    assert downloads(hub) == []


def test_other_failures_keep_their_name() -> None:
    assert "ModelScope (ValueError)" in explained("a/b", ValueError("x"), "modelscope").message
    assert "ValueError" in explained("a/b", ValueError("x")).message
    assert "filled up" in explained("a/b", OSError(28, "No space left on device")).message
    assert "may not write" in explained("a/b", PermissionError(13, "Permission denied", "/x")).message


def test_modelscope_has_what_is_called() -> None:
    """Names and parameters of the client, where it is installed."""
    import inspect

    api = pytest.importorskip("modelscope.hub.api")
    download = pytest.importorskip("modelscope.hub.file_download")
    assert {"model_id", "recursive"} <= set(inspect.signature(api.HubApi.get_model_files).parameters)
    assert {"model_id", "file_path"} <= set(inspect.signature(download.model_file_download).parameters)
    assert models.gguf_download.__doc__
