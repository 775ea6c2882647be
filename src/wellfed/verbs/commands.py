"""A plan as the engine's own command: its program, its arguments, the model's files. Nothing is started or fetched."""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellfed.catalog.model_tables import gguf_file, quantised_repository
from wellfed.catalog.models import repackagings, repository_of
from wellfed.catalog.name_words import plain, repository_in
from wellfed.catalog.published import (
    INT8_OF_ASCEND,
    PART_BYTES,
    Published,
    gguf_files,
    mlx_repository,
    served_repository,
)
from wellfed.engines.llamacpp import PROJECTOR
from wellfed.engines.sglang import EXPERT_FILES
from wellfed.engines.spec import Endpoint, LaunchSpec
from wellfed.errors import BadInput, WellfedError
from wellfed.frozen import dataclass, replace
from wellfed.launch.demo_names import CATALOGUE_NAME
from wellfed.launch.programs import Program, nominal
from wellfed.message import sentence
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation
from wellfed.nouns.layout import Engine
from wellfed.nouns.plan import Plan
from wellfed.perf.memory.towers import tower_parameters
from wellfed.plain_file import is_there, named_path
from wellfed.planner.speculate import DRAFT_TYPE
from wellfed.verbs import inputs

if TYPE_CHECKING:
    from wellfed.planner.answer import Answer

READS_GGUF = (Engine.LLAMA_CPP, Engine.IK_LLAMA_CPP)


def near_miss_plan(answer: Answer) -> Plan | None:
    """The layout that came closest to fitting as a plan, estimated as if it did."""
    miss, search = answer.ranking.near_miss, answer.search
    if miss is None:
        return None
    request = miss.request
    return Plan(
        request.machine, request.model, request.weights, request.layout, request.workload, search.estimate(request)
    )


def command_for(
    plan: Plan, reference: ModelReference, endpoint: Endpoint | None = None, program: str | None = None
) -> LaunchSpec:
    """The engine's own command for a plan, by the name its program is usually called by."""
    return launch_spec(plan, nominal(plan.layout.engine, program), reference.argument, endpoint or Endpoint())


@dataclass(frozen=True, slots=True)
class ModelReference:
    """What an engine is given as its model, and what is to be fetched for it (None: files at hand)."""

    argument: str
    downloads: Published | None = None


def model_reference(model: str, plan: Plan, repo: str | None = None) -> ModelReference:
    """A file or folder at hand; else the repository and files by the catalogue and its rules. No hub is asked.

    A model of which no repository is known is a file in this folder, for the user to put there.
    """
    if model == CATALOGUE_NAME:
        from wellfed.launch.demo import demo_path

        return ModelReference(str(demo_path()))
    path = named_path(model)
    if path is not None and is_there(model):
        return ModelReference(str(path.resolve()))
    repository = repo or known_repository(model, plan)
    if repository is None:
        return ModelReference(_file_of_ones_own(plan))
    local = plan.layout.engine in READS_GGUF
    if local:
        of_gguf_repository = repo is not None or repository.lower().endswith("-gguf")
        files = gguf_files(repository, plan.layout.quantisation, plan.weights.total, of_gguf_repository)
        files = files if of_gguf_repository else listed_gguf(repository, plan) or files
        return ModelReference(f"./{files.files[0][0]}", _with_tower(files, plan))
    if repo is None:
        repackaged = _repackaged(plan)
        if repackaged is not None:
            return ModelReference(repackaged.repository, repackaged)
    if expert_files(plan) is not None:  # beside the experts' GGUF the model as its publisher has it
        whole = weights(plan.model, quantisation(plan.model.native_quantisation)).total
        original = repository_of(plan.model.id) or repository
        return ModelReference(original, Published(original, (("*.safetensors", round(whole)),)))
    published = _served(repository, plan, by_rule=repo is None)
    return ModelReference(published.repository, published)


