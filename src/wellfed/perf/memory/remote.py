"""llama.cpp's `--rpc`: GPUs of other machines as devices of this one, each behind a server that the network reaches.

The layers are divided over the servers' devices first, then over this machine's own, by memory or `--tensor-split`;
weights and cache of a layer lie where it is computed. Source: tools/rpc/README.md and src/llama.cpp (devices of RPC
servers stand in front of the local ones) of ggml-org/llama.cpp.
"""

from __future__ import annotations

from wellfed.errors import Unsupported
from wellfed.frozen import replace
from wellfed.hardware.machine import Gpu, Machine
from wellfed.message import sentence
from wellfed.nouns.layout import Layout
from wellfed.nouns.plan import Request
from wellfed.units import parse_bytes

RPC = "rpc"  # the option: how many servers on machines like this one, or the memory of each: "2", "24GiB,12GiB"
ADDRESSES = "rpc_addresses"


def servers(layout: Layout) -> str:
    """What is said of a layout's RPC servers; empty without any."""
    for name, value in layout.options:
        if name == RPC:
            return value
    return ""


def sizes(described: str) -> tuple[int, ...]:
    """The memory of each server's device, where it is said."""
    return () if described.isdecimal() else tuple(parse_bytes(part) for part in described.split(","))


def count(layout: Layout) -> int:
    """RPC servers of a layout."""
    described = servers(layout)
    return int(described) if described.isdecimal() else len(sizes(described)) if described else 0


def local_gpus(layout: Layout) -> int:
    """Of a layout's GPUs those that are not behind servers."""
    described = servers(layout)
    if not described:
        return layout.gpus
    return layout.gpus // (1 + int(described)) if described.isdecimal() else layout.gpus - len(sizes(described))


def away(layout: Layout) -> int:
    """GPUs of servers whose memory is said: they are in no machine that was named."""
    described = servers(layout)
    return 0 if described.isdecimal() else len(sizes(described)) if described else 0


def is_whole(layout: Layout, machine: Machine) -> bool:
    """Whether a layout with servers uses all GPUs of this machine, as the servers use all of theirs."""
    return not servers(layout) or (local_gpus(layout) == len(machine.gpus) and layout.tensor_parallel == 1)


def joined(request: Request) -> Request:
    """The request on one machine with the servers' GPUs in front of its own; as it is without servers."""
    described, machine = servers(request.layout), request.machine
    if not described or any(gpu.server for gpu in machine.gpus):
        return request
    return replace(request, machine=replace(machine, gpus=(*_remote(described, machine), *machine.gpus), count=1))


def _remote(described: str, machine: Machine) -> tuple[Gpu, ...]:
    """Raises Unsupported where this machine has no GPU to take the servers' for alike."""
    if not machine.gpus:
        said = sentence("remote.no-gpu", "RPC servers are described as GPUs like this machine's: it has none")
        raise Unsupported(said, sentence("remote.no-gpu.hint", "name a machine with a GPU"))
    if described.isdecimal():
        return tuple(replace(gpu, server=number) for number in range(1, int(described) + 1) for gpu in machine.gpus)
    like = machine.gpus[0]
    return tuple(
        replace(like, server=number, memory_bytes=size, memory_free_bytes=None)
        for number, size in enumerate(sizes(described), 1)
    )


def name(gpus: tuple[Gpu, ...], position: int) -> str:
    """The device in the ledger: gpu0, gpu1 of this machine; rpc1, or of servers with several GPUs rpc1.0."""
    gpu = gpus[position]
    first = next(index for index, other in enumerate(gpus) if other.server == gpu.server)
    if not gpu.server:
        return f"gpu{position - first}"
    beside = sum(other.server == gpu.server for other in gpus)
    return f"rpc{gpu.server}" if beside == 1 else f"rpc{gpu.server}.{position - first}"
