"""Snapshots on disk: writing a tar file, and reading whatever people hand in.

`load` takes a snapshot of ours, a tarball or folder that holds a captured /sys and /proc, a pasted dump, or a folder
of dumps. Tar members are read into memory, never unpacked, so no member can leave its place.
"""

from __future__ import annotations

import io
import json
import re
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path, PurePosixPath
from typing import IO, Any, cast

from wellfed.errors import BadInput
from wellfed.hardware.machine import Origin
from wellfed.message import sentence
from wellfed.topology.collect import MAX_FILE_BYTES, MAX_FILES, MAX_PASTED_BYTES, MAX_TOTAL_BYTES, WANTED, collect
from wellfed.topology.snapshot import META, SCHEMA, Snapshot

_DUMP_SUFFIXES = {".txt", ".log", ".xml", ".md", ".out", ".console", ".json", ".csv", ".tsv", ".lspci", ".output", ""}
_MAX_DUMPS = 500  # of one archive: a limit of ours
_MAX_ARCHIVE_BYTES = 256 << 20  # decompressed
_MAX_MEMBERS = 100_000  # the largest of known captures have ten thousand
_TOP = ("sys", "proc", "dev", "run", "cgroup", "wellfed", ".dockerenv")
_HINT = sentence(
    "snapshot-io.give-wellfed",
    "give a wellfed snapshot, a tarball or folder with a captured /sys and /proc, or pasted dumps as text",
)


