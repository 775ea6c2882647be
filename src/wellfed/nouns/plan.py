"""A plan: one way to run a model on a machine, what it would do, and why it stands where it stands."""

from __future__ import annotations

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Machine
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.layout import Layout
from wellfed.nouns.workload import Workload


@dataclass(frozen=True, slots=True)
class Plan:
    """Machine + model + layout + workload and their estimate."""

    machine: Machine
    model: Model
    weights: Weights
    layout: Layout
    workload: Workload
    estimate: Estimate
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Request:
    """The question an estimate answers: this model, so laid out, on this machine, under this load."""

    machine: Machine
    model: Model
    weights: Weights
    layout: Layout
    workload: Workload
