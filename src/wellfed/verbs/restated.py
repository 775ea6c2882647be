"""What was asked, in the words of `wellfed run`: the command that a plan ends with leads to that plan again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellfed.frozen import dataclass
from wellfed.nouns.plan import Plan
from wellfed.planner.goal import QUALITY, Objective

if TYPE_CHECKING:
    from wellfed.verbs.planning import PlanOptions


@dataclass(frozen=True, slots=True)
class Restated:
    """Options of a plan that neither its layout nor its load tells; None where nothing was said."""

    pins: tuple[str, ...] = ()  # KEY=VALUE
    versions: tuple[tuple[str, str], ...] = ()  # of engines
    images: str | None = None
    objective: str | None = None
    quality: str | None = None
    speculate: str | None = None
    acceptance: float | None = None
    stream: bool = False
    vram_free: str | None = None
    ram_free: str | None = None
    carve_out: str | None = None
    system: str | None = None

    def engine(self, plan: Plan) -> str:
        """The engine, with the version that the answer is for where one was named."""
        name = plan.layout.engine.value
        version = dict(self.versions).get(name)
        return f"{name}@{version}" if version else name

    def words(self) -> list[str]:
        """What is asked of the planner, what was pinned, and what was said of the machine."""
        options = (
            ("--for", self.objective), ("--quality", self.quality), ("--speculate", self.speculate),
            ("--images", self.images), *(("--set", pin) for pin in self.pins),
            ("--vram-free", self.vram_free), ("--ram-free", self.ram_free), ("--carve-out", self.carve_out),
            ("--os", self.system),
        )  # fmt: skip
        words = [word for option, value in options if value for word in (option, value)]
        words += [] if self.acceptance is None else ["--acceptance", f"{self.acceptance:g}"]
        return [*words, "--stream"] if self.stream else words


NOTHING = Restated()


def restated(options: PlanOptions) -> Restated:
    """The options of a plan that its command has to repeat."""
    bits = options.least_quality_bits
    return Restated(
        pins=options.pins,
        versions=tuple((version.engine.value, version.text) for version in options.versions if not version.is_front),
        images=options.images,
        objective=None if options.objective is Objective.BALANCED else options.objective.value,
        quality=None if bits is None else next((name for name, least in QUALITY.items() if least == bits), None),
        speculate=options.speculate,
        acceptance=options.acceptance,
        stream=options.streams,
        vram_free=options.vram_free,
        ram_free=options.ram_free,
        carve_out=options.carve_out,
        system=options.system,
    )
