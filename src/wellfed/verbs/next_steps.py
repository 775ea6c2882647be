"""What to type now: for every plan the command that starts it, the engine's own command, and what is to be fetched."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from wellfed.catalog.published import Published
from wellfed.engines.llamacpp import SERVER
from wellfed.engines.usual import can_be_started
from wellfed.engines.versions import is_ollama
from wellfed.frozen import dataclass, replace
from wellfed.message import Amount, Message, message
from wellfed.models.tensor import Part
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Plan
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.perf.memory.context_ranks import DECODE
from wellfed.perf.memory.remote import count, servers
from wellfed.verbs.commands import READS_GGUF, ModelReference, command_for, expert_files, model_reference
from wellfed.verbs.restated import NOTHING, Restated

if TYPE_CHECKING:
    from wellfed.planner.levers import Lever

_PULLS = frozenset({Engine.LLAMA_CPP})  # whose server fetches GGUF files by itself: -hf OWNER/NAME:TYPE


@dataclass(frozen=True, slots=True)
class Step:
    """A command to type, and what it is for."""

    purpose: Message
    command: str


@dataclass(frozen=True, slots=True)
class NextSteps:
    """How to come from a plan to a served model. `downloads` is None for files at hand."""

    steps: tuple[Step, ...]
    downloads: Published | None = None


@dataclass(frozen=True, slots=True)
class Question:
    """A question as it was typed, from which commands are written: the model's name, the machine's line (None: this
    machine), the network between machines, and options. `can_be_typed` is False for machines without a line.
    """

    model: str
    on: str | None = None
    network: str | None = None
    also: Restated = NOTHING
    can_be_typed: bool = True

    def steps(self, plan: Plan) -> NextSteps:
        """What to type for a plan of the answer."""
        return next_steps(self.model, plan, self.on, self.network, self.also) if self.can_be_typed else NextSteps(())

    def way_out(self, lever: Lever) -> NextSteps:
        """What to type for what a lever makes possible; nothing for parts that are not there yet."""
        from wellfed.planner.levers import LeverKind  # where nothing fits, alone

        plan = lever.plan
        if not self.can_be_typed or lever.kind is LeverKind.PART or not can_be_started(plan.machine, plan.layout):
            return NextSteps(())
        also = replace(
            self.also,
            pins=() if lever.kind in (LeverKind.OFFLOAD, LeverKind.ENGINE) else self.also.pins,
            quality=None,  # the weights are named
            stream=self.also.stream or lever.kind is LeverKind.DISK,
        )
        model = lever.plan.model.id if lever.kind is LeverKind.MODEL else self.model
        _, command = _by_wellfed(model, lever.plan, self.on, self.network, also)
        return NextSteps((Step(lever.change, command),), model_reference(model, lever.plan).downloads)

    def ways_out(self, levers: Iterable[Lever]) -> NextSteps:
        """A command for each lever that has one."""
        return NextSteps(tuple(step for lever in levers for step in self.way_out(lever).steps))


def next_steps(
    model: str, plan: Plan, on: str | None = None, network: str | None = None, also: Restated = NOTHING
) -> NextSteps:
    """The steps for `plan` of `model` as it was named, on this machine, or `on` one that was written down; `also`: what
    else `run` must be told to come to the same plan.

    No steps where the plan is an estimate only: nothing starts it.
    """
    if not can_be_started(plan.machine, plan.layout):
        return NextSteps(())
    reference = model_reference(model, plan)
    if is_ollama(plan.layout):
        exported = [*_words(model, plan, also), "--export", "ollama"]
        typed_step = message("next.modelfile", "write a Modelfile for Ollama")
        typed = message("next.ollama", "or with Ollama's own settings")
        return NextSteps(
            (Step(typed_step, shlex.join(exported)), Step(typed, _by_ollama(model, plan))), reference.downloads
        )
    steps = (
        *_before(plan),
        Step(*_by_wellfed(model, plan, on, network, also)),
        Step(*_by_engine(plan, reference.argument, reference.downloads)),
    )
    return NextSteps(steps, reference.downloads)


def _before(plan: Plan) -> Iterator[Step]:
    """What other machines start first."""
    if count(plan.layout):
        text = "first, on every other machine ({servers}): it asks for no key, so only in a network that is trusted"
        yield Step(message("next.rpc", text, servers=count(plan.layout)), shlex.join(SERVER))
    files = expert_files(plan)
    if files is not None:
        kind, folder = plan.layout.quantisation.upper(), f"./{files.repository.rpartition('/')[2]}"
        words = ["hf", "download", files.repository, "--include", f"*{kind}*", "--local-dir", folder]
        text = "first the experts for the CPU, about {size} (named by rule)"
        yield Step(message("next.experts", text, size=Amount(files.size_bytes, "B")), shlex.join(words))


def _adapter_words(layout: Layout) -> list[str]:
    """Adapters as `run` pins them, by the engine's own flags."""
    options = dict(layout.options)
    count, rank = options.get("loras", "1"), options.get("lora_rank", "16")
    if options.get("lora") != "1":
        return []
    if layout.engine in READS_GGUF:
        return [word for n in range(int(count)) for word in ("--set", f"lora=ADAPTER-{n + 1}.gguf")]
    if layout.engine is Engine.TENSORRT_LLM:
        return ["--lora", f"{count}@{rank}"]
    most = "max-loras-per-batch" if layout.engine is Engine.SGLANG else "max-loras"
    return ["--set", "enable-lora=on", "--set", f"{most}={count}", "--set", f"max-lora-rank={rank}"]


