"""The time pictures take before the first token: their tower's matrices and attention.

Seconds = (2 x parameters x patches) / matrix rate + (4 x width x patches x patches attended to) / attention's rate,
both in 16 bits, at the shares of the peaks that the language model's own prompts reach. Decoding and resizing the files
on the host is left out: no measurement of it is known.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Term, Work, slower_side
from wellfed.nouns.plan import Request
from wellfed.perf.cpu import cpu_terms
from wellfed.perf.gpu import GpuDevice, build_name
from wellfed.perf.gpu_rates import gpu_rates
from wellfed.perf.gpu_time import Cost, matmul
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.towers import ON_CPU, PLACE
from wellfed.provenance import Assumption

if TYPE_CHECKING:
    from wellfed.models.pictures import Pictures

TOWER, SCORES = "picture tower", "picture attention"
TOWER_SIGMA = 0.5  # log error of a tower's own time: assumed, since none is measured


def tower_terms(request: Request, calibration: Calibration, devices: Sequence[GpuDevice]) -> tuple[Term, ...]:
    """Of one prompt's pictures under a local engine: on the first GPU, or on the CPU where none is or it is said."""
    pictures = request.workload.pictures
    if pictures is None or pictures.tower is None or not pictures.count:
        return ()
    works = _works(pictures)
    if not devices or option(request.layout, PLACE) == ON_CPU:
        terms = cpu_terms(works, request.machine, request.layout, calibration)
        seconds = pictures.count * sum(term.seconds for term in terms)
        return (Term(TOWER, seconds, terms[0].limited_by, "cpu"),)
    return (_on_gpu(works, pictures.count, devices[0], calibration, build_name(request.layout)),)


def _works(pictures: Pictures) -> tuple[Work, Work]:
    """One picture: matrices in 16 bits, and attention."""
    tower, picture = pictures.tower, pictures.seen
    if tower is None:
        return Work(TOWER), Work(TOWER)
    parameters, linear = tower.parameters, tower.linear_flops(picture.patches)
    scores = Work(SCORES, flops=tower.score_flops(picture.patches, picture.span), launches=tower.depth)
    weights = Work(
        TOWER, flops=linear, read_bytes=2 * parameters, elements=parameters, weight_type="F16", launches=4 * tower.depth
    )
    return weights, scores


def _on_gpu(works: tuple[Work, Work], count: int, device: GpuDevice, calibration: Calibration, build: str) -> Term:
    rates = gpu_rates(calibration, device, build)
    weights: Cost = matmul(works[0], device, rates, expand=False)
    attention = works[1].flops / (device.matrix_flops * rates.attention_fraction)
    return Term(TOWER, count * (weights.total + attention), slower_side(weights.memory, weights.compute), "gpu")


def prompt_flops(pictures: Pictures | None) -> float:
    """FLOP of a prompt's pictures; 0 without any, or where their tower is not known."""
    if pictures is None or pictures.tower is None:
        return 0.0
    picture = pictures.seen
    picture_flops = pictures.tower.linear_flops(picture.patches) + pictures.tower.score_flops(
        picture.patches, picture.span
    )
    return pictures.count * picture_flops


def tower_share(terms: Iterable[Term]) -> float:
    """The tower's share of a prompt's time."""
    listed = list(terms)
    total_s = sum(term.seconds for term in listed)
    return sum(term.seconds for term in listed if term.name == TOWER) / total_s if total_s else 0.0


def assumptions(pictures: Pictures | None) -> tuple[Assumption, ...]:
    """What was assumed of the pictures' time."""
    if pictures is None or not pictures.count:
        return ()
    if pictures.tower is None:
        text = sentence("tower.unknown", "pictures cost their tokens here, not the time of their tower")
        return (Assumption(text, sentence("tower.unknown.why", "what it computes is not known")),)
    text = sentence("tower.as-prompts", "the tower computes as quickly as prompts in 16 bits do")
    return (Assumption(text, sentence("tower.as-prompts.why", "no measurement of pictures is known")),)
