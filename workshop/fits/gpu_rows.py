"""Measured rows of local engines on GPUs as arrays: the formulas of `perf.gpu_terms` for all rows at once."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import fields, replace
from typing import TYPE_CHECKING, Any

from wellfed.accuracy.case import Case
from wellfed.frozen import dataclass
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.estimate import Work
from wellfed.perf import hybrid
from wellfed.perf.gpu import GpuDevice, build_name
from wellfed.perf.gpu_pass import Pass, pass_of, prompt_steps
from wellfed.perf.gpu_rates import SCALARS, WEIGHT_KINDS, GpuRates, gpu_rates, weight_kind
from wellfed.perf.gpu_terms import Run, decode_terms, prompt_terms
from wellfed.perf.latent import as_run
from wellfed.perf.local_steps import gpu_shares, run_of, served
from wellfed.perf.ops import Step

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vector = NDArray[np.float64]

_STANDS_FOR = {"float": "F16", "bf16": "BF16", "block4": "Q4_0", "block": "Q8_0", "k": "Q4_K", "codebook": "IQ2_XXS"}


@dataclass(frozen=True, slots=True)
class GpuCase:
    """A case as its formula sees it."""

    case: Case
    phase: str
    step: Pass
    device: GpuDevice
    run: Run
    build: str

    @property
    def shape(self) -> tuple[object, ...]:
        """What must be equal for cases to share arrays."""
        works = tuple((work.name, work.weight_type) for work in self.step.works)
        flags = (self.step.batched, self.step.large_matrices, self.step.latent, self.step.served)
        return (self.phase, self.run, works, flags)

    @property
    def scope(self) -> tuple[object, ...]:
        """What its rates depend on."""
        return (self.build, self.device.vendor, self.device.architecture, self.device.back_end)


def gpu_case(case: Case) -> GpuCase | None:
    """The pass, GPU and run of a case; None where GPUs of several kinds, or CPUs, have a part in it."""
    request = case.request
    if request is None:
        return None
    phase = "decode" if case.metric == "decode_tok_s" else "prefill"
    shares, workload = gpu_shares(request), request.workload
    if len(shares) != 1:
        return None
    if phase == "decode":
        step, repeats = Step.decode(1, max(1.0, workload.mean_decode_context)), 1
    else:
        step, repeats = prompt_steps(workload.prompt_tokens, workload.depth_tokens, hybrid.micro_batch(request.layout))
    split = hybrid.split_works(request, step)
    if split.cpu or split.streamed_bytes:
        return None
    works = tuple(replace(work, weight_type=_STANDS_FOR[weight_kind(work.weight_type)], mix=()) for work in split.gpu)
    layers = range(len(request.model.layers))
    asked = pass_of(as_run(request.model, request.layout), layers, works, step, repeats, served(request.layout))
    device = replace(shares[0].device, assumptions=())
    return GpuCase(case, phase, asked, device, run_of(request.layout, device.back_end), build_name(request.layout))


@dataclass(frozen=True, slots=True)
class _Stack:
    """Cases of one shape, with arrays for numbers, where they stand among all, and whose rates they take."""

    first: GpuCase
    step: Pass
    device: GpuDevice
    places: Any
    rates_of: Any


class GpuRows:
    """All cases, stacked by shape once and predicted as often as a fit asks."""

    def __init__(self, cases: Sequence[GpuCase]) -> None:
        import numpy as np

        self.cases = list(cases)
        self.measured = np.array([one.case.measured for one in cases])
        self._whole = np.array([_output_over_request(one) for one in cases])
        scopes: dict[tuple[object, ...], int] = {}
        self._scoped: list[GpuCase] = []
        for one in cases:
            if one.scope not in scopes:
                scopes[one.scope] = len(scopes)
                self._scoped.append(one)
        shapes: dict[tuple[object, ...], list[int]] = {}
        for place, one in enumerate(cases):
            shapes.setdefault(one.shape, []).append(place)
        self._stacks = [
            _Stack(
                cases[places[0]],
                _stacked([cases[place].step for place in places]),
                _stacked([cases[place].device for place in places]),
                np.array(places),
                np.array([scopes[cases[place].scope] for place in places]),
            )
            for places in shapes.values()
        ]

    def predict(self, calibration: Calibration) -> Vector:
        """Tokens/s of every case under a calibration."""
        import numpy as np

        found = [gpu_rates(calibration, one.device, one.build) for one in self._scoped]
        scalars = {name: np.array([getattr(rates, name) for rates in found]) for name in SCALARS}
        kinds = {kind: np.array([rates.weights_per_cycle[kind] for rates in found]) for kind in WEIGHT_KINDS}
        out = np.empty(len(self.cases))
        for stack in self._stacks:
            rates = GpuRates(
                weights_per_cycle={kind: values[stack.rates_of] for kind, values in kinds.items()},
                **{name: values[stack.rates_of] for name, values in scalars.items()},
            )
            make = decode_terms if stack.first.phase == "decode" else prompt_terms
            seconds = sum(term.seconds for term in make(stack.step, stack.device, rates, stack.first.run))
            tokens = stack.step.tokens * stack.step.repeats if stack.first.phase == "prefill" else 1.0
            out[stack.places] = tokens / seconds
        spoken: Vector = out / self._whole
        return spoken


def _output_over_request(one: GpuCase) -> float:
    """How much longer a request is than its answer's steps, for rows that time the whole of it: a prompt's pass more.

    A short prompt takes about as long as two steps of decode.
    """
    request = one.case.request
    if one.phase == "decode" and one.case.whole_request and request is not None:
        return 1 + 2 / request.workload.output_tokens
    return 1.0


def _stacked(values: Sequence[Any]) -> Any:
    """One value like `values`, with an array wherever they hold numbers."""
    import numpy as np

    first = values[0]
    if isinstance(first, (int, float)) and not isinstance(first, bool):
        return np.array(values, dtype=float)
    if isinstance(first, tuple) and first and isinstance(first[0], Work):
        return tuple(_stacked(column) for column in zip(*values, strict=True))
    if isinstance(first, (Pass, GpuDevice, Work)):
        return type(first)(**{f.name: _stacked([getattr(value, f.name) for value in values]) for f in fields(first)})
    return first


def gpu_cases(cases: Iterable[Case]) -> list[GpuCase]:
    """Those of the cases that GPUs of one kind answer alone."""
    found = (gpu_case(case) for case in cases)
    return [one for one in found if one is not None]
