"""Pairs of measurements on two hosts or settings: predicted value_b / value_a beside the measured ratio.

What a layout cannot say is skipped with the reason. What a pair does not tell (the model behind a relative speed,
prompt lengths) is taken as the usual, on both sides alike, so that the ratio stands on what differs.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import replace

from wellfed.accuracy.case import Case, Outcome, Row, Skipped, source_of
from wellfed.accuracy.host_conditions import Condition, read
from wellfed.catalog.hardware import cpu as cpu_spec
from wellfed.catalog.hardware import gpu as gpu_spec
from wellfed.catalog.model_names import model as named
from wellfed.errors import WellfedError
from wellfed.hardware.machine import Gpu, GpuLink, Machine, Origin, PeerAccess, Socket
from wellfed.hardware.parts import CpuSpec
from wellfed.message import sentence, told_by
from wellfed.models.ffn import MoeFfn
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.nouns.layout import ALL_GPU, CPU_ONLY, EXPERTS_ON_CPU, Engine, Layout, NumaPolicy, Offload
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.cpu import cpu_bandwidth
from wellfed.perf.estimate import estimate

_UNSAID: Mapping[str, str] = {
    "numa_snoop_mode": sentence(
        "rows-host-effects.snoop-modes-bios", "snoop modes of the BIOS are no part of a machine's description"
    ),
    "numa_locality": sentence("rows-host-effects.counters-local", "counters of local accesses are not predicted"),
    "numa_bandwidth": sentence("rows-host-effects.bandwidth-between", "the bandwidth between sockets is not predicted"),
    "numa_h2d": sentence("rows-host-effects.copies-across", "copies across sockets are not predicted"),
    "numa_p2p": sentence(
        "rows-host-effects.copies-between-gpus", "copies between GPUs across sockets are not predicted"
    ),
    "numa_page_placement": sentence(
        "rows-host-effects.which-pages-page", "which pages the page cache holds where is not told by a layout"
    ),
    "engine": sentence("rows-host-effects.another-engine", "another engine, not another host"),
    "gpu_p2p_latency": sentence("rows-host-effects.copies-between-gpus-2", "copies between GPUs are not predicted"),
    "pcie_p2p": sentence("rows-host-effects.copies-between-gpus-2", "copies between GPUs are not predicted"),
    "nvlink_p2p": sentence("rows-host-effects.copies-between-gpus-2", "copies between GPUs are not predicted"),
    "acs_iommu": sentence(
        "rows-host-effects.access-control-pcie", "access control of PCIe switches is no part of a layout"
    ),
    "pcie_switch_collapse": sentence(
        "rows-host-effects.writes-through-pcie", "writes through PCIe switches are not modelled"
    ),
    "pcie_root_topology": sentence(
        "rows-host-effects.root-ports-shared", "root ports shared by switches are not modelled"
    ),
    "pcie_topology": sentence("rows-host-effects.pcie-switches", "PCIe switches are not modelled"),
    "nccl_tuning": sentence("rows-host-effects.nccl-settings-part", "NCCL's settings are no part of a layout"),
    "nccl_p2p_level": sentence("rows-host-effects.nccl-settings-part", "NCCL's settings are no part of a layout"),
    "allreduce_kernel": sentence(
        "rows-host-effects.kernel-all-reduce", "the kernel of the all-reduce is no part of a layout"
    ),
    "async_scheduling": sentence(
        "rows-host-effects.engine-scheduler", "the engine's scheduler switches are no part of a layout"
    ),
    "api_server_processes": sentence(
        "rows-host-effects.number-api-servers", "the number of API servers is no part of a layout"
    ),
    "kv_dtype_speed": sentence(
        "rows-host-effects.kernels-fall-back", "kernels that fall back for a cache type are not modelled"
    ),
    "thermal_throttle": sentence(
        "rows-host-effects.cooling-part-machine", "cooling is no part of a machine's description"
    ),
    "virtualization": sentence("rows-host-effects.virtual-machines", "virtual machines are not modelled"),
    "mmap_mode": sentence("rows-host-effects.how-weights-mapped", "how weights are mapped does not enter speed"),
    "cgroup_quota": sentence(
        "rows-host-effects.engine-spins-under", "an engine that spins under a quota is not modelled"
    ),
    "cpu_threads_bind": sentence("rows-host-effects.wrong-binding-string", "a wrong binding string is not a layout"),
    "vram_spill": sentence("rows-host-effects.memory-drivers-page", "memory that drivers page out is not modelled"),
    "memory_clock": sentence(
        "rows-host-effects.overclocked-memory", "overclocked memory is no part of a machine's description"
    ),
    "cpu_config": sentence("rows-host-effects.bios-tuning-part", "BIOS tuning is no part of a machine's description"),
    "tp_vs_layer": sentence("rows-host-effects.engine-modelled", "an engine that is not modelled"),
    "n_cpu_moe": "",
}
_USUAL_MODEL, _USUAL_QUANT = "llama-3.1-8b", "q4_k_m"
_LOCAL = frozenset({Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP, Engine.KTRANSFORMERS})
_CLASS = "host effects"
# Log spread of what machines draw of their theoretical bandwidth: published shares are from 0.41 to 0.97.
_SHARES = 0.35


def interpret(row: Row) -> tuple[Outcome, ...] | None:
    """The ratio of a pair; None for rows of other tables."""
    effect = row.text("effect")
    if not effect:
        return None
    if reason := _UNSAID.get(effect):
        return (Skipped(row.index, _class(effect), "ratio", reason),)
    first, second = row.number("value_a"), row.number("value_b")
    if not first or not second:
        return (
            Skipped(
                row.index,
                _class(effect),
                "ratio",
                sentence("rows-host-effects.one-side-value", "one side has no value"),
            ),
        )
    try:
        predict, request = _pair(row, effect)
    except (WellfedError, _Unsaid) as error:
        return (Skipped(row.index, _class(effect), "ratio", told_by(error)),)
    ratio = second / first
    case = Case(row.index, _class(effect), "ratio", ratio, effect, predict, request, source=source_of(row))
    return (case,)


class _Unsaid(Exception):
    """The pair leaves out what a prediction needs."""


def _class(effect: str) -> str:
    """`cpu_feed*` and `cuda_graph` are shown alone."""
    for name in ("cpu_feed", "cuda_graph", "power_cap"):
        if effect.startswith(name):
            return f"{_CLASS}, {name}"
    return _CLASS


def _pair(row: Row, effect: str) -> tuple[Callable[[Calibration], Quantity], Request | None]:
    unit = f"{row.text('unit')} ; {row.text('condition_a')}"
    if effect.startswith("pcie_h2d"):
        if "theoretical" not in row.text("condition_a") or "single-stream" in row.text("condition_b"):
            raise _Unsaid(sentence("rows-host-effects.ways-copying-one", "ways of copying on one link"))
        return (lambda calibration: _wide(calibration.value("hybrid", "link_fraction"), 0.15)), None
    if effect in ("cpu_bandwidth", "bw_yield"):
        if "theoretical" not in row.text("condition_a"):
            raise _Unsaid(sentence("rows-host-effects.share-theoretical", "not a share of the theoretical bandwidth"))
        condition = read(f"{row.text('condition_a')} {row.text('notes')}", Condition())
        return (lambda calibration: _wide(_reached(condition, calibration), _SHARES)), None
    first, second = _requests(row)
    if first == second:
        raise _Unsaid(
            sentence("rows-host-effects.two-sides-differ", "the two sides differ in what a layout does not say")
        )

    def predict(calibration: Calibration) -> Quantity:
        before, after = (_rate(estimate(request, calibration), unit) for request in (first, second))
        return _wide(after.value / before.value, 0.2)

    return predict, second


def _reached(condition: Condition, calibration: Calibration) -> float:
    """The share of a socket's theoretical bandwidth that its cores draw; the general one where no CPU is told."""
    if condition.cpu is None:
        return calibration.value("cpu", "bandwidth_fraction")
    machine = _machine(replace(condition, sockets=1))
    layout = Layout(Engine.LLAMA_CPP, "q8_0", gpus=0, offload=CPU_ONLY)
    theoretical = machine.sockets[0].memory_bandwidth_bytes_per_s or 1.0
    return cpu_bandwidth(machine, layout, calibration)[0] / theoretical


