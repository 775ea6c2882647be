"""Estimates for local engines: llama.cpp, ik_llama.cpp and KTransformers, on GPUs, CPUs or both."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from wellfed.frozen import dataclass, replace
from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Estimate, Quantity, Speeds, Term, heaviest_limit, total_seconds
from wellfed.nouns.layout import MOST_SLOTS, BackEnd, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.gpu import GpuDevice, build_name
from wellfed.perf.gpu_rates import OLD_BUILDS
from wellfed.perf.local_steps import GpuShare, decode_step, gpu_shares, prompt
from wellfed.perf.memory import memory
from wellfed.perf.numa import cpu_share
from wellfed.perf.tower import TOWER_SIGMA, assumptions, tower_share, tower_terms
from wellfed.provenance import Assumption

_OBSERVED_S = 600.0  # seconds for which an overload is watched: assumed
_OF_ANOTHER = 0.3  # log error of taking one engine's kernels for another's: assumed
_ASSUMED_WIDER = 1.3  # intervals on GPUs whose clock, units or link had to be assumed


@dataclass(frozen=True, slots=True)
class Times:
    """A mean decode step of `running` sequences, one whole prompt, and the GPUs they run on."""

    decode: tuple[Term, ...]
    prefill: tuple[Term, ...]
    running: float
    shares: tuple[GpuShare, ...]
    utilisation: float | None = None  # requests that arrive over those that could be served with every slot busy

    @property
    def decode_s(self) -> float:
        """Seconds of a decode step."""
        return total_seconds(self.decode)

    @property
    def prefill_s(self) -> float:
        """Seconds of a prompt that has the machine for itself."""
        return total_seconds(self.prefill)


def estimate_local(request: Request, calibration: Calibration) -> Estimate:
    """What a local engine would do. Raises Unsupported for GPUs that are not there or without a data sheet."""
    times = local_times(request, calibration)
    workload, speeds, busy = request.workload, _speeds(request, times), times.utilisation
    decode_sigma, prefill_sigma = sigmas(request, calibration, times.shares)
    doubt = _TURNS_SIGMA * min(1.0, turns(request) - 1)  # the load of this moment may be another in the next
    decode_sigma, prefill_sigma = math.hypot(decode_sigma, doubt), math.hypot(prefill_sigma, doubt)
    prefill_sigma = math.hypot(prefill_sigma, TOWER_SIGMA * tower_share(times.prefill))
    return Estimate(
        memory=memory(request),
        decode=times.decode,
        prefill=times.prefill,
        ttft_s=Quantity.lognormal(speeds.ttft_s, prefill_sigma),
        tpot_s=Quantity.lognormal(speeds.tpot_s, decode_sigma),
        prefill_tok_s=Quantity.lognormal(workload.prompt_tokens / times.prefill_s, prefill_sigma),
        total_tok_s=Quantity.lognormal(speeds.total_tok_s, max(decode_sigma, prefill_sigma)),
        limited_by=heaviest_limit(times.decode) if busy is None or busy < 1 else "the server's slots",
        running=times.running,
        assumptions=(
            *_assumptions(times),
            *_turns_said(request),
            *assumptions(workload.pictures),
            *_arrivals(busy),
            *_waiting(workload, times),
            *_evidence(request, calibration, times.shares),
        ),
        calibration=calibration.id,
    )


def local_speeds(request: Request, calibration: Calibration) -> Speeds:
    """The middle values of `estimate_local`, without what explains them. Raises Unsupported as that."""
    return _speeds(request, local_times(request, calibration))


def _speeds(request: Request, times: Times) -> Speeds:
    workload, busy = request.workload, times.utilisation
    ttft, tpot = latencies(times, workload)
    output = max(1, workload.output_tokens)
    if workload.request_rate is None or busy is None:
        return Speeds(ttft, tpot, times.running * output / (ttft + output * tpot))
    queue = _queue_s(busy, _slots(request.layout), times.prefill_s + output * tpot)
    return Speeds(ttft + queue, tpot, output * workload.request_rate / max(1.0, busy))


def local_times(request: Request, calibration: Calibration) -> Times:
    """The terms of both phases, memory left out."""
    shares = () if request.layout.offload.cpu_only and not request.layout.gpus else gpu_shares(request)
    workload = request.workload
    stretch = turns(request)
    prefill = prompt(request, calibration, shares, max(1, workload.prompt_tokens), workload.depth_tokens)
    pictures = tower_terms(request, calibration, [share.device for share in shares])
    prefill = _in_turns((*prefill, *pictures), stretch)

    def step(sequences: float) -> tuple[Term, ...]:
        context = max(1.0, workload.mean_decode_context)
        verified = _in_turns(decode_step(request, calibration, shares, sequences, context), stretch)
        guess = request.layout.speculation
        if guess is None:
            return verified
        plain = replace(request, layout=replace(request.layout, speculation=None))
        once = total_seconds(decode_step(plain, calibration, shares, sequences, context))
        drafting = Term("drafting", guess.tokens * guess.draft_share * once, "drafting")
        terms = (*verified, drafting) if guess.draft_share else verified
        return tuple(replace(term, seconds=term.seconds / guess.acceptance_length) for term in terms)

    prefill_s = total_seconds(prefill)
    running = _running(request, prefill_s, lambda n: total_seconds(step(n)))
    busy = None
    if workload.request_rate is not None:
        slots = _slots(request.layout)
        service_s = prefill_s * slots + max(1, workload.output_tokens) * total_seconds(step(slots))
        busy = workload.request_rate * service_s / slots
    return Times(step(running), prefill, running, shares, busy)


_TURNS_SIGMA = 0.4  # assumed: how far the load of one look is from that of the minutes that follow


def turns(request: Request) -> float:
    """How many times as long the CPUs' part takes while other programs want the same cores: all that run take turns.

    (threads of others + own) / cores; 1 where there are cores for all, or nobody has looked.
    """
    others = request.machine.os.others_running
    if not others:
        return 1.0
    share = cpu_share(request.machine, request.layout)
    return max(1.0, (others + share.threads) / (share.cores + share.light_cores))


def _in_turns(terms: tuple[Term, ...], stretch: float) -> tuple[Term, ...]:
    if stretch == 1.0:
        return terms
    on_cores = ("cpu", "host")
    return tuple(replace(t, seconds=t.seconds * stretch) if t.device in on_cores else t for t in terms)


def _turns_said(request: Request) -> tuple[Assumption, ...]:
    stretch, others = turns(request), request.machine.os.others_running
    if stretch < 1.05 or others is None:
        return ()
    text = sentence("perf.local.turns", "other programs want {others:.1f} cores: {times:.1f} times as long on the CPUs",
                    others=others, times=stretch)  # fmt: skip
    return (Assumption(text, sentence("perf.local.turns.why", "as it is now")),)


def _running(request: Request, prefill_s: float, step_s: Callable[[float], float]) -> float:
    """Sequences that decode together: the users, or what the request rate keeps busy, at most the slots."""
    workload, slots = request.workload, _slots(request.layout)
    if workload.request_rate is None:
        return min(float(max(1, workload.concurrency)), slots)
    running = 1.0
    for _ in range(6):  # Little's law: running = rate x time in service
        busy = workload.request_rate * (prefill_s * running + max(1, workload.output_tokens) * step_s(running))
        running = min(max(1.0, busy), slots)
    return running


def _slots(layout: Layout) -> float:
    return float(layout.max_sequences if layout.max_sequences > 1 else MOST_SLOTS)


def _queue_s(busy: float, slots: float, service_s: float) -> float:
    """Mean wait for a slot: random arrivals, equal requests (Sakasegawa 1977); overloaded, over the first ten minutes.

    What arrives beyond capacity waits for all before it: after T seconds T x (1 - 1/busy), half of that on average.
    """
    grown = _OBSERVED_S / 2 * max(0.0, 1 - 1 / busy) if busy > 0 else 0.0
    if busy >= 1:
        return grown
    wait: float = 0.5 * service_s * busy ** (math.sqrt(2 * (slots + 1)) - 1) / (slots * (1 - busy))
    return min(wait, _OBSERVED_S / 2)


def _evidence(request: Request, calibration: Calibration, shares: Sequence[GpuShare]) -> tuple[Assumption, ...]:
    """How many measured rows stand behind the speed on each kind of GPU, and how near they are."""
    if request.layout.engine.has_own_files:
        text = "no measurement of {engine} stands behind its speed"
        return (
            Assumption(
                sentence("estimate.other-engine", text, engine=request.layout.engine.value),
                sentence(
                    "perf.local.estimate-only",
                    "estimate only: counted as llama.cpp's on these bytes, its interval wider",
                ),
            ),
        )
    build, evidence = build_name(request.layout), []
    for device in dict.fromkeys(share.device for share in shares):
        decode, prefill = (
            calibration.support.get(support_key(phase, device, build), 0) for phase in ("decode", "prefill")
        )
        where = sentence(
            "perf.local.with",
            "{architecture} with {back_end}",
            architecture=device.architecture,
            back_end=device.back_end.value,
        )
        text = sentence(
            "perf.local.speed-rows-decode",
            "speed on {where}: {decode} rows of decode, {prefill} of prefill",
            where=where,
            decode=decode,
            prefill=prefill,
        )
        near = min(decode, prefill) >= _FEW_ROWS
        evidence.append(
            Assumption(
                text,
                ""
                if near
                else sentence(
                    "perf.local.few-none-interval", "few or none: the interval is that of chips left out of the fit"
                ),
            )
        )
    return tuple(evidence)


def _arrivals(busy: float | None) -> tuple[Assumption, ...]:
    if busy is None:
        return ()
    if busy < 1:
        return (Assumption(sentence("perf.local.requests-come-random", "requests come at random (Poisson)")),)
    reason = sentence(
        "perf.local.queue-grows-without", "the queue grows without end; waits are those of the first ten minutes"
    )
    return (
        Assumption(
            sentence("perf.local.overloaded-times", "overloaded: {busy:.1f} times the requests it can take", busy=busy),
            reason,
        ),
    )


def _waiting(workload: Workload, times: Times) -> tuple[Assumption, ...]:
    if workload.request_rate is not None or workload.concurrency <= times.running:
        return ()
    text = sentence(
        "perf.local.users-answered-time",
        "{running:.0f} of {concurrency} users are answered at a time",
        running=times.running,
        concurrency=workload.concurrency,
    )
    return (
        Assumption(
            text,
            sentence(
                "perf.local.server-started-so", "the server is started with so many slots; the others wait for one"
            ),
        ),
    )


def latencies(times: Times, workload: Workload) -> tuple[float, float]:
    """TTFT and TPOT. Prompts of others interrupt decoding; a prompt waits for the one before it, and for a slot."""
    running, prefill_s, output = times.running, times.prefill_s, max(1, workload.output_tokens)
    tpot = times.decode_s + (running - 1) * prefill_s / output
    cycle = prefill_s + output * tpot
    busy = (running - 1) * prefill_s / cycle
    queued = max(0.0, workload.concurrency - running) / running if workload.request_rate is None else 0.0
    return prefill_s * (1 + busy / 2) + queued * cycle, tpot


def sigmas(request: Request, calibration: Calibration, shares: Sequence[GpuShare]) -> tuple[float, float]:
    """Log errors of decode and prefill speeds on this kind of hardware."""
    if not shares:
        return calibration.sigma("CPU decode"), calibration.sigma("CPU prefill")
    count = len(request.model.layers)
    offload = request.layout.offload
    if offload.layers_on_gpu(count) < count or (request.model.is_moe and offload.expert_layers_on_cpu(count)):
        return calibration.sigma("hybrid decode"), calibration.sigma("hybrid prefill")
    decode, prefill = (
        max(_sigma(phase, request, calibration, share.device) for share in shares) for phase in ("decode", "prefill")
    )
    if request.layout.engine.has_own_files:
        return decode + _OF_ANOTHER, prefill + _OF_ANOTHER
    if any(share.device.guessed for share in shares):
        return decode * _ASSUMED_WIDER, prefill * _ASSUMED_WIDER
    return decode, prefill


NEW_CHIP, NEW_BACK_END = (
    sentence("perf.local.chip-without-rows", "a chip without rows"),
    sentence("perf.local.back-end-without", "a back end without rows"),
)
_FEW_ROWS = 3  # measured rows of a chip under a back end: fewer are as good as none (assumed)


def _sigma(phase: str, request: Request, calibration: Calibration, device: GpuDevice) -> float:
    """Log error of a phase on a GPU: wider where no row is of its chip, wider still where none is of its back end."""
    build = build_name(request.layout)
    residuals = calibration.residuals
    name = speed_class(phase, request, device)
    general = sentence("perf.local.llama-cpp-gpu", "llama.cpp GPU {phase}, current builds, any", phase=phase)
    sigma = calibration.sigma(name if name in residuals else general)
    if build not in ("current", "ktransformers"):
        return sigma
    if calibration.support.get(support_key(phase, device, build), 0) >= _FEW_ROWS:
        return sigma
    side = f"{phase} {device.back_end.value} "
    seen = any(key.startswith(side) and count >= _FEW_ROWS for key, count in calibration.support.items())
    far = f"llama.cpp GPU {phase}, {NEW_CHIP if seen else NEW_BACK_END}"
    return max(sigma, calibration.sigma(far, sigma))


def support_key(phase: str, device: GpuDevice, build: str) -> str:
    """What measured rows are counted by."""
    ik = "" if build in ("current", "ktransformers") else f" {build.partition('.')[0]}"
    return f"{phase} {device.back_end.value} {device.architecture}{ik}"


def speed_class(phase: str, request: Request, device: GpuDevice | None = None) -> str:
    """The class of a GPU speed, of the layout's first GPU unless another is named: its errors are told together.

    By engine and age of the build, and by vendor and back end where that is not NVIDIA's CUDA.
    """
    gpu_device = device or gpu_shares(request)[0].device
    vendor = gpu_device.vendor
    if request.layout.tensor_parallel > 1:
        return sentence("perf.local.llama-cpp-gpu-2", "llama.cpp GPU {phase}, split by rows", phase=phase)
    if build_name(request.layout).startswith("ik"):
        return f"ik_llama.cpp GPU {phase}"
    if build_name(request.layout) in OLD_BUILDS:
        return f"llama.cpp GPU {phase}" if vendor == "nvidia" else f"llama.cpp GPU {phase}, {vendor}"
    usual = gpu_device.back_end is BackEnd.usual(vendor)
    names = ("" if vendor == "nvidia" and usual else f", {vendor}") + (
        "" if usual else f", {gpu_device.back_end.value}"
    )
    return f"llama.cpp GPU {phase}, current builds{names}"


def _assumptions(times: Times) -> tuple[Assumption, ...]:
    assumptions = [assumption for share in times.shares for assumption in share.device.assumptions]
    if times.running > 1:
        assumptions.append(
            Assumption(
                sentence("perf.local.prompts-answers-all", "prompts and answers of all users mix evenly"),
                sentence("perf.local.prompts-turn", "llama-server takes prompts in turn"),
            )
        )
    return tuple(dict.fromkeys(assumptions))
