"""Calibrations: achieved fractions and overheads, fitted from measurements, with their residuals."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import field

from wellfed.frozen import dataclass, replace


@dataclass(frozen=True, slots=True)
class Residual:
    """How far one class of predictions was off when its group was left out of the fit (log errors)."""

    rows: int
    sigma: float  # of the log error, so that the 80 % interval covers 80 %
    bias: float = 0.0
    median_ape: float | None = None
    mape: float | None = None


@dataclass(frozen=True, slots=True)
class Fact:
    """What a parameter's value is: `fitted` (from so many `rows`), a `prior`, or `tied` to others.

    `sigma` is the log doubt of the value; None where nobody worked it out.
    """

    origin: str  # fitted | prior | tied
    rows: int = 0
    sigma: float | None = None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Calibration:
    """Named parameters of the speed model, each physical, with the units in its name.

    Keys are dotted: `gpu.ada.bandwidth_fraction`, `llama.cpp.launch_us`. A lookup falls back from the most special key
    to the most general: `value("gpu", "ada", "bandwidth_fraction")` tries gpu.ada.bandwidth_fraction, then
    gpu.bandwidth_fraction.
    """

    id: str
    parameters: Mapping[str, float]
    residuals: Mapping[str, Residual] = field(default_factory=dict)
    source: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)  # of parameters
    support: Mapping[str, int] = field(default_factory=dict)  # measured rows by what they are of: "decode cuda ada"

    def value(self, *path: str) -> float:
        """The most special value for `path`, whose last element is the parameter. KeyError if there is none."""
        *scopes, name = path
        for depth in range(len(scopes), -1, -1):
            key = ".".join((*scopes[:depth], name))
            if key in self.parameters:
                return self.parameters[key]
        raise KeyError(".".join(path))

    def sigma(self, cls: str, default: float = 0.4) -> float:
        """Log error of predictions of class `cls`."""
        residual = self.residuals.get(cls)
        return residual.sigma if residual else default

    def with_parameters(self, parameters: Mapping[str, float]) -> Calibration:
        """The same calibration with some parameters replaced."""
        return replace(self, parameters={**self.parameters, **parameters})


@dataclass(frozen=True, slots=True)
class Watched(Calibration):
    """A calibration that remembers what it was asked for."""

    paths_read: set[tuple[str, ...]] = field(default_factory=set)

    @staticmethod
    def of(calibration: Calibration) -> Watched:
        """A Watched with the calibration's values, nothing asked of it yet."""
        values = (calibration.id, calibration.parameters, calibration.residuals, calibration.source)
        return Watched(*values, calibration.facts, calibration.support)

    def value(self, *path: str) -> float:
        """As `Calibration.value`; a path that has no value is not remembered."""
        parameter = Calibration.value(self, *path)
        self.paths_read.add(path)
        return parameter