def save(snapshot: Snapshot, path: Path) -> None:
    """Write a tar file: .tar.zst (needs the zstandard package), .tar.gz or .tar."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=tarfile.PAX_FORMAT) as archive:
        for name, content in sorted(snapshot.files.items()):
            archive.addfile(*_member(name, content))
        for name, target in sorted(snapshot.links.items()):
            info = tarfile.TarInfo(name.lstrip("/"))
            info.type, info.linkname = tarfile.SYMTYPE, target
            archive.addfile(info)
        for name, text in sorted(snapshot.dumps.items()):
            archive.addfile(*_member(f"wellfed/dumps/{name}", text.encode()))
    try:
        path.write_bytes(_compressed(buffer.getvalue(), path))
    except OSError as error:
        raise BadInput(
            sentence("snapshot-io.cannot-write", "cannot write {path}: {strerror}", path=path, strerror=error.strerror)
        ) from error


def _member(name: str, content: bytes) -> tuple[tarfile.TarInfo, io.BytesIO]:
    info = tarfile.TarInfo(name.lstrip("/").rstrip("/"))
    info.size, info.mode = len(content), 0o644
    if name.endswith("/"):
        info.type, info.mode = tarfile.DIRTYPE, 0o755
    return info, io.BytesIO(content)


def _compressed(data: bytes, path: Path) -> bytes:
    if path.suffix == ".tar":
        return data
    if path.suffix in (".gz", ".tgz"):
        import gzip

        return gzip.compress(data, mtime=0)
    if path.suffix == ".zst":
        return cast("bytes", _zstandard(path).ZstdCompressor().compress(data))
    raise BadInput(
        sentence("snapshot-io.unknown-kind", "unknown kind of snapshot file: {path}", path=path.name),
        sentence("snapshot-io.use-name-ends", "use a name that ends in .tar.gz or .tar.zst"),
    )


def _zstandard(path: Path) -> Any:
    try:
        import zstandard  # type: ignore[import-not-found,unused-ignore]
    except ImportError as error:
        raise BadInput(
            sentence("snapshot-io.needs-zstandard", "{path} needs the zstandard package", path=path.name),
            "pip install zstandard, or use .tar.gz",
        ) from error
    return zstandard


def load(path: Path) -> Snapshot:
    """The snapshot behind a path; `-` is a paste on standard input. Raises BadInput where there is nothing to read."""
    if str(path) == "-":
        return load_stream(sys.stdin.buffer, sentence("snapshot-io.standard-input", "standard input"))
    if path.is_dir():
        return _load_folder(path)
    try:
        if not path.is_file():
            said = (
                sentence("snapshot-io.no-ordinary-file", "cannot read {path}: it is no ordinary file", path=path)
                if path.exists()
                else sentence("snapshot-io.cannot-read-such", "cannot read {path}: no such file", path=path)
            )
            raise BadInput(said, _HINT)
        with path.open("rb") as file:
            return _load_open(file, path)
    except OSError as error:
        raise BadInput(
            sentence(
                "snapshot-io.cannot-read", "cannot read {path}: {strerror}", path=path, strerror=error.strerror or error
            ),
            _HINT,
        ) from error


def _load_open(file: IO[bytes], path: Path) -> Snapshot:
    """An archive member by member, whatever it unpacks to; anything else as a pasted text."""
    if _Unpacked(file, path, 512).read(512)[257:262] == b"ustar":
        return _load_tar(_Unpacked(file, path, _MAX_ARCHIVE_BYTES), path)
    unpacked = _Unpacked(file, path, MAX_PASTED_BYTES)
    content = unpacked.read(MAX_PASTED_BYTES)
    if unpacked.damage:
        raise BadInput(
            sentence("snapshot-io.damaged", "{path} is damaged{how}", path=path.name, how=unpacked.damage), _HINT
        )
    text = _decoded(content)
    if "\0" in text or text.count("\ufffd") > len(text) // 20:
        raise BadInput(
            sentence("snapshot-io.neither-snapshot-nor", "{path} is neither a snapshot nor text", path=path.name), _HINT
        )
    return Snapshot(path.name, Origin.DUMP, dumps={path.name: text})


def load_stream(stream: IO[bytes], name: str) -> Snapshot:
    """Everything on a stream, up to the limit of a pasted text, as one paste; a snapshot's archive works, too.

    `name` is what it is called in what is said of it. Raises BadInput for a damaged archive.
    """
    content = stream.read(MAX_TOTAL_BYTES)
    packed = content[:2] == b"\x1f\x8b" or content[:4] == b"\x28\xb5\x2f\xfd" or content[257:262] == b"ustar"
    if packed:
        return _load_open(io.BytesIO(content), Path(name))
    return Snapshot(name, Origin.DUMP, dumps={name: _decoded(content[:MAX_PASTED_BYTES])})


class _Unpacked:
    """A file without its compression, as far as it goes: up to a limit, or to where it is damaged (`damage` says how).

    `read` gives what is there, where more would meet the damage.
    """

    def __init__(self, file: IO[bytes], path: Path, most_bytes: int) -> None:
        file.seek(0)
        self._stream = _decompressed(file, path)
        self._read = getattr(self._stream, "read1", self._stream.read)
        self._left = most_bytes
        self.damage = ""

    def read(self, size: int) -> bytes:
        """So many bytes, fewer only at the end."""
        parts: list[bytes] = []
        size = min(size, self._left)
        while size > 0 and not self.damage:
            try:
                part = self._read(min(size, 1 << 20))
            except Exception as error:  # noqa: BLE001 - gzip, bz2, lzma and zstandard each raise classes of their own
                self.damage = f": {error or type(error).__name__}"
                break
            if not part:
                break
            parts.append(part)
            size -= len(part)
            self._left -= len(part)
        return b"".join(parts)


def _decompressed(file: IO[bytes], path: Path) -> IO[bytes]:
    """The file without its compression, told by its first bytes."""
    head = file.read(6)
    file.seek(0)
    if head.startswith(b"\x1f\x8b"):
        import gzip

        return cast("IO[bytes]", gzip.GzipFile(fileobj=file))
    if head.startswith(b"BZh"):
        import bz2

        return cast("IO[bytes]", bz2.BZ2File(file))
    if head.startswith(b"\xfd7zXZ"):
        import lzma

        return cast("IO[bytes]", lzma.LZMAFile(file))
    if head.startswith(b"\x28\xb5\x2f\xfd"):
        return cast("IO[bytes]", _zstandard(path).ZstdDecompressor().stream_reader(file))
    return file


def _load_tar(stream: _Unpacked, path: Path) -> Snapshot:
    files: dict[str, bytes] = {}
    links: dict[str, str] = {}
    problem = _read_members(stream, files, links)
    problem = stream.damage or problem
    prefix = _prefix([*files, *links])
    inside = {name[len(prefix) :]: data for name, data in files.items() if name.startswith(f"{prefix}/")}
    targets = {name[len(prefix) :]: target for name, target in links.items() if name.startswith(f"{prefix}/")}
    system = {name: data for name, data in inside.items() if _is_system(name)}
    dumps = {
        name.rpartition("/")[2]: _decoded(data)
        for name, data in files.items()
        if name.startswith("/wellfed/dumps/") or (name[len(prefix) :] not in system and _looks_pasted(name))
    }
    if not any(not name.endswith("/") for name in system):
        system = {}
    if not system and not dumps:
        raise BadInput(
            sentence(
                "snapshot-io.holds-neither-sys",
                "{path} holds neither /sys nor /proc nor dumps{problem}",
                path=path.name,
                problem=problem,
            ),
            _HINT,
        )
    notes: tuple[str, ...] = (f"{path.name} is damaged{problem}",) if problem else ()
    notes += _written_later(system.get(META, b""), path.name)
    origin = Origin.SNAPSHOT if system else Origin.DUMP
    return Snapshot(path.name.split(".tar")[0], origin, system, targets if system else {}, {}, dumps, notes)


def _written_later(meta: bytes, name: str) -> tuple[str, ...]:
    """What is said of a snapshot whose form is younger than this reader."""
    try:
        schema = json.loads(meta or b"{}")["schema"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return ()
    if not isinstance(schema, int) or schema <= SCHEMA:
        return ()
    return (
        sentence("snapshot-io.later", "{name} was written by a later wellfed: some of it may not be read", name=name),
    )


def _read_members(stream: _Unpacked, files: dict[str, bytes], links: dict[str, str]) -> str:
    """Fill in all members up to the limits; a damaged end is told, what came before is kept."""
    total = 0
    try:
        with tarfile.open(fileobj=cast("IO[bytes]", stream), mode="r|") as archive:
            for number, member in enumerate(archive):
                if number >= _MAX_MEMBERS:
                    return sentence(
                        "snapshot-io.more-members", ": more than {max_members} members", max_members=_MAX_MEMBERS
                    )
                cast("Any", archive).members = []  # it would keep them all
                name = _clean(member.name)
                full = len(files) + len(links) >= MAX_FILES or total >= MAX_TOTAL_BYTES
                if name is None or full or not _is_wanted(name):
                    continue
                if member.issym():
                    links[name] = member.linkname
                elif member.isdir():
                    files[f"{name}/"] = b""
                elif member.isfile() and (content := archive.extractfile(member)) is not None:
                    files[name] = content.read(MAX_PASTED_BYTES if _looks_pasted(name) else MAX_FILE_BYTES)
                    total += len(files[name])
    except (tarfile.TarError, EOFError, OSError, ValueError, OverflowError) as error:
        return f": {error or type(error).__name__}"
    return ""


def _clean(name: str) -> str | None:
    """An absolute logical path; None for names that try to climb."""
    parts = PurePosixPath(name).parts
    if ".." in parts or "\0" in name:
        return None
    return "/" + "/".join(part for part in parts if part not in ("/", "."))


def _prefix(names: list[str]) -> str:
    """What stands before /sys or /proc in a capture: `/hostname` or nothing."""
    for name in names:
        match = re.match(r"(.*?)/(?:sys/(?:devices|bus|class|kernel)|proc/\w)", name)
        if match:
            return match[1]
    return ""


def _is_system(name: str) -> bool:
    return name.split("/", 2)[1] in _TOP and not name.startswith("/wellfed/dumps/")


_WANTED_NAMES = frozenset(
    name for pattern in WANTED for group in re.findall(r"\{([^}]*)\}", pattern) for name in group.split(",")
)
_WANTED_PATHS = re.compile(
    r"/(?:wellfed|cgroup|cpuset|proc/self|proc/driver|iommu)/|/initiators/node\d+$|env$|/[0-9a-f:]+\.[0-7]$"
)
_SYSTEM_PATH = re.compile(r"/(?:sys|proc|dev|run|cgroup)/")
_SELF = re.compile(r"/proc/(?:self|mounts)$")  # links of captures that keep a process's own number


def _is_wanted(name: str) -> bool:
    """Leaves out the bulk of foreign captures: memory blocks, power management, statistics."""
    if _SYSTEM_PATH.search(f"{name}/") is None:
        return True
    last = name.rpartition("/")[2]
    return (
        last in _WANTED_NAMES
        or _SELF.search(name) is not None
        or _WANTED_PATHS.search(name) is not None
        or "/sys/class/" in name
    )


def _looks_pasted(name: str) -> bool:
    plain = _SYSTEM_PATH.search(f"{name}/") is None and not name.endswith("/")
    return plain and PurePosixPath(name).suffix.lower() in _DUMP_SUFFIXES


def _load_folder(path: Path) -> Snapshot:
    root = _captured_root(path)
    if root is not None:
        return collect(root, redacted=False)
    dumps = dict(_dumps_in(path))
    if not dumps:
        raise BadInput(
            sentence("snapshot-io.holds-neither-sys-2", "{path} holds neither /sys nor /proc nor dumps", path=path),
            _HINT,
        )
    return Snapshot(path.name, Origin.DUMP, dumps=dumps)


def _captured_root(path: Path) -> Path | None:
    """The folder itself or its only subfolder that holds sys/ or proc/."""
    try:
        inner = [child for child in sorted(path.iterdir()) if child.is_dir()]
    except OSError as error:
        raise BadInput(
            sentence("snapshot-io.cannot-read", "cannot read {path}: {strerror}", path=path, strerror=error.strerror),
            _HINT,
        ) from error
    roots = [path, *(inner if len(inner) == 1 else [])]
    return next((root for root in roots if (root / "sys").is_dir() or (root / "proc").is_dir()), None)


def _dumps_in(path: Path) -> Iterator[tuple[str, str]]:
    for number, child in enumerate(sorted(path.iterdir())):
        if number >= _MAX_DUMPS:
            return
        if child.is_file() and child.suffix.lower() in _DUMP_SUFFIXES:
            content = _start_of(child)
            if not _is_program(content) and "\0" not in (text := _decoded(content)):
                yield child.name, text


def _start_of(path: Path) -> bytes:
    """A file's bytes up to the size limit."""
    try:
        with path.open("rb") as file:
            return file.read(MAX_PASTED_BYTES)
    except OSError as error:
        raise BadInput(
            sentence("snapshot-io.cannot-read", "cannot read {path}: {strerror}", path=path, strerror=error.strerror),
            _HINT,
        ) from error


_UTF_16 = (b"\xff\xfe", b"\xfe\xff")


def _is_program(content: bytes) -> bool:
    """Whether bytes are no text in any script: decoding those of a folder of programs takes seconds."""
    return b"\0" in content and not content.startswith(_UTF_16)


def _decoded(content: bytes) -> str:
    """UTF-8 with or without mark, or UTF-16 (PowerShell's redirection); other bytes are replaced."""
    if content.startswith(_UTF_16):
        return content.decode("utf-16", "replace")
    return content.decode("utf-8-sig", "replace")