def _by_ollama(model: str, plan: Plan) -> str:
    """Its server's environment, and the model: by the tag it was named with, else the Modelfile's own name."""
    layout = plan.layout
    settings = [f"OLLAMA_CONTEXT_LENGTH={plan.workload.context}"]
    settings.append(f"OLLAMA_NUM_PARALLEL={layout.slots(plan.workload.concurrency)}")
    settings += [f"OLLAMA_KV_CACHE_TYPE={layout.kv_type}"] if layout.kv_type != "f16" else []
    name = model if ":" in model and "/" not in model else plan.model.id
    return f"{' '.join(settings)} ollama serve & ollama run {shlex.quote(name)}"


def _words(model: str, plan: Plan, also: Restated) -> list[str]:
    """`wellfed run` with what the plan decided."""
    words = ["wellfed", "run", model, "--engine", also.engine(plan)]
    if plan.layout.quantisation and not _is_file(model):
        words += ["--quant", plan.layout.quantisation.upper()]
    if plan.layout.kv_type != "f16":
        words += ["--kv-type", plan.layout.kv_type]
    words += _adapter_words(plan.layout)
    parts = dict(plan.layout.options).get(DECODE)
    if parts and not any("dcp" in pin or DECODE.replace("_", "-") in pin for pin in also.pins):
        words += ["--set", f"decode-context-parallel-size={parts}"]
    return [*words, *_load_words(plan.workload), "--context", str(plan.workload.context), *also.words()]


def _load_words(load: Workload) -> list[str]:
    """The load as `run` takes it, where it is not what `run` would take for itself."""
    usual = replace(PRESETS.get(load.name, PRESETS["chat"]), concurrency=1)
    half = max(1, load.context // 2)
    text_tokens = load.prompt_tokens - (0 if load.pictures is None else load.pictures.tokens)
    words = ["--workload", load.name] if load.name in PRESETS and load.name != "chat" else []
    if load.request_rate is not None:
        words += ["--rate", f"{load.request_rate:g}"]
    elif load.concurrency > 1:
        words += ["--concurrency", str(load.concurrency)]
    for option, tokens, default in (
        ("--prompt", text_tokens, usual.prompt_tokens),
        ("--output", load.output_tokens, usual.output_tokens),
    ):
        words += [option, str(tokens)] if tokens != min(default, half) else []
    if load.shared_prefix_tokens:
        words += ["--shared-prefix", str(load.shared_prefix_tokens)]
    if load.ttft_target_s is not None:
        words += ["--ttft", f"{load.ttft_target_s:g}"]
    return words + ([] if load.tpot_target_s is None else ["--tpot", f"{load.tpot_target_s * 1e3:g}"])


def _by_wellfed(model: str, plan: Plan, on: str | None, network: str | None, also: Restated) -> tuple[Message, str]:
    words = _words(model, plan, also)
    if on is None:
        return message("next.run", "start it, bound, awaited and proven"), shlex.join(words)
    words += ["--on", on]
    if plan.machine.count > 1:
        words += ["--nodes", str(plan.machine.count), *(["--network", network] if network else [])]
    several = plan.machine.count > 1 and plan.layout.gpus > len(plan.machine.gpus) and not servers(plan.layout)
    words += ["--export", "kubernetes" if several else "script"]
    if several:
        return message("next.export-nodes", "write it down for the machines (also slurm, ray)"), shlex.join(words)
    problem = "write it down for that machine (also systemd, compose, kubernetes, slurm)"
    return message("next.export", problem), shlex.join(words)


def _is_file(model: str) -> bool:
    return model.lower().endswith(".gguf")


def _by_engine(plan: Plan, argument: str, downloads: Published | None) -> tuple[Message, str]:
    spec = command_for(plan, ModelReference(argument))
    line = spec.command_line()
    if downloads is not None and plan.layout.engine in _PULLS:
        pulled = f"-hf {downloads.repository}:{plan.layout.quantisation.upper()}"
        line = line.replace(f"--model {shlex.quote(argument)}", pulled, 1)
        line = _with_projector(line, plan)
    engine = plan.layout.engine.value
    if spec.servers > 1:
        text = "one of {count} equal servers by hand ({engine})"
        return message("next.engine-servers", text, count=spec.servers, engine=engine), line
    return message("next.engine", "the same by hand ({engine})", engine=engine), line


def _with_projector(line: str, plan: Plan) -> str:
    """`-hf` fetches the tower's file with the model's: it needs no name, and is refused where nobody asks about
    pictures.
    """
    options = dict(plan.layout.options)
    if options.get("mmproj"):
        return line if options.get("mmproj_file") else re.sub(r" --mmproj \S+", "", line, count=1)
    sees = any(tensor.part is Part.VISION for tensor in plan.model.extra_tensors)
    return f"{line} --no-mmproj" if sees else line


def disk_line(downloads: Published) -> Message:
    """What is fetched from where, and the disk it takes."""
    if downloads.exact:
        return message(
            "next.fetch", "fetches {size} from {repository}",
            size=Amount(downloads.size_bytes, "B"), repository=downloads.repository,
        )  # fmt: skip
    if not downloads.by_rule:
        return message(
            "next.fetch-about", "fetches about {size} from {repository}",
            size=Amount(downloads.size_bytes, "B"), repository=downloads.repository,
        )  # fmt: skip
    return message(
        "next.fetch-by-rule", "fetches about {size} from {repository} (named by rule; --repo for another)",
        size=Amount(downloads.size_bytes, "B"), repository=downloads.repository,
    )  # fmt: skip
