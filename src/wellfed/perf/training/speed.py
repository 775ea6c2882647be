"""The time of a training step: GPUs, what joins them, the optimizer, and the host that feeds them.

    compute = tokens x (2 forward + 4 or 2 back + 2 again with checkpointing) x weights passed, over the matrix rate
    exchange = gradients reduced (and weights gathered three times where they are divided), over the links
    update = bytes of trained weights' state over the GPU's bandwidth; offloaded: over PCIe and RAM's bandwidth
    feeding = tokens over what the loading workers tokenise, beside the rest
    checkpoints = bytes written over the disk's rate, every so many steps

Rates are priors, not fits: no training measurement stands behind them, and the interval says so.
"""

from __future__ import annotations

from wellfed.errors import Unsupported
from wellfed.hardware.parts import GpuSpec
from wellfed.nouns.estimate import Quantity
from wellfed.nouns.training import Method, Pace, Precision, Recipe, TrainingEstimate, TrainingRequest
from wellfed.perf.host import host_speed
from wellfed.perf.serving.links import link
from wellfed.perf.training.activations import trained_layers
from wellfed.perf.training.memory import ledger
from wellfed.perf.training.state import counts, per_weight
from wellfed.provenance import Assumption

_ACHIEVED = 0.42  # of the data sheet's dense matrix rate: published runs lie between 0.3 and 0.55
_QLORA_ACHIEVED = 0.8  # of it, where each multiplication unpacks 4-bit weights first: assumed
_BANDWIDTH = 0.75  # achieved share of memory bandwidth in the update: assumed
_CPU_UPDATE = 0.5  # achieved share of RAM's bandwidth in an update on the CPU: assumed
_OVERLAPPED = 0.7  # of the exchange that hides behind the way back: assumed
_SIGMA = 0.35  # log error of a prior: a factor of 1.57 either way
# A tokenizer's thread on the reference core (fast, compiled), and how many cores a rank's loading workers take:
# assumed.
_TOKENISED_PER_S, _WORKERS_PER_RANK = 250_000.0, 4
_DISK_BYTES_PER_S = 1.5e9  # written, an NVMe disk; others by their kind (assumed)
_DISKS = {"nvme": 1.5e9, "ssd": 0.45e9, "hdd": 0.15e9, "network": 0.5e9, "usb": 0.3e9}
_STEPS_PER_CHECKPOINT = 500  # transformers' default (TrainingArguments.save_steps)


def estimate_training(request: TrainingRequest) -> TrainingEstimate:
    """Memory by formula, samples a second as a prior. Raises Unsupported for GPUs without a data sheet."""
    specs = [gpu.spec for gpu in request.machine.gpus]
    if not specs or specs[0] is None:
        raise Unsupported("training is planned on GPUs whose data sheet is known")
    step = _step(request, specs[0])
    alone = sum(part.seconds for part in step if not part.beside)
    seconds = max(alone, *(part.seconds for part in step if part.beside), 1e-9)
    rate = request.task.batch / seconds
    slowest = max(step, key=lambda part: part.seconds)
    return TrainingEstimate(
        memory=ledger(request),
        step=step,
        samples_per_s=Quantity.lognormal(rate, _SIGMA),
        tokens_per_s=Quantity.lognormal(rate * request.task.sequence_tokens, _SIGMA),
        limited_by=slowest.limited_by,
        assumptions=_assumptions(request),
    )


def _step(request: TrainingRequest, gpu: GpuSpec) -> tuple[Pace, ...]:
    paces = [Pace("compute", _compute_s(request, gpu), "matrix units")]
    exchange = _exchange_s(request, gpu)
    if exchange:
        compute = paces[0].seconds
        shown = exchange * (1 - _OVERLAPPED) + max(0.0, exchange * _OVERLAPPED - compute)
        paces.append(Pace("exchange", shown, "links between GPUs"))
    paces += _update(request, gpu)
    paces.append(_feeding(request))
    paces.append(_checkpoints(request))
    return tuple(paces)


def _compute_s(request: TrainingRequest, gpu: GpuSpec) -> float:
    """A GPU's part of the batch: the weights a token passes, attention over half the sequence on average."""
    task, layout, model = request.task, request.layout, request.model
    sequences = task.batch * task.sequences / layout.gpus
    trained = len(trained_layers(request)) / len(model.layers)
    back = (4.0 if task.method is Method.FULL else 2.0) * trained
    again = 2.0 * trained if layout.checkpointing else 0.0
    reference = 2.0 if task.recipe is Recipe.DPO else 0.0
    linear = sequences * task.sequence_tokens * model.active_parameters * (2.0 + back + again + reference)
    pairs = sum(layer.attention.score_flops(task.sequence_tokens, task.sequence_tokens) for layer in model.layers)
    scores = sequences * pairs * (1.0 + 2.0 * trained + (trained if layout.checkpointing else 0.0) + reference / 2)
    waiting = 1.0 + (layout.pipeline - 1) / _micro_steps(request)  # stages fill and run dry once a step
    return waiting * (linear + scores) / _matrix_rate(request, gpu)


def _matrix_rate(request: TrainingRequest, gpu: GpuSpec) -> float:
    peak = gpu.peak
    plain = peak.bf16 or peak.fp16 or peak.fp32
    if plain is None:
        raise Unsupported(f"{gpu.name} has no matrix rate in the catalogue")
    rate = (peak.fp8 or plain) if request.task.precision is Precision.FP8 else plain
    return rate * _ACHIEVED * (_QLORA_ACHIEVED if request.task.method is Method.QLORA else 1.0)


