"""Terms of a decode step and of a whole prompt for a local engine, on GPUs, CPUs or both.

`perf.hybrid` divides a step's works between CPU and GPU; the GPUs' share is timed here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from datetime import date

from wellfed.errors import Unsupported
from wellfed.frozen import dataclass, replace
from wellfed.hardware.machine import Gpu
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Term, Work
from wellfed.nouns.layout import BackEnd, Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.perf import hybrid
from wellfed.perf.gpu import GpuDevice, build_name, build_number, gpu_device
from wellfed.perf.gpu_pass import pass_of, prompt_steps
from wellfed.perf.gpu_rates import GpuRates, gpu_rates
from wellfed.perf.gpu_terms import Run, decode_terms, prompt_terms
from wellfed.perf.host import host_speed
from wellfed.perf.latent import as_run
from wellfed.perf.memory.held import expert_layers
from wellfed.perf.memory.llamacpp_place import place, used_gpus
from wellfed.perf.numa import cpu_share
from wellfed.perf.ops import Step

_GRAPH_BUILD = 2817  # llama.cpp replays decode from CUDA graphs from b2817 on (ggml-cuda, May 2024)
_IK_GRAPHS = date(2025, 8, 15)  # ik_llama.cpp does for models with experts, too, since its pull request 689


@dataclass(frozen=True, slots=True)
class GpuShare:
    """GPUs of one kind in a layout and the share of the layers they hold.

    Where the layout says how layers are split, the shares of single works differ: `experts` of the routed experts that
    GPUs hold, `streamed` of all routed experts in a step that copies those in RAM to the first GPU, `head` of the head.
    """

    device: GpuDevice
    share: float
    experts: float | None = None
    streamed: float | None = None
    head: float | None = None

    def of(self, work: str, streamed: bool) -> float:
        """The share of the work of this name."""
        shares_by_work = {"routed experts": self.streamed if streamed else self.experts, "output head": self.head}.get(
            work
        )
        return self.share if shares_by_work is None else shares_by_work


def gpu_shares(request: Request) -> tuple[GpuShare, ...]:
    """The layout's GPUs by kind; layers are divided as the layout says, or by memory as llama.cpp does.

    Raises Unsupported when the machine has fewer GPUs than the layout asks for.
    """
    gpus = request.machine.gpus[: request.layout.gpus]
    if len(gpus) < request.layout.gpus:
        have, wanted = len(request.machine.gpus), request.layout.gpus
        raise Unsupported(
            sentence(
                "local-steps.layout-uses-gpus",
                "the layout uses {asked} GPUs and the machine has {have}",
                asked=wanted,
                have=have,
            ),
            sentence("local-steps.ask-fewer-gpus", "ask for fewer GPUs"),
        )
    devices = [gpu_device(gpu, request.machine, request.layout.back_end) for gpu in gpus]
    if request.layout.split and len(set(devices)) > 1:
        return _split_shares(request, devices)
    sizes = [_memory(gpu) for gpu in gpus]
    return tuple(GpuShare(device, share) for device, share in _by_kind(devices, sizes).items())


def _split_shares(request: Request, devices: Sequence[GpuDevice]) -> tuple[GpuShare, ...]:
    """Shares of the layers that the split gives to each kind, and of the experts in them."""
    placement = place(request, used_gpus(request))
    experts = expert_layers(request.model)
    routed = [_within(experts, *placement.expert_layers(span)) for span in placement.spans]
    in_ram = _within(experts, placement.cpu_experts.first, placement.cpu_experts.last)
    layers = _by_kind(devices, [span.layers for span in placement.spans])
    by_device = _by_kind(devices, routed)
    copied = _by_kind(devices, [routed[0] + in_ram, *routed[1:]])
    head = _by_kind(devices, [span.output for span in placement.spans])
    return tuple(
        GpuShare(device, share, by_device[device], copied[device], head[device]) for device, share in layers.items()
    )


def _within(layers: Sequence[int], first: int, last: int) -> int:
    return sum(first <= layer < last for layer in layers)


def _by_kind(devices: Sequence[GpuDevice], sizes: Sequence[float]) -> dict[GpuDevice, float]:
    """Each kind's share of the sum of `sizes`; zeros where that is nothing."""
    shares: dict[GpuDevice, float] = {}
    total = sum(sizes) or 1.0
    for device, size in zip(devices, sizes, strict=True):
        shares[device] = shares.get(device, 0.0) + size / total
    return shares


def _memory(gpu: Gpu) -> float:
    return float(gpu.memory_bytes or (gpu.spec.memory_bytes if gpu.spec else 0) or 1)


def run_of(layout: Layout, back_end: BackEnd) -> Run:
    """How an engine's build runs the works. Only models wholly on GPUs are pipelined (llama-context.cpp)."""
    build = build_number(layout)
    return Run(
        gpus=max(1, layout.gpus),
        expand=build is not None,
        flash=layout.flash_attention,
        replayed=_replayed(layout, build, back_end),
        pipelined=layout.offload.gpu_layers is None and layout.offload.cpu_expert_layers == 0,
        row_split=layout.tensor_parallel > 1 and layout.gpus > 1,  # llama.cpp has no other tensor parallelism
        ahead=build is None
        and layout.engine is not Engine.KTRANSFORMERS,  # its host waits for the experts of each layer
    )


