"""What was asked, in the words of `wellfed run`: the command that a plan ends with leads to that plan again."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellfed.frozen import dataclass
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS
from wellfed.planner.goal import Objective

if TYPE_CHECKING:
    from wellfed.verbs.planning import PlanOptions


@dataclass(frozen=True, slots=True)
class Restated:
    """Options of a plan that its layout does not tell."""

    pins: tuple[str, ...] = ()  # KEY=VALUE
    versions: tuple[tuple[str, str], ...] = ()  # of engines
    images: str | None = None
    objective: str = Objective.BALANCED.value
    workload: str = "chat"
    prompt: int | None = None
    output: int | None = None
    vram_free: str | None = None
    ram_free: str | None = None
    carve_out: str | None = None
    system: str | None = None

    def engine(self, plan: Plan) -> str:
        """The engine, with the version that the answer is for where one was named."""
        name = plan.layout.engine.value
        version = dict(self.versions).get(name)
        return f"{name}@{version}" if version else name

    def load_words(self) -> list[str]:
        """What is asked of the engine, and what was pinned."""
        words = ["--for", self.objective] if self.objective != Objective.BALANCED.value else []
        words += ["--workload", self.workload] if self.workload != "chat" else []
        words += ["--prompt", str(self.prompt)] if self.prompt else []
        words += ["--output", str(self.output)] if self.output else []
        words += ["--images", self.images] if self.images else []
        return words + [word for pin in self.pins for word in ("--set", pin)]

    def machine_words(self) -> list[str]:
        """What is free on a machine that was written down, and what it runs; a live one is looked at again."""
        told = (
            ("--vram-free", self.vram_free), ("--ram-free", self.ram_free), ("--carve-out", self.carve_out),
            ("--os", self.system),
        )  # fmt: skip
        return [word for flag, value in told if value for word in (flag, value)]


NOTHING = Restated()


def restated(options: PlanOptions) -> Restated:
    """The options of a plan that its command has to repeat."""
    load = options.workload
    preset = PRESETS.get(load.name, load)
    return Restated(
        pins=options.pins,
        versions=tuple((version.engine.value, version.text) for version in options.versions if not version.is_front),
        images=options.images,
        objective=options.objective.value,
        workload=load.name if load.name in PRESETS else "chat",
        prompt=None if load.prompt_tokens == preset.prompt_tokens else load.prompt_tokens,
        output=None if load.output_tokens == preset.output_tokens else load.output_tokens,
        vram_free=options.vram_free,
        ram_free=options.ram_free,
        carve_out=options.carve_out,
        system=options.system,
    )
