"""`wellfed.run`: start an engine with a model, bound to the right hardware."""

from __future__ import annotations

from collections.abc import Callable
from types import TracebackType
from typing import TYPE_CHECKING, Any

from wellfed.frozen import dataclass
from wellfed.library import options
from wellfed.library.planning import plan_line, plan_row
from wellfed.library.result import Result, Row
from wellfed.message import sentence
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS
from wellfed.planner.goal import Objective
from wellfed.verbs import running
from wellfed.verbs.running import Prepared, RunOptions

if TYPE_CHECKING:
    from wellfed.launch.service import Service

SCHEMA = "wellfed.run/1"


@dataclass(frozen=True, slots=True, repr=False)
class Started(Result):
    """A launch: what was decided, and the service where it was started (None after a dry run).

    As a context it is stopped at the end: `with wellfed.run("qwen3-8b") as engine: ...`.
    """

    prepared: Prepared
    service: Service | None = None

    @property
    def url(self) -> str | None:
        """Where the engine answers as OpenAI's API does; None after a dry run."""
        return None if self.service is None else f"{self.service.running.url}/v1"

    @property
    def key_file(self) -> str | None:
        """The file with the key that clients send; None where it needs none."""
        return None if self.service is None else self.service.running.key_file

    def stop(self) -> None:
        """End the engine, and everything that it started."""
        from wellfed.launch.service import end

        if self.service is not None:
            end(self.service.running)

    def __enter__(self) -> Started:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def to_dict(self) -> dict[str, Any]:
        """The plan, the command, and where it answers."""
        from wellfed.documents.answers import plan_json

        return {
            "schema": SCHEMA,
            "command": self.prepared.spec.command_line(),
            "fits": self.prepared.fits,
            "url": self.url,
            "warnings": list(self.prepared.warnings),
            "plan": plan_json(self.prepared.plan),
        }

    def flat(self) -> list[Row]:
        """The plan as one row."""
        return [plan_row(self.prepared.plan)]

    def summary(self) -> str:
        """The model, where it is served or that it is not started, and its plan in a line."""
        where = sentence("running.started", "not started") if self.url is None else self.url
        return f"{self.prepared.plan.model.name}: {where}; {plan_line(self.prepared.plan)}"


def run(
    model: str,
    *,
    dry_run: bool = False,
    engine: Engine | str | None = None,
    quant: str | None = None,
    for_: Objective | str = Objective.BALANCED,
    workload: str = "chat",
    concurrency: int = 1,
    context: int | None = None,
    prompt: int | None = None,
    output: int | None = None,
    quality: str | None = None,
    kv_type: options.Names = (),
    set: options.Names = (),
    threads: int | None = None,
    program: str | None = None,
    repo: str | None = None,
    hub: str = "huggingface",
    host: str = "127.0.0.1",
    port: int = 8080,
    api_key: str | None = None,
    no_key: bool = False,
    insecure: bool = False,
    timeout: float = 1800.0,
    told: Callable[[str], None] = lambda _: None,
) -> Started:
    """Plan `model` on this machine, start an engine with it and wait until it answers; it stays until it is stopped.

    `dry_run` starts nothing: the command is in the result. `told` hears what is done meanwhile. Raises DoesNotFit,
    EngineFailed, and as `plan`.
    """
    request = RunOptions(
        quant=quant, engine=None if engine is None else options.member(Engine, engine, "engine").value,
        program=program, repo=repo, hub=hub, concurrency=concurrency, context=context, threads=threads, host=host,
        port=port, api_key=api_key, insecure=insecure, no_key=no_key, timeout=timeout, fetch=not dry_run,
        objective=options.objective(for_), workload=options.one_of(workload, list(PRESETS), "workload"),
        prompt=prompt, output=output, least_quality_bits=options.quality_bits(quality),
        kv_types=options.several(kv_type), pins=options.several(set),
    )  # fmt: skip
    prepared = running.prepare(model, request, told)
    if dry_run:
        return Started(prepared)
    from wellfed.launch.service import serve

    return Started(prepared, serve(prepared.spec, prepared.plan.model.id, timeout, detach=True))
