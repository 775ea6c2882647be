"""The types of answers about machines: what is wired how, what is wrong, what is known by name, many of them.

Where a document prints a value's own fields, its type is made of that value's declaration.
"""

from __future__ import annotations

from dataclasses import fields
from typing import Any, Literal, get_type_hints

from pydantic import BaseModel, create_model
from typing_extensions import TypedDict

from wellfed.hardware import machine as hardware
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.hardware.pcie import PciDevice
from wellfed.written.machines import Build


def _like(value: Any, **changed: Any) -> type[BaseModel]:
    """The fields of a dataclass as it is printed; `changed`: those that are printed as something else."""
    hints = get_type_hints(value)
    kinds = {field.name: changed.pop(field.name, hints[field.name]) for field in fields(value)}
    return create_model(value.__name__, **{name: (kind, ...) for name, kind in {**kinds, **changed}.items()})  # type: ignore[call-overload, no-any-return]


class Message(TypedDict):
    """A sentence as a value: a stable id, its parameters, its English text."""

    id: str
    params: dict[str, Any]
    text: str


class Cost(TypedDict):
    """What a fault takes away."""

    decode_tok_s: float | None
    prefill_tok_s: float | None
    ttft_s: float | None
    load_s: float | None
    note: str


class Remedy(TypedDict):
    text: str
    safety: str
    message: Message | None


class Finding(TypedDict):
    id: str
    verdict: Literal["pass", "warn", "fail", "skip", "unknown"]
    subject: str
    measured: str | None
    wanted: str | None
    cost: Cost | None
    why: str
    fix: list[str]
    refs: list[str]
    code: str | None
    counts: bool
    message: Message | None
    remedies: list[Remedy]
    places: list[Any]
    faults: list[str]


class CheckedMachine(TypedDict):
    name: str
    origin: str
    counts: dict[str, int | None]
    memory_bytes: float | None
    unknown: dict[str, str]
    kinds_read: list[str]
    setting: list[Message]


class CheckDocument(TypedDict):
    schema: Literal[1]
    machine: CheckedMachine
    findings: list[Finding]
    counts: dict[str, int]
    untold_checks: int
    cost: Cost | None
    plan: dict[str, Any] | None
    no_price: Message | None


class Link(TypedDict):
    """PCIe; bytes/s of one direction, raw."""

    generation: int
    width: int
    bytes_per_s: float


class Node(TypedDict):
    os_index: int
    socket: int | None
    cpus: list[int]
    memory_bytes: int | None
    memory_free_bytes: int | None
    distances: dict[str, int]


class LogicalCpu(TypedDict):
    os_index: int
    socket: int | None
    core: int | None
    numa_node: int | None
    l3: int | None


class GpuLink(TypedDict):
    a: int
    b: int
    kind: str
    bytes_per_s: float | None
    active: bool


class Taken(TypedDict):
    """What was taken for granted of the machine, and why."""

    text: str
    reason: str


Dimm: Any = _like(hardware.Dimm)
Socket: Any = _like(
    hardware.Socket, cpu=str | None, dimms=list[str], numa_nodes=list[int], isa=list[str], cpus=list[int],
    memory_bandwidth_bytes_per_s=float | None,
)  # fmt: skip
Gpu: Any = _like(
    hardware.Gpu, spec=str | None, link=Link | None, throttle_reasons=list[str], xids=list[int], cpu_affinity=list[int]
)
PciFunction: Any = _like(
    PciDevice, vendor_id=str | None, device_id=str | None, class_code=str | None, link_current=Link | None,
    link_max=Link | None, local_cpus=list[int], children=list[dict[str, Any]],
)  # fmt: skip
Pages = dict[str, dict[str, int]]  # by NUMA node, then by page size
Os: Any = _like(hardware.OsSettings, huge_pages=Pages, huge_pages_free=Pages)
Path: Any = _like(hardware.DevicePath)
Nic: Any = _like(hardware.Nic)
Disk: Any = _like(hardware.Disk)
Peer: Any = _like(hardware.PeerAccess)


class TopologyDocument(TypedDict):
    """The whole machine; what is null has its reason under `unknown`. `pci` is a tree by `children`."""

    schema: Literal[1]
    name: str
    origin: str
    counts: dict[str, int | None]
    memory_bytes: int | None
    sockets: list[Socket]
    numa_nodes: list[Node]
    gpu_numa_nodes: list[Node]
    cpus: list[LogicalCpu]
    dimms: list[Dimm]
    pci: list[PciFunction]
    gpus: list[Gpu]
    links: list[GpuLink]
    paths: list[Path]
    nics: list[Nic]
    disks: list[Disk]
    peers: list[Peer]
    kinds_read: list[str]
    os: Os
    assumptions: list[Taken]
    unknown: dict[str, str]


