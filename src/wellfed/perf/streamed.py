"""What reading experts from disk costs: the bytes of a step that memory does not hold, over the disk's rate.

    decode:  active experts' bytes x share on disk / (rate x achieved), as tokens choose experts evenly
    prompt:  all experts' bytes on disk, once for every ubatch

Page faults read in small pieces: half of a disk's sequential rate is taken to be reached (assumed). Experts that are
asked for more often than others stay in memory, so that a real system is quicker than this.
"""

from __future__ import annotations

from math import ceil

from wellfed.message import sentence
from wellfed.models.ffn import MoeFfn
from wellfed.nouns.estimate import Estimate, Source, Term
from wellfed.nouns.plan import Request
from wellfed.perf.load import SOURCE_BYTES_PER_S
from wellfed.perf.memory import ledgers
from wellfed.perf.memory.held import weight_sums
from wellfed.perf.memory.streamed import is_streamed, on_disk_bytes, unstreamed
from wellfed.perf.slowed import slowed
from wellfed.provenance import Assumption

_ACHIEVED, _SIGMA = 0.5, 0.5  # of the disk's rate; log error (both assumed)
_KINDS = {"ssd": Source.SSD, "hdd": Source.HDD, "usb": Source.USB, "network": Source.NETWORK}


def with_disk(estimate: Estimate, request: Request) -> Estimate:
    """The estimate with what the disk adds to it; as it is where nothing is read from there."""
    if not is_streamed(request.layout):
        return estimate
    away = on_disk_bytes(ledgers(unstreamed(request)), estimate.memory)
    if not away:
        return estimate
    kind = next((disk.kind for disk in request.machine.disks if disk.holds_models), None)
    source = _KINDS.get(kind or "", Source.NVME)
    rate = SOURCE_BYTES_PER_S[source] * _ACHIEVED
    share = away / weight_sums(request.weights).routed[-1]
    step = Term("experts from disk", share * _active_bytes(request) / rate, "disk", "disk")
    chunks = ceil(request.workload.prompt_tokens / max(1, request.layout.ubatch_tokens))
    prompt = Term("experts from disk", chunks * away / rate, "disk", "disk")
    return slowed(estimate, step, prompt, request, _assumption(rate, source), _SIGMA)


def _active_bytes(request: Request) -> float:
    """Routed experts' bytes that one token reads."""
    pairs = zip(request.model.layers, request.weights.layers, strict=True)
    return sum(
        layer_weights.routed_experts * layer.ffn.active / layer.ffn.experts
        for layer, layer_weights in pairs
        if isinstance(layer.ffn, MoeFfn)
    )


def _assumption(rate: float, source: Source) -> Assumption:
    text = sentence(
        "streamed.rate", "experts are read from {source} at {rate:.1f} GB/s", source=source.value, rate=rate / 1e9
    )
    return Assumption(text, sentence("streamed.rate-2", "half of its sequential rate, by page faults; not measured"))
