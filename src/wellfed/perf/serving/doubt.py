"""How far an estimate of a serving engine may be off: the residuals of layouts as near to what was measured."""

from __future__ import annotations

from wellfed.message import sentence
from wellfed.nouns.calibration import Calibration
from wellfed.nouns.plan import Request
from wellfed.perf.serving.formats import gpu_of, memory_kind
from wellfed.provenance import Assumption

_ENOUGH = 30  # measured rows of an engine on a kind of GPU from which another machine is near to them
_FEW = 5  # sources of a vendor's GPUs below which the next source is a stranger
# Of the time a token takes, the part that goes by with prompts of others: what is known least of a server. Up to the
# first the token's own work decides, beyond the second the prompts do
# (assumed).
_ALONE, _SHARED = 0.2, 0.5
_WAITED = 0.5  # of a first token's time: beyond it the queue decides, not the prompt's own way through
_SERVING = "serving"


def kind_measured(request: Request) -> str:
    """The engine and the kind of GPU: what measured rows are counted by."""
    gpu = gpu_of(request.machine)
    return f"{_SERVING} {request.layout.engine.value} {gpu.architecture}-{memory_kind(gpu)}"


def sources_key(request: Request) -> str:
    """What sources are counted by: the vendor of the GPUs."""
    return f"{_SERVING} sources {gpu_of(request.machine).vendor}"


def nearness(request: Request, metric: str, rows: int, sources: int, crowd: float) -> str:
    """Which residuals hold: of engines tuned by vendors (first tokens that mostly wait apart), or of GPUs whose vendor
    few sources measured. Else, of times per token, by how much of them prompts of others take (`crowd`; of first
    tokens: the share that is waiting), and where that is little, of mixtures of experts apart. Of first tokens: of runs
    whose requests all come at once, of kinds that many rows stand behind, or of others.
    """
    load = request.workload
    if "tuned" in dict(request.layout.options):
        return sentence("doubt.tuned-waiting", "tuned waiting") if metric == "ttft" and crowd > _WAITED else "tuned"
    if sources < _FEW:
        return "few sources"
    if metric == "tpot":
        if crowd < _ALONE and request.model.is_moe:
            return sentence("doubt.alone-experts", "alone experts")
        return "alone" if crowd < _ALONE else "shared" if crowd < _SHARED else "crowded"
    if load.requests is not None and load.requests <= load.concurrency > 1:
        return sentence("doubt.once", "at once")
    return "near" if rows >= _ENOUGH else "far"


def sigma(calibration: Calibration, request: Request, metric: str, crowd: float) -> float:
    """The log doubt of `metric` (tpot or ttft): that of sources left out, as near to the others as this request is."""
    rows = calibration.support.get(kind_measured(request), 0)
    sources = calibration.support.get(sources_key(request), 0)
    cls = f"{_SERVING} {metric}"
    return calibration.sigma(f"{cls} {nearness(request, metric, rows, sources, crowd)}", calibration.sigma(cls))


def evidence(calibration: Calibration, request: Request) -> Assumption:
    """How many measurements stand behind the estimate."""
    rows, gpu = calibration.support.get(kind_measured(request), 0), gpu_of(request.machine)
    setting = sentence(
        "doubt.on-with",
        "{engine} on {architecture} with {gpu}",
        engine=request.layout.engine.value,
        architecture=gpu.architecture,
        gpu=memory_kind(gpu).upper(),
    )
    if not rows:
        return Assumption(
            sentence("doubt.no-measurement", "no measurement of {what} stands behind this", what=setting),
            sentence("doubt.interval-kinds-left", "the interval is that of kinds left out"),
        )
    return Assumption(
        sentence(
            "doubt.measurements-stand", "{rows} measurements of {what} stand behind this", rows=rows, what=setting
        ),
        sentence("doubt.those-other-kinds", "those of other kinds, less near, too"),
    )
