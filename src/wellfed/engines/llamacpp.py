"""llama.cpp's server (and ik_llama.cpp's): Plan -> LaunchSpec.

Flags: tools/server/README.md of ggml-org/llama.cpp; the embedded build takes the same ones (launch/embedded.py).
"""

from __future__ import annotations

from wellfed.engines.layer_split import expert_words, split_words
from wellfed.engines.placement import binding, threads
from wellfed.engines.spec import HEAD_TO_NAME, Binding, Endpoint, LaunchSpec
from wellfed.message import sentence
from wellfed.nouns.layout import DraftKind, Engine, Layout, NumaPolicy
from wellfed.nouns.plan import Plan
from wellfed.perf.memory.remote import ADDRESSES, count, local_gpus
from wellfed.units import MIB

# What of the server's flags this adapter uses: checked against `--help` of an installed one before it is started.
FLAGS = (
    "--model", "--ctx-size", "--parallel", "--n-gpu-layers", "--threads", "--batch-size", "--ubatch-size", "--host",
    "--port", "--metrics", "--cache-type-k", "--cache-type-v", "--flash-attn", "--cpu-moe", "--n-cpu-moe",
    "--tensor-split", "--override-tensor", "--numa", "--split-mode", "--no-mmap", "--alias", "--cache-ram",
    "--kv-unified", "--no-kv-offload", "--no-mmproj-offload", "--cors-origins", "--spec-type", "--spec-draft-n-max",
    "--spec-draft-model", "--spec-ngram-simple-size-m", "--swa-full", "--no-op-offload", "--no-repack", "--lora",
    "--mmproj", "--no-mmproj", "--image-max-tokens", "--rpc",
)  # fmt: skip
# Left out where a program does not know them: before October 2025 (pull request 16391) no prompts were kept in RAM.
# Before 2026 any page that a browser shows could ask the server (pull request 25655); a key protects those.
OPTIONAL = ("--cache-ram", "--cors-origins")


def launch_spec(plan: Plan, program: tuple[str, ...], model_file: str, endpoint: Endpoint) -> LaunchSpec:
    """How `program` (llama-server, or the embedded one) serves `model_file` as planned."""
    bound = binding(plan.machine, plan.layout)
    ram = next((d.needed_bytes for d in plan.estimate.memory.devices if d.device == "ram"), None)
    return LaunchSpec(
        engine=plan.layout.engine,
        argv=(*program, *_arguments(plan, model_file, endpoint, bound)),
        endpoint=endpoint,
        environment=_environment(plan),
        secrets={"LLAMA_API_KEY": endpoint.api_key} if endpoint.api_key else {},
        binding=bound,
        gpus=tuple(range(local_gpus(plan.layout))),
        files=(model_file,),
        memory_bytes=ram,
        cores=threads(plan.machine, plan.layout, bound),
        notes=(*((bound.why,) if bound.why else ()), *_server_notes(plan.layout)),
    )


def _environment(plan: Plan) -> dict[str, str]:
    """Which GPUs are seen; where layers are split over unequal ones, in the plan's order too.

    CUDA puts the fastest first and leaves the others' order open, so that they are named by PCI order (NVML's).
    """
    used, have = local_gpus(plan.layout), len(plan.machine.gpus)
    if not used or not any(gpu.spec and gpu.spec.vendor == "nvidia" for gpu in plan.machine.gpus):
        return {}
    gpus = plan.machine.gpus[:used]
    if plan.layout.split and len({(gpu.spec, gpu.memory_free_bytes) for gpu in gpus}) > 1:
        order = ",".join(str(gpu.index) for gpu in gpus)
        return {"CUDA_DEVICE_ORDER": "PCI_BUS_ID", "CUDA_VISIBLE_DEVICES": order}
    return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(used)))} if used < have else {}