class KnownModel(TypedDict):
    id: str
    name: str
    task: str
    kind_of: str | None
    repository: str | None
    parameters: float | None
    total_parameters: float | None
    active_parameters: float | None
    layers: int | None
    context_limit: int | None
    native_quantisation: str
    aliases: list[str]
    tags: list[str]
    sources: list[str]


class GpusDocument(TypedDict):
    schema: Literal["wellfed.catalog/1"]
    gpus: list[_like(GpuSpec)]  # type: ignore[valid-type]


class CpusDocument(TypedDict):
    schema: Literal["wellfed.catalog/1"]
    cpus: list[_like(CpuSpec)]  # type: ignore[valid-type]


class ModelsDocument(TypedDict):
    schema: Literal["wellfed.catalog/1"]
    models: list[KnownModel]


class BuildsDocument(TypedDict):
    schema: Literal["wellfed.catalog/1"]
    builds: list[_like(Build)]  # type: ignore[valid-type]


CatalogDocument = GpusDocument | CpusDocument | ModelsDocument | BuildsDocument


class FleetNode(TypedDict):
    label: str
    read: bool
    why: Message | None
    notes: list[Any]
    faults: list[str]
    decode_tok_s: float | None
    decode_tok_s_mended: float | None


class Difference(TypedDict):
    subject: str
    trait: str
    here: Any
    usual: Any


class OddNode(TypedDict):
    label: str
    differences: list[Difference]


class MixedTrait(TypedDict):
    subject: str
    trait: str
    values: dict[str, Any]


class FleetBuild(TypedDict):
    """Nodes that are put together alike, those of them that are not, and in what."""

    product: str | None
    cpus: Any
    gpu: Any
    nodes: list[str]
    equal: list[str]
    odd: list[OddNode]
    mixed: list[MixedTrait]
    not_compared: list[str]


class FleetFault(TypedDict):
    id: str
    code: str | None
    verdict: str
    why: str
    nodes: list[str]
    decode_tok_s: float | None
    cost: Cost | None


class SlowNode(TypedDict):
    label: str
    decode_tok_s: float
    usual_decode_tok_s: float


class FleetDocument(TypedDict):
    schema: Literal["wellfed.fleet/1"]
    model: str | None
    nodes: list[FleetNode]
    builds: list[FleetBuild]
    faults: list[FleetFault]
    group_nodes: int | None
    slowest: str | None
    slow: list[SlowNode]


class Replica(TypedDict):
    nodes: int
    engine: str
    quantisation: str
    layout: str
    gpus: int
    requests_per_s: float | None
    tokens_per_s: float | None
    running: float | None
    ttft_s: float
    ttft_p99_s: float | None
    tpot_s: float
    p99: bool


class FleetKind(TypedDict):
    machine: str
    nodes: int
    why: Message | None
    capacities: list[Replica]


class Share(TypedDict):
    machine: str
    replicas: int
    nodes: int
    price_hour: float | None
    replica: Replica


class Routing(TypedDict):
    replicas: int
    prefix_aware_requests_per_s: float
    unaware_requests_per_s: float
    unaware_replicas_needed: int | None


class Simulated(TypedDict):
    """A trace sent through the replicas; times by mean, p90 and p99."""

    requests: int
    seconds: float
    ttft_s: dict[str, float]
    tpot_s: dict[str, float]
    late: float
    tokens_per_s: float
    found_share: float


class FleetNetwork(TypedDict):
    """Between the nodes: a node's bytes/s in one direction, its rails, oversubscription, nodes below one leaf."""

    bytes_per_s: float
    rails: int
    subscribed: float
    leaf_nodes: int | None


class FleetPool(TypedDict):
    """Workers of one phase in a cell of prefill and decode apart."""

    machine: str
    workers: int
    gpus_a_worker: int


class FleetSplit(TypedDict):
    """Prefill and decode apart: one cell, and how many cells the rate needs and the nodes hold."""

    prefill: FleetPool
    decode: FleetPool
    nodes: float
    requests_per_s: float
    together_requests_per_s: float | None
    users: int
    ttft_s: float
    tpot_s: float
    cells: int
    cells_there: int
    enough: bool


class FleetPlanDocument(TypedDict):
    schema: Literal["wellfed.fleet-plan/1"]
    model: str
    rate: float | None
    meets: bool
    requests_per_s: float
    short_requests_per_s: float
    spare: int
    price_hour: float | None
    price_per_million_tokens: float | None
    kinds: list[FleetKind]
    shares: list[Share]
    routing: Routing | None
    simulated: Simulated | None
    simulated_unaware: Simulated | None
    network: FleetNetwork | None
    disaggregated: list[FleetSplit] | None