def listed_gguf(repository: str, plan: Plan) -> Published | None:
    """The one file of the plan's type that public lists name; None where none is, or where it lies there in parts."""
    listed = gguf_file(plan.model.id, plan.layout.quantisation) if repository == repository_of(plan.model.id) else None
    if listed is None or plan.weights.total > PART_BYTES:
        return None
    return Published(listed[0], ((listed[1], round(plan.weights.total)),), by_rule=False)


def _format(plan: Plan) -> str:
    """The plan's weights as repositories of its GPUs are told apart."""
    used = plan.machine.gpus[:1] if plan.layout.gpus else ()
    of_ascend = any(gpu.maker == "huawei" for gpu in used)
    return INT8_OF_ASCEND if of_ascend and plan.layout.quantisation == "int8" else plan.layout.quantisation


def _served(repository: str, plan: Plan, by_rule: bool) -> Published:
    """A serving engine's files: where public lists or the publishers' rules have the plan's format, or `repository`
    itself. Prediction layers are fetched, whether drafting uses them; weights made at the start are fetched wide.
    """
    model, kind = plan.model, _format(plan)
    if by_rule and plan.layout.engine is Engine.MLX and repository == repository_of(model.id):
        place = mlx_repository(repository, quantisation(plan.layout.quantisation).bits)
        return Published(place, (("*.safetensors", round(plan.weights.total)),))
    listed = quantised_repository(model.id, kind) if by_rule and repository == repository_of(model.id) else None
    place = served_repository(repository, model.native_quantisation, kind) if by_rule else repository
    made_at_start = listed is None and place == repository and kind.lower() != model.native_quantisation.lower()
    source = weights(model, quantisation(model.native_quantisation)) if made_at_start else plan.weights
    size = round(source.total + source.mtp)
    return Published(listed or place, (("*.safetensors", size),), by_rule=listed is None and place != repository)


def _with_tower(files: Published, plan: Plan) -> Published:
    """The files, and beside them the tower's for a plan with pictures."""
    if plan.workload.pictures is None:
        return files
    size = round(2 * tower_parameters(plan.model, plan.workload.pictures))
    return replace(files, files=(*files.files, (PROJECTOR, size)))


def _repackaged(plan: Plan) -> Published | None:
    """A known repository of the model in the plan's format, with its real bytes; None where the catalogue has none."""
    native = plan.layout.quantisation == plan.model.native_quantisation
    if native or repository_of(plan.model.id) is None:
        return None
    for row in repackagings(plan.model.id):
        if row.format == plan.layout.quantisation and row.bytes is not None:
            return Published(row.repository, (("*.safetensors", round(row.bytes)),), exact=True)
    return None


def known_repository(model: str, plan: Plan) -> str | None:
    """The model's repository: the one it was named by, where that holds what the engine loads; else the publisher's by
    the catalogue; None where neither tells.
    """
    repository = repository_in(plain(model))
    reads_gguf = plan.layout.engine in READS_GGUF
    if repository and ("gguf" in repository.lower()) is reads_gguf:
        return repository
    return repository_of(plan.model.id) or repository


def hub_repository(model: str, plan: Plan) -> str:
    """`known_repository`. Raises BadInput where there is none."""
    repository = known_repository(model, plan)
    if repository is None:
        raise BadInput(
            sentence("commands.no-repository-known", "no repository is known for {plan}", plan=plan.model.name),
            sentence("commands.name-repo-give", "name it with --repo, or give a local file"),
        )
    return repository


def _file_of_ones_own(plan: Plan) -> str:
    """Where the user's own files of a model stand in for a repository that nobody knows."""
    name = plan.model.id.replace("/", "--")
    return f"./{name}-{plan.layout.quantisation.upper()}.gguf" if plan.layout.engine in READS_GGUF else f"./{name}"


def launch_spec(plan: Plan, program: Program, model_file: str, endpoint: Endpoint) -> LaunchSpec:
    """The engine's own adapter applied."""
    plan = _with_expert_files(_with_draft_files(plan))
    used = plan.machine.gpus[:1] if plan.layout.gpus else ()
    vendor = next((gpu.maker for gpu in used), None)
    spec = replace(_adapted(plan, program, model_file, endpoint), gpu_vendor=vendor or "nvidia")
    return _on_devices(spec, plan.layout.devices)