def _wide(value: float, sigma: float) -> Quantity:
    return Quantity.lognormal(value, sigma)


def _rate(estimated: Estimate, unit: str) -> Quantity:
    """The rate that the unit speaks of; times are turned into rates of the same direction as measured."""
    words = unit.lower()
    if "prefill" in words or "gflop" in words:
        return estimated.prefill_tok_s
    if "tpot" in words and "ms" in words.partition(";")[0]:
        return estimated.tpot_s
    if "ttft" in words.partition(";")[0]:
        return estimated.ttft_s
    return estimated.total_tok_s if re.search(r"total|throughput|concurrent", words) else estimated.decode_tok_s


def _requests(row: Row) -> tuple[Request, Request]:
    """Both sides as questions: what one does not tell it has from the other, from the notes or from earlier rows."""
    a_text, b_text, notes = row.text("condition_a"), row.text("condition_b"), row.text("notes")
    source = re.sub(r"(?i)llama-?(?=\d)|deepseek|qwen", "", row.text("source"))  # tells the engine, not the model
    general = read(f"{row.text('before')} ; {source}", Condition())
    general = read(f"{notes} ; {row.text('unit')}", replace(general, users=None))
    shared = replace(general, numa=None, threads=None, watts=None, link=None, graphs=None, huge_pages=None)
    shared = replace(shared, nvlink=None, peers=None, by_rows=None, experts_on_cpu=None, ubatch=None)
    if re.match("gpu_p2p|p2p_|nvlink", row.text("effect")):  # what an earlier row ran says nothing of who exchanges
        shared = replace(shared, engine=read(f"{source} ; {notes}", Condition()).engine)
    first = read(a_text, shared)
    second = read(b_text, first)
    first = _filled(first, second)
    effect = row.text("effect")
    _sayable(effect, row.text("unit"), f"{a_text} {b_text} {notes}", first, second)
    return _request(first, effect), _request(second, effect)


