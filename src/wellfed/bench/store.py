"""Measurements and this machine's calibration, as JSON files under the user's data folder."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping
from dataclasses import asdict, astuple, is_dataclass, replace
from pathlib import Path
from typing import Any

from wellfed.catalog.calibration import dump, parse
from wellfed.errors import BadInput, WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine, Origin
from wellfed.homes import under_home
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.plain_file import read_text

SCHEMA = "wellfed.bench/1"
_MOST_BYTES = 16 * 2**20


def folder() -> Path:
    """Where this machine's calibration is kept: $XDG_DATA_HOME/wellfed."""
    base = os.environ.get("XDG_DATA_HOME")
    if base:
        return Path(base) / "wellfed"
    return under_home(".local", "share", "wellfed")


def document(kind: str, content: Any) -> dict[str, Any]:
    """A result as it is stored and printed."""
    return {"schema": SCHEMA, "kind": kind, "time": time.strftime("%Y-%m-%dT%H:%M:%S%z"), "result": plain(content)}


def plain(value: Any) -> Any:
    """Dataclasses, tuples and mappings as JSON has them; keys that are tuples become "a-b"."""
    if is_dataclass(value) and not isinstance(value, type):
        return plain(asdict(value))
    if isinstance(value, Mapping):
        return {_key(key): plain(item) for key, item in value.items()}
    if isinstance(value, (set, frozenset)):
        return sorted(plain(item) for item in value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def _key(key: Any) -> str:
    return "-".join(map(str, key)) if isinstance(key, tuple) else str(key)


def write(path: Path, text: str) -> None:
    """Write whole or not at all, making the folder. Raises BadInput when the disk refuses."""
    draft = path.with_name(path.name + ".tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        draft.write_text(text, encoding="utf-8")
        draft.replace(path)
    except OSError as error:
        if draft.exists():
            draft.unlink()
        hint = sentence(
            "bench.store.free-some-space",
            "free some space, or point XDG_DATA_HOME (or the path given) at a writable folder",
        )
        raise BadInput(
            sentence("bench.store.cannot-write", "cannot write {path}: {strerror}", path=path, strerror=error.strerror),
            hint,
        ) from error


def save(kind: str, content: Any) -> Path:
    """Store a result of a kind in place of the last one; its path."""
    path = folder() / f"{kind}.json"
    write(path, json.dumps(document(kind, content), indent=1) + "\n")
    return path


@dataclass(frozen=True, slots=True)
class Observation:
    """One measured speed beside what was predicted of it with the bundled calibration, and with this machine's own."""

    what: str
    unit: str
    measured: float
    bundled: float
    own: float

    def error(self, calibrated: bool) -> float:
        """Relative error of a prediction: 0.1 is 10 % too high."""
        return (self.own if calibrated else self.bundled) / self.measured - 1


@dataclass(frozen=True, slots=True)
class MemoryFigures:
    """What `bench memory` tells a prediction. None = not measured."""

    read_bytes_per_s: float | None = None
    small_pages_bytes_per_s: float | None = None  # the same without huge pages
    clock_hz: float | None = None  # of a core with all at work

    def of(self, machine: Machine) -> Machine:
        """The machine as it performs by these figures."""
        return replace(
            machine,
            measured_memory_bandwidth_bytes_per_s=self.read_bytes_per_s,
            measured_small_pages_bytes_per_s=self.small_pages_bytes_per_s,
            measured_clock_hz=self.clock_hz,
        )


@dataclass(frozen=True, slots=True)
class OwnCalibration:
    """What was measured on one machine: its memory, the parameters fitted, and the proof of both."""

    machine: str  # identity of the machine
    memory: MemoryFigures
    calibration: Calibration
    observations: tuple[Observation, ...] = ()
    taken: str = ""


def identity(machine: Machine) -> str:
    """What makes a measurement this machine's: its CPUs, cores, memory and GPUs; not the host's name."""
    cpus = "+".join(f"{socket.name or '?'} {socket.cores or '?'}c" for socket in machine.sockets)
    gpus = "+".join(gpu.name or "?" for gpu in machine.gpus)
    memory = None if machine.memory_bytes is None else round(machine.memory_bytes / 2**30)
    return f"{cpus} | {memory} GiB | {gpus or 'no GPU'}"


def calibration_file() -> Path:
    """Where this machine's calibration is kept."""
    return folder() / "calibration.json"


def save_calibration(calibration: OwnCalibration) -> Path:
    """Store this machine's calibration, for `plan`, `check` and `run` to use from now on; its path."""
    data = json.loads(dump(calibration.calibration))
    data["machine"] = calibration.machine
    data["taken"] = calibration.taken or time.strftime("%Y-%m-%dT%H:%M:%S%z")
    data["memory"] = plain(calibration.memory)
    data["observations"] = plain(calibration.observations)
    path = calibration_file()
    write(path, json.dumps(data, indent=1) + "\n")
    return path


def own_calibration(path: Path | None = None) -> OwnCalibration | None:
    """This machine's calibration, None when there is none. Raises BadInput when the file is damaged or foreign."""
    path = path or calibration_file()
    if not _is_there(path):
        return None
    try:
        text = read_text(path, _MOST_BYTES)
    except WellfedError as error:
        raise _refused(path, error) from error
    try:
        calibration = parse(text, str(path))
        data = json.loads(text)
        memory = MemoryFigures(
            **{name: None if entry is None else float(entry) for name, entry in data["memory"].items()}
        )
        observations = tuple(_observation(entry) for entry in data["observations"])
        taken_here = OwnCalibration(
            machine=str(data["machine"]),
            memory=memory,
            calibration=calibration,
            observations=observations,
            taken=str(data["taken"]),
        )
    except BadInput as error:
        raise _refused(path, error.message) from error
    except (ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError) as error:
        raise _refused(path, f"{type(error).__name__}: {error}") from error
    values = [*taken_here.calibration.parameters.values(), *astuple(taken_here.memory)]
    if not all(0 < value < float("inf") for value in values if value is not None):
        raise _refused(path, sentence("bench.store.holds-numbers", "it holds numbers that no measurement gives"))
    return taken_here


def _observation(values: dict[str, Any]) -> Observation:
    """An observation from its JSON. Raises ValueError or TypeError for anything else."""
    figures = {name: float(values[name]) for name in ("measured", "bundled", "own")}
    if not all(0 < figure < float("inf") for figure in figures.values()):
        raise ValueError("an observation of no speed")
    return Observation(str(values["what"]), str(values["unit"]), **figures)


def _is_there(path: Path) -> bool:
    try:
        path.lstat()
    except (FileNotFoundError, NotADirectoryError):
        return False
    except OSError:
        return True
    return True


def _refused(path: Path, why: object) -> BadInput:
    hint = sentence(
        "bench.store.remove-rm-measure", "remove it (rm {path}) or measure again: `wellfed bench calibrate`", path=path
    )
    return BadInput(
        sentence(
            "bench.store.calibration-program", "{path} is not a calibration of this program: {why}", path=path, why=why
        ),
        hint,
    )


def own_for(machine: Machine) -> OwnCalibration | None:
    """The calibration that applies to `machine`: this machine's own, on the machine it was taken on."""
    if machine.origin is not Origin.LIVE:
        return None
    calibration = own_calibration()
    if calibration is None or calibration.machine != identity(machine):
        return None
    from wellfed.bench.doubt import doubt

    read, theory = calibration.memory.read_bytes_per_s, machine.memory_bandwidth_bytes_per_s
    if read is not None and doubt(read, theory, None, 1) is not None:  # taken before such figures were refused
        return replace(
            calibration, memory=replace(calibration.memory, read_bytes_per_s=None, small_pages_bytes_per_s=None)
        )
    return calibration


def last_memory(machine: Machine) -> MemoryFigures | None:
    """The figures of the last `wellfed bench memory`; None when it never ran, or ran on other memory."""
    from wellfed.bench.doubt import doubt

    try:
        result = json.loads(read_text(folder() / "memory.json", _MOST_BYTES))["result"]
        read = max(float(point["bytes_per_s"]["read"]) for point in result["points"])
        small, clock = result["small_pages_bytes_per_s"], result["clock_hz"]
        theory, foreign = result.get("theoretical_bytes_per_s"), result.get("foreign_cores")
        threads = max(int(point["threads"]) for point in result["points"])
        bursts = tuple(float(rate) for rate in result.get("bursts") or ())
        read = max(read, *bursts) if bursts else read
        figures = MemoryFigures(read, None if small is None else float(small), None if clock is None else float(clock))
    except (OSError, ValueError, KeyError, TypeError, AttributeError, OverflowError, RecursionError, WellfedError):
        return None
    same = theory == machine.memory_bandwidth_bytes_per_s  # else another machine that shares the home folder
    return figures if same and doubt(read, theory, foreign, threads, bursts) is None else None