def _replayed(layout: Layout, build: int | None, back_end: BackEnd) -> bool:
    """CUDA alone replays decode steps from graphs by default; layers on the CPU cut them (ggml-cuda, llama.cpp)."""
    if back_end is not BackEnd.CUDA or not layout.cuda_graphs:
        return False
    if layout.engine is Engine.IK_LLAMA_CPP:
        return not layout.is_built_before(_IK_GRAPHS)
    return build is None or (build >= _GRAPH_BUILD and layout.gpus == 1)


def served(layout: Layout) -> bool:
    """Whether a server samples and answers; the option `bench` is for `llama-bench` and its kin, which do not."""
    return dict(layout.options).get("bench") != "1"


def decode_step(
    request: Request, calibration: Calibration, shares: Sequence[GpuShare], sequences: float, context: float
) -> tuple[Term, ...]:
    """One token for each of `sequences` with `context` tokens behind it; with speculation, the pass that verifies."""
    guess = request.layout.speculation
    tokens = sequences * (1 + guess.tokens if guess else 1)
    step = Step(tokens, sequences, context, tokens)
    streamed = hybrid.streams(request, step)

    def on_gpus(works: tuple[Work, ...]) -> tuple[Term, ...]:
        model, layers = as_run(request.model, request.layout), _gpu_layers(request)
        gpu_pass = pass_of(model, layers, works, step, served=served(request.layout))
        return _over(
            shares, lambda device: decode_terms(gpu_pass, device, _rates(request, calibration, device), run), streamed
        )

    run = _run(request, shares)
    terms = hybrid.step_terms(request, step, calibration, on_gpus)
    return terms if shares or not served(request.layout) else (*terms, _answering(request, tokens, calibration))


_STREAMED_S = 0.15e-3  # of the reference core for each token of a stream: JSON and HTTP (measured once, on Zen 5)


def _answering(request: Request, tokens: float, calibration: Calibration) -> Term:
    """The server's loop and sampling, after the CPUs' step; where threads take all cores, the stream takes its turn."""
    share = cpu_share(request.machine, request.layout)
    words = request.model.vocabulary * tokens
    host_s = calibration.value("local", "token_host_us") * 1e-6 + calibration.value("local", "sample_ns") * 1e-9 * words
    if share.threads >= share.cores + share.light_cores:
        host_s += _STREAMED_S * tokens
    return Term("host", host_s / host_speed(request.machine).ratio, "host CPU", "host")


def prompt(
    request: Request, calibration: Calibration, shares: Sequence[GpuShare], tokens: float, depth: float
) -> tuple[Term, ...]:
    """A whole prompt of `tokens` after `depth` cached ones."""
    step, repeats = prompt_steps(tokens, depth, hybrid.micro_batch(request.layout))
    run, streamed = _run(request, shares), hybrid.streams(request, step)
    gpu_terms: list[Term] = []  # the GPUs' terms are of the whole prompt, the others' of one micro-batch

    def on_gpus(works: tuple[Work, ...]) -> tuple[Term, ...]:
        model, layers = as_run(request.model, request.layout), _gpu_layers(request)
        gpu_pass = pass_of(model, layers, works, step, repeats, served(request.layout))
        gpu_terms.extend(
            _over(
                shares,
                lambda device: prompt_terms(gpu_pass, device, _rates(request, calibration, device), run),
                streamed,
            )
        )
        return ()

    others = hybrid.step_terms(request, step, calibration, on_gpus)
    return (*gpu_terms, *(replace(term, seconds=term.seconds * repeats) for term in others))


def _run(request: Request, shares: Sequence[GpuShare]) -> Run:
    return run_of(request.layout, shares[0].device.back_end if shares else BackEnd.CUDA)


def _gpu_layers(request: Request) -> range:
    count = len(request.model.layers)
    return range(count - request.layout.offload.layers_on_gpu(count), count)


def _rates(request: Request, calibration: Calibration, device: GpuDevice) -> GpuRates:
    return gpu_rates(calibration, device, build_name(request.layout))


def _over(
    shares: Sequence[GpuShare], terms_on: Callable[[GpuDevice], tuple[Term, ...]], streamed: bool
) -> tuple[Term, ...]:
    """Terms of works divided over kinds of GPUs that take turns: each is linear in what it works on."""
    if len(shares) == 1:
        return terms_on(shares[0].device)
    return _added(
        replace(term, seconds=term.seconds * share.of(term.name.partition(":")[0], streamed))
        for share in shares
        for term in terms_on(share.device)
    )


def _added(terms: Iterable[Term]) -> tuple[Term, ...]:
    by_name: dict[str, Term] = {}
    for term in terms:
        earlier = by_name.get(term.name)
        by_name[term.name] = term if earlier is None else replace(earlier, seconds=earlier.seconds + term.seconds)
    return tuple(by_name.values())
