"""What is started: a command line, its environment, and where its threads and pages go. A value; nothing runs here."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from wellfed.frozen import dataclass
from wellfed.nouns.layout import Engine

HEAD_TO_NAME = "DRAFT-MODEL"  # where a draft is wanted and none was named: to be filled in
KEY_FILE = "WELLFED_KEY_FILE"  # a .yaml file, readable by its owner alone, of one line: api-key: KEY


class MemoryPolicy(StrEnum):
    """Linux memory policies (set_mempolicy(2))."""

    DEFAULT = "default"  # local to the thread that touches first
    BIND = "bind"
    INTERLEAVE = "interleave"


@dataclass(frozen=True, slots=True)
class Binding:
    """CPUs a process may run on and NUMA nodes its pages come from. Empty = not restricted."""

    cpus: tuple[int, ...] = ()
    nodes: tuple[int, ...] = ()
    policy: MemoryPolicy = MemoryPolicy.DEFAULT
    why: str = ""

    def numactl(self) -> tuple[str, ...]:
        """The numactl prefix that does the same; empty when there is nothing to do."""
        words = []
        if self.cpus:
            words.append(f"--physcpubind={ranges(self.cpus)}")
        if self.policy is MemoryPolicy.BIND and self.nodes:
            words.append(f"--membind={ranges(self.nodes)}")
        if self.policy is MemoryPolicy.INTERLEAVE and self.nodes:
            words.append(f"--interleave={ranges(self.nodes)}")
        return ("numactl", *words) if words else ()


@dataclass(frozen=True, slots=True)
class Endpoint:
    """Where the engine listens. `api_key` goes through the environment or a file, never on the command line."""

    host: str = "127.0.0.1"
    port: int = 8080
    api_key: str | None = None
    key_is_made: bool = False  # by wellfed, for this engine: kept beside its record

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine can reach it."""
        return self.host in {"127.0.0.1", "localhost", "::1"}

    @property
    def url(self) -> str:
        """Where the engine answers: http://host:port."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http://{host}:{self.port}"


@dataclass(frozen=True, slots=True)
class LaunchSpec:
    """Everything `launch` needs to start an engine, and an export needs to write it down."""

    engine: Engine
    argv: tuple[str, ...]
    endpoint: Endpoint
    environment: Mapping[str, str] = field(default_factory=dict)
    secrets: Mapping[str, str] = field(default_factory=dict)  # environment too, never printed
    key_flag: str = ""  # names a YAML file with the API key, of engines that read no such variable
    binding: Binding = Binding()
    huge_pages: Mapping[int, int] = field(default_factory=dict)  # NUMA node -> 2 MiB pages
    gpus: tuple[int, ...] = ()
    gpu_vendor: str = "nvidia"
    files: tuple[str, ...] = ()
    health_path: str = "/health"
    memory_bytes: float | None = None  # RAM the ledger asks for
    cores: int | None = None  # that it keeps busy
    insecure: bool = False  # whoever starts it accepts that others reach it without a key
    nodes: int = 1  # machines of one server
    servers: int = 1  # equal ones, which share no machine
    notes: tuple[str, ...] = ()

    @property
    def key_in_file(self) -> bool:
        """Whether there is a key, and the engine takes it from a file."""
        return bool(self.secrets and self.key_flag)

    @property
    def secret_names(self) -> tuple[str, ...]:
        """Variables that must be set to start it by hand; the file's name where the key is in one."""
        return (KEY_FILE,) if self.key_in_file else tuple(sorted(self.secrets))

    def command_line(self) -> str:
        """What a person could paste into a shell; secrets appear as unset variables to fill in."""
        shown = [f"{name}={shlex.quote(value)}" for name, value in sorted(self.environment.items())]
        hidden = [] if self.key_in_file else [f'{name}="${name}"' for name in sorted(self.secrets)]
        key = [f'{self.key_flag} "${KEY_FILE}"'] if self.key_in_file else []
        return " ".join([*shown, *hidden, shlex.join([*self.binding.numactl(), *self.argv]), *key])


_WIDE = frozenset({"bf16", "fp16", "fp32"})


def is_made_at_start(quantisation: str, native: str, files: str) -> bool:
    """Whether the engine makes FP8 of wide weights when it starts: what is fetched as FP8 says so in its name."""
    return quantisation.lower() == "fp8" and native.lower() in _WIDE and "fp8" not in files.lower()


def ranges(numbers: tuple[int, ...]) -> str:
    """Numbers as the kernel writes lists: 0-3,8."""
    parts: list[str] = []
    ordered = sorted(set(numbers))
    start = 0
    for index, number in enumerate(ordered):
        if index + 1 == len(ordered) or ordered[index + 1] != number + 1:
            parts.append(str(number) if start == index else f"{ordered[start]}-{number}")
            start = index + 1
    return ",".join(parts)