def _sayable(effect: str, unit: str, text: str, first: Condition, second: Condition) -> None:
    """Raises _Unsaid for pairs whose difference no layout holds."""
    words = text.lower()
    if re.search(r"\bgb/s|\bus\b", unit.lower()):
        raise _Unsaid(sentence("rows-host-effects.copies-between-gpus-2", "copies between GPUs are not predicted"))
    if unknown := _unknown(first, second):
        raise _Unsaid(sentence("rows-host-effects.unknown-model", "unknown model: {unknown}", unknown=unknown))
    if re.search(r"also chang|also differ|version also|confounded|different rigs|\+ vm together|vm together", words):
        raise _Unsaid(
            sentence("rows-host-effects.confounded-more-told", "confounded: more than the told condition differs")
        )
    if "single-stream" in words:
        raise _Unsaid(sentence("rows-host-effects.copy-loop-somebody", "a copy loop of somebody's own"))
    if "undervolt" in words:
        raise _Unsaid(
            sentence("rows-host-effects.undervolting-part", "undervolting is no part of a machine's description")
        )
    if "not dividing" in words:
        raise _Unsaid(
            sentence("rows-host-effects.rows-do-divide", "rows that do not divide over threads are not modelled")
        )
    if effect in ("numa_binding", "hyper_threading") and (first.sockets or 1) == 1 and "numa node" in words:
        raise _Unsaid(sentence("rows-host-effects.numa-nodes-within", "NUMA nodes within one socket are not modelled"))
    if effect == "power_cap" and _engine(first) not in _LOCAL:
        raise _Unsaid(
            sentence("rows-host-effects.serving-engines", "serving engines are not modelled under a power cap")
        )
    if effect == "n_cpu_moe" and 0 in (first.experts_on_cpu, second.experts_on_cpu):
        raise _Unsaid(sentence("rows-host-effects.memory-drivers-page", "memory that drivers page out is not modelled"))


def _engine(condition: Condition) -> Engine:
    """As told; several GPUs are served by vLLM, one by llama.cpp, where it is not."""
    return condition.engine or (Engine.VLLM if (condition.gpus or 1) > 1 else Engine.LLAMA_CPP)


def _unknown(first: Condition, second: Condition) -> str:
    """A model that was named on either side and is not known."""
    return first.unknown or second.unknown


def _filled(first: Condition, second: Condition) -> Condition:
    """`first` with the model, GPUs and CPU that only the other side names."""
    names = ("model", "quantisation", "gpu", "gpus", "engine", "cpu", "sockets", "ram")
    missing = {name: getattr(second, name) for name in names if getattr(first, name) is None}
    return replace(first, **missing)