def _with_draft_files(plan: Plan) -> Plan:
    """The plan with its draft model by what the engine loads: a name of the catalogue is no file and no repository."""
    guess = plan.layout.speculation
    if guess is None or not guess.draft or is_there(guess.draft) or "/" in guess.draft:
        return plan
    try:
        draft_model = inputs.model(guess.draft)
    except WellfedError:
        return plan
    repository = repository_of(draft_model.model.id)
    if repository is None:
        return plan
    if plan.layout.engine in READS_GGUF:
        kind = draft_model.quantisation.id if draft_model.quantisation else DRAFT_TYPE
        repository = f"./{gguf_files(repository, kind, 1.0).files[0][0]}"
    changed = replace(guess, draft=repository)
    return replace(plan, layout=replace(plan.layout, speculation=changed))


def _with_expert_files(plan: Plan) -> Plan:
    """KTransformers' plan with the folder of its experts, where these are GGUF: kt-kernel/README.md, LLAMAFILE."""
    files = expert_files(plan)
    named = dict(plan.layout.options)
    if files is None or EXPERT_FILES in named:
        return plan
    folder = f"./{files.repository.rpartition('/')[2]}"
    return replace(plan, layout=replace(plan.layout, options=(*plan.layout.options, (EXPERT_FILES, folder))))


def expert_files(plan: Plan) -> Published | None:
    """The GGUF files that hold KTransformers' experts on the CPU; None where the model's own files do."""
    if plan.layout.engine is not Engine.KTRANSFORMERS or not _is_gguf(plan.layout.quantisation):
        return None
    repository = repository_of(plan.model.id)
    return None if repository is None else gguf_files(repository, plan.layout.quantisation, plan.weights.total)


def _is_gguf(name: str) -> bool:
    return quantisation(name).family == "gguf"


_VISIBLE = {
    "nvidia": ("CUDA_VISIBLE_DEVICES", {"CUDA_DEVICE_ORDER": "PCI_BUS_ID"}), "amd": ("HIP_VISIBLE_DEVICES", {}),
    "huawei": ("ASCEND_RT_VISIBLE_DEVICES", {}),
}  # fmt: skip


def _on_devices(spec: LaunchSpec, devices: tuple[int, ...]) -> LaunchSpec:
    """The launch with only the GPUs to be seen that the plan names, by their numbers on the bus."""
    if not devices or spec.gpu_vendor not in _VISIBLE:
        return spec
    name, order = _VISIBLE[spec.gpu_vendor]
    seen = {**order, name: ",".join(map(str, devices))}
    return replace(spec, gpus=devices, environment={**spec.environment, **seen})


def _adapted(plan: Plan, program: Program, model_file: str, endpoint: Endpoint) -> LaunchSpec:
    match plan.layout.engine:
        case Engine.LLAMA_CPP | Engine.IK_LLAMA_CPP:
            from wellfed.engines import llamacpp

            return llamacpp.launch_spec(plan, program.words, model_file, endpoint)
        case Engine.VLLM:
            from wellfed.engines import vllm

            return vllm.launch_spec(plan, program.words, model_file, endpoint)
        case Engine.SGLANG | Engine.KTRANSFORMERS:
            from wellfed.engines import sglang

            return sglang.launch_spec(plan, program.words, model_file, endpoint)
        case Engine.TENSORRT_LLM:
            from wellfed.engines import tensorrt_llm

            return tensorrt_llm.launch_spec(plan, program.words, model_file, endpoint)
        case Engine.LMDEPLOY:
            from wellfed.engines import lmdeploy

            return lmdeploy.launch_spec(plan, program.words, model_file, endpoint)
        case Engine.DS4:
            from wellfed.engines import ds4

            return ds4.launch_spec(plan, program.words, model_file, endpoint)
        case Engine.EXLLAMAV3 | Engine.MLX:
            from wellfed.engines import own_files

            return own_files.launch_spec(plan, program.words, model_file, endpoint)