def _exchange_s(request: TrainingRequest, gpu: GpuSpec) -> float:
    """Gradients once a step (reduced: 2 (n - 1) / n of their bytes); divided weights twice for every micro-batch."""
    layout, trained_counts, per_trained = request.layout, counts(request), per_weight(request)
    if layout.gpus == 1:
        return 0.0
    bandwidth = link(request.machine, gpu, layout.gpus).bytes_per_s
    ring = (layout.gpus - 1) / layout.gpus
    sent = 2.0 * ring * trained_counts.trained / layout.divided * min(per_trained.gradient, 4.0)
    if layout.shard.divides_weights:
        size = (
            trained_counts.trained * per_trained.weight if request.task.method is Method.FULL else request.frozen.total
        )
        sent += 2.0 * ring * size / layout.divided * _micro_steps(request)
    return sent / bandwidth + _within_replicas_s(request, gpu)


def _within_replicas_s(request: TrainingRequest, gpu: GpuSpec) -> float:
    """Seconds of a step between ranks of a replica, which are neighbours: tensor ranks gather and scatter a layer's
    input twice each way (eight times its 16 bits), context ranks pass keys and values on and their gradients back.
    """
    model, layout, task = request.model, request.layout, request.task
    tokens = task.batch * task.sequences * task.sequence_tokens / layout.replicas / layout.context / layout.pipeline
    tensor = 8 * 2.0 * tokens * model.hidden * len(model.layers) * (layout.tensor - 1) / layout.tensor
    caches = sum(layer.attention.cache_elements(1) for layer in model.layers)
    context = 3 * 2.0 * tokens * caches * (layout.context - 1) / layout.tensor
    seconds = 0.0
    for sent, ranks in ((tensor, layout.tensor), (context, layout.tensor * layout.context)):
        seconds += sent / link(request.machine, gpu, ranks).bytes_per_s if sent else 0.0
    return seconds


def _micro_steps(request: TrainingRequest) -> float:
    return max(1.0, request.task.batch / (request.layout.replicas * request.layout.micro_batch))


def _update(request: TrainingRequest, gpu: GpuSpec) -> list[Pace]:
    layout, trained_counts, per_trained = request.layout, counts(request), per_weight(request)
    shard = trained_counts.trained / layout.divided / layout.sharded_over
    touched = shard * (per_trained.weight + per_trained.gradient + 2 * per_trained.state)
    if not layout.offload:
        return [Pace("update", touched / (gpu.memory_bandwidth_bytes_per_s * _BANDWIDTH), "memory bandwidth")]
    machine = request.machine
    here = min(layout.gpus, max(1, len(machine.gpus)))
    ram = machine.measured_memory_bandwidth_bytes_per_s or machine.memory_bandwidth_bytes_per_s
    crossing = shard * 4.0 / _pcie_bytes_per_s(request, gpu)  # 16-bit gradients down, 16-bit weights up
    paces = [Pace("offload over PCIe", crossing, "PCIe")]
    if ram is not None:
        paces.append(
            Pace(
                "update on the CPU", here * shard * (8.0 + 2 * per_trained.state) / (ram * _CPU_UPDATE), "RAM bandwidth"
            )
        )
    return paces


def _pcie_bytes_per_s(request: TrainingRequest, gpu: GpuSpec) -> float:
    """The GPU's own link as it is read, else its data sheet's, at four fifths of the raw rate."""
    link = request.machine.gpus[0].link
    rate = link.bytes_per_s if link is not None else None
    if rate is None:
        generation, lanes = gpu.pcie_generation or 4, gpu.pcie_lanes or 16
        rate = 0.985e9 * 2 ** (generation - 3) * lanes
    return rate * 0.8


def _feeding(request: TrainingRequest) -> Pace:
    """Loading workers that tokenise, beside the GPUs' work: at most the cores that are there."""
    machine = request.machine
    here = min(request.layout.gpus, max(1, len(machine.gpus)))
    cores = machine.cores or here * _WORKERS_PER_RANK
    workers = max(1, min(here * _WORKERS_PER_RANK, cores - here))
    per_second = workers * _TOKENISED_PER_S * host_speed(machine).ratio * request.layout.gpus / here
    tokens = request.task.batch * request.task.sequence_tokens
    return Pace("tokenising and loading", tokens / per_second, "loading workers", beside=True)


def _checkpoints(request: TrainingRequest) -> Pace:
    """A step's share of a checkpoint: adapters alone, or weights and state."""
    trained_counts, per_trained = counts(request), per_weight(request)
    disk = next((disk for disk in request.machine.disks if disk.holds_models), None)
    rate = _DISKS.get((disk.kind or "") if disk else "", _DISK_BYTES_PER_S)
    size = trained_counts.trained * (per_trained.weight + per_trained.state)
    return Pace("checkpoints", size / rate / _STEPS_PER_CHECKPOINT, "the disk")


def _assumptions(request: TrainingRequest) -> tuple[Assumption, ...]:
    assumptions = [
        Assumption("samples a second are a prior", "no training measurement is in the calibration"),
        Assumption(f"{_ACHIEVED:.0%} of the matrix units' data-sheet rate", "published runs lie between 30 and 55 %"),
        Assumption(f"a checkpoint every {_STEPS_PER_CHECKPOINT} steps"),
    ]
    if request.model.is_moe and request.task.method is Method.QLORA:
        text = "routed experts are in few bits too"
        assumptions.append(Assumption(text, "Unsloth's and Axolotl's loaders; transformers 5 leaves them in 16 bits"))
    if request.frozen.towers:
        assumptions.append(Assumption("what sees and hears is frozen", "as LLaMA-Factory and ms-swift do"))
    assumptions.append(Assumption("every sequence has its full length", "packed, or padded to the longest"))
    if request.layout.offload:
        assumptions.append(
            Assumption("the update on the CPU stands between steps", "as ZeRO-Offload does without delay")
        )
    return tuple(assumptions)