def _request(condition: Condition, effect: str) -> Request:
    condition = _usual(condition, effect)
    if condition.cpu is None and condition.gpu is None:
        raise _Unsaid(sentence("rows-host-effects.neither-cpu-nor", "neither CPU nor GPU is told"))
    engine = _engine(condition)
    model = condition.model or named(_USUAL_MODEL)
    kind = condition.quantisation or quantisation(_USUAL_QUANT if engine in _LOCAL else "fp8")
    machine, gpus = _machine(condition), condition.gpus if condition.gpu else 0
    if engine not in _LOCAL and not gpus:
        raise _Unsaid(sentence("rows-host-effects.serving-engine-cpus", "a serving engine on CPUs"))
    layout = Layout(
        engine,
        kind.id,
        gpus=gpus or 0,
        tensor_parallel=(gpus or 1) if engine not in _LOCAL or condition.by_rows else 1,
        offload=_offload(condition, effect, model.is_moe, engine),
        numa=condition.numa or (NumaPolicy.INTERLEAVE if (condition.sockets or 1) > 1 else NumaPolicy.ONE_SOCKET),
        threads=condition.threads,
        ubatch_tokens=condition.ubatch or (4096 if effect == "pcie_width_prefill" else 512),
        max_sequences=max(condition.users or 1, 1 if engine in _LOCAL else 64),
        cuda_graphs=condition.graphs is not False,
        huge_pages=bool(condition.huge_pages),
        options=(("gpu_memory_utilization", "0.95"),) if engine not in _LOCAL else (),
    )
    prompt = max(1024, layout.ubatch_tokens)
    load = Workload("pair", condition.users or 1, prompt, 256)
    experts = sum(isinstance(layer.ffn, MoeFfn) for layer in model.layers)
    if layout.offload.cpu_expert_layers and layout.offload.cpu_expert_layers > experts:
        layout = replace(layout, offload=Offload(cpu_expert_layers=experts))
    return Request(machine, model, weights(model, kind), layout, load)


def _usual(condition: Condition, effect: str) -> Condition:
    """A usual machine where a pair names none: experts in RAM need a CPU and a card, links a card."""
    if effect in ("n_cpu_moe", "pcie_width_prefill", "ubatch_vs_pcie") and condition.engine is not Engine.VLLM:
        card = condition.gpu or gpu_spec("rtx 5060 ti 16gb" if effect == "n_cpu_moe" else "rtx 3090")
        return replace(condition, gpu=card, gpus=1, cpu=condition.cpu or cpu_spec("ryzen 9 7950x"))
    if effect in ("thread_count", "numa_threads") and condition.cpu is None and condition.gpu is None:
        return replace(condition, cpu=cpu_spec("epyc 9654"))
    return condition


def _offload(condition: Condition, effect: str, moe: bool, engine: Engine) -> Offload:
    if condition.gpu is None:
        return CPU_ONLY
    if condition.experts_on_cpu is not None:
        return Offload(cpu_expert_layers=condition.experts_on_cpu)
    streamed = effect in ("ubatch_vs_pcie", "pcie_width_prefill", "pcie_prefill_cap")
    hybrid = engine in _LOCAL and moe and (condition.cpu is not None or streamed)
    feeds = effect.startswith(("cpu_feed", "power_cap", "cuda_graph")) and engine is not Engine.KTRANSFORMERS
    return EXPERTS_ON_CPU if hybrid and not feeds else ALL_GPU


def _machine(condition: Condition) -> Machine:
    sockets = tuple(_socket(index, condition) for index in range(condition.sockets or 1)) if condition.cpu else ()
    count = condition.gpus or 1
    gpus = (
        tuple(
            Gpu(index, condition.gpu, condition.gpu.name, link=condition.link, power_limit_w=condition.watts)
            for index in range(count)
        )
        if condition.gpu
        else ()
    )
    links = tuple(
        GpuLink(index, index + 1, "nvlink", condition.gpu.link_bytes_per_s or 56e9)
        for index in range(0, count - 1, 2)
        if condition.nvlink and condition.gpu
    )
    peers = tuple(
        PeerAccess(index, index + 1, condition.peers) for index in range(count - 1) if condition.peers is not None
    )
    return Machine("pair", Origin.PARTS, sockets, gpus=gpus, gpu_links=links, peers=peers)


def _socket(index: int, condition: Condition) -> Socket:
    cpu: CpuSpec | None = condition.cpu
    if cpu is None:
        return Socket(index)
    ram = condition.ram
    channels = min(cpu.memory_channels, ram.channels or cpu.memory_channels) if ram else cpu.memory_channels
    if ram and ram.modules:
        channels = max(1, min(cpu.memory_channels, ram.modules // (condition.sockets or 1)))
    return Socket(
        index, cpu, cores=cpu.cores, channels=channels, mt_s=(ram.mt_s if ram else None) or cpu.memory_mt_s[0]
    )