def _arguments(plan: Plan, model_file: str, endpoint: Endpoint, bound: Binding) -> list[str]:
    layout, workload = plan.layout, plan.workload
    slots = layout.slots(workload.concurrency)
    words = ["--model", model_file, "--alias", plan.model.id]
    pools = 1 if dict(layout.options).get("kv_unified") == "1" else slots
    words += ["--ctx-size", str(_padded(workload.context) * pools), "--parallel", str(slots)]
    words += ["--batch-size", str(layout.batch_tokens), "--ubatch-size", str(layout.ubatch_tokens)]
    count = threads(plan.machine, layout, bound)
    if count is not None:
        words += ["--threads", str(count)]
    words += ["--n-gpu-layers", _gpu_layers(plan)]
    words += [*server_words(layout), *split_words(plan), *expert_words(plan), *_switch_words(layout)]
    if layout.kv_type != "f16":
        keys, _, values = layout.kv_type.partition("/")
        words += ["--cache-type-k", keys, "--cache-type-v", values or keys]
    if layout.engine is Engine.LLAMA_CPP:
        words += ["--flash-attn", "on" if layout.flash_attention else "off"]
    words += [*drafting_words(layout), *picture_words(layout, model_file)]
    options = dict(layout.options)
    if options.get("lora") == "1":
        words += [word for n in range(int(options.get("loras", 1))) for word in ("--lora", f"ADAPTER-{n + 1}.gguf")]
    if layout.prompt_cache_bytes is not None:
        words += ["--cache-ram", str(layout.prompt_cache_bytes // MIB)]
    words += _numa(plan, bound)
    return [*words, "--host", endpoint.host, "--port", str(endpoint.port), "--metrics"]


_RPC_PORT = 50052  # rpc-server's default (llama.cpp, tools/rpc)
SERVER = ("rpc-server", "--host", "0.0.0.0", "--port", str(_RPC_PORT))  # llama.cpp's, on another machine


def server_words(layout: Layout) -> list[str]:
    """The RPC servers, by their addresses where these are told."""
    servers, addresses = count(layout), dict(layout.options).get(ADDRESSES)
    if not servers:
        return []
    return ["--rpc", addresses or ",".join(f"HOST-{number}:{_RPC_PORT}" for number in range(1, servers + 1))]


def _server_notes(layout: Layout) -> tuple[str, ...]:
    """What to start first."""
    servers = count(layout)
    text = "start `{command}` on each of the {servers} other machines first"
    return (sentence("engines.llamacpp.rpc", text, command=" ".join(SERVER), servers=servers),) if servers else ()


def _switch_words(layout: Layout) -> list[str]:
    """What was pinned: rows over GPUs, one cache for all slots, the cache in RAM."""
    options = dict(layout.options)
    words = ["--split-mode", "row"] if layout.tensor_parallel > 1 and layout.gpus > 1 else []
    words += ["--kv-unified"] if options.get("kv_unified") == "1" else []
    words += ["--no-kv-offload"] if options.get("no_kv_offload") == "1" else []
    words += ["--swa-full"] if options.get("swa_full") == "1" else []
    words += ["--no-op-offload"] if options.get("op_offload") == "0" else []
    words += ["--no-repack"] if options.get("repack") == "0" and layout.engine is Engine.LLAMA_CPP else []
    return words


PROJECTOR = "mmproj-F16.gguf"  # how publishers of GGUF files call it, beside the model's own file


def picture_words(layout: Layout, model_file: str) -> list[str]:
    """The tower's file, beside the model's where none is named, where it lies, and the most tokens of a picture."""
    options = dict(layout.options)
    if not options.get("mmproj"):
        return []
    beside = model_file.rpartition("/")[0]
    words = ["--mmproj", options.get("mmproj_file") or f"{beside}/{PROJECTOR}".removeprefix("/" if not beside else "")]
    words += ["--no-mmproj-offload"] if options["mmproj"] == "ram" and layout.gpus else []
    return words + (["--image-max-tokens", options["image_max_tokens"]] if "image_max_tokens" in options else [])


_DRAFTING = {DraftKind.MTP: "draft-mtp", DraftKind.EAGLE: "draft-eagle3", DraftKind.DRAFT: "draft-simple",
             DraftKind.NGRAM: "ngram-simple"}  # fmt: skip


def drafting_words(layout: Layout) -> list[str]:
    """How tokens are drafted; n-grams have a length of their own."""
    guess = layout.speculation
    if guess is None or guess.kind is None:
        return []
    length = "--spec-ngram-simple-size-m" if guess.kind is DraftKind.NGRAM else "--spec-draft-n-max"
    words = ["--spec-type", _DRAFTING[guess.kind], length, str(guess.tokens)]
    if guess.kind in (DraftKind.EAGLE, DraftKind.DRAFT):
        words += ["--spec-draft-model", guess.draft or HEAD_TO_NAME]
    return words


def _padded(context: int) -> int:
    return -(-context // 256) * 256


def _gpu_layers(plan: Plan) -> str:
    offload = plan.layout.offload
    if plan.layout.gpus == 0 or offload.cpu_only:
        return "0"
    return "999" if offload.gpu_layers is None else str(offload.gpu_layers)


def _numa(plan: Plan, bound: Binding) -> list[str]:
    if len(plan.machine.numa_nodes) < 2 or not bound.cpus:
        return []
    return ["--numa", "distribute" if plan.layout.numa is NumaPolicy.INTERLEAVE else "numactl"]
