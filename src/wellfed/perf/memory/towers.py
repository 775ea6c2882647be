"""Pictures as an engine sees them, and what their tower holds: weights, one pass's activations, what it hands on.

llama.cpp keeps the tower in a file of its own (`--mmproj`), on the first GPU or in RAM, and passes one picture or tile
at a time through it, in FP32. vLLM's profile run passes the largest picture there may be, as many of them as a batch
holds, and keeps as many tokens of cache for what the tower hands on (v1/core/encoder_cache_manager.py of vLLM 0.33).
SGLang profiles none and leaves room by a rule (`adjust_mem_fraction_for_vlm`, SGLang 0.5.23).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from wellfed.frozen import replace
from wellfed.message import sentence
from wellfed.models.model import Model
from wellfed.models.pictures import Rule
from wellfed.models.tensor import Part
from wellfed.nouns.layout import Engine, Layout
from wellfed.nouns.plan import Request
from wellfed.nouns.workload import Workload
from wellfed.perf.memory.kv import LOCAL, option
from wellfed.perf.memory.shards import LANGUAGE_ONLY, TOWER_BY_DATA
from wellfed.perf.memory.share import Named

if TYPE_CHECKING:
    from wellfed.models.pictures import Pictures, Seen, Tower

PLACE, ON_GPU, ON_CPU = "mmproj", "gpu", "ram"  # the option that says where llama.cpp's tower lies
MOST_TOKENS, MOST_PIXELS = "image_max_tokens", "image_max_pixels"  # what flags bound a picture by
_PATCHES = 4096  # of one picture at most, where nothing says otherwise (assumed)
_WIDEST = 8192  # the same of a tower's layers (assumed)
_HALF_BYTES, _FULL_BYTES = 2.0, 4.0  # bytes of a value in 16 and in 32 bits


def as_seen(load: Workload, layout: Layout) -> Workload:
    """The load with its pictures as this engine sees them: llama.cpp has bounds of its own for some families, and a
    flag may set one.
    """
    pictures = load.pictures
    if pictures is None or pictures.sight is None:
        return load
    bound = _bound(pictures, layout)
    if not bound:
        return load
    from wellfed.models.picture_rules import seen

    picture = seen(pictures.sight, pictures.width, pictures.height, bound)
    fewer = pictures.count * (pictures.seen.tokens - picture.tokens)
    changed = replace(pictures, seen=picture, most=_bounded(pictures, bound))
    return replace(load, prompt_tokens=load.prompt_tokens - fewer, pictures=changed)


def _bound(pictures: Pictures, layout: Layout) -> int:
    """The most tokens of a picture that comes as it is; 0 where only the family's own rule bounds it."""
    sight = pictures.sight
    if sight is None:
        return 0
    tokens, pixels = option(layout, MOST_TOKENS), option(layout, MOST_PIXELS)
    if tokens:
        return int(tokens)
    if pixels:
        return max(1, int(pixels) // (sight.patch * sight.merge) ** 2)
    return sight.local_tokens if layout.engine in LOCAL else 0


def _bounded(pictures: Pictures, bound: int) -> Seen | None:
    most, sight = pictures.most, pictures.sight
    if most is None or sight is None or most.tokens <= bound:
        return most
    from wellfed.models.pictures import Seen

    patches = bound * sight.merge**2
    return Seen(bound + sight.around, patches, patches)


def tower_parameters(model: Model, pictures: Pictures | None) -> float:
    """As the model's files count them; else those of the family's tower."""
    counted = float(sum(tensor.elements for tensor in model.extra_tensors if tensor.part in (Part.VISION, Part.AUDIO)))
    return counted or (pictures.tower.parameters if pictures is not None and pictures.tower is not None else 0.0)


def local_tower(request: Request) -> tuple[Named, ...]:
    """llama.cpp's projector in 16 bits, and what a picture's patches need: of the pictures that are asked about, else
    queries, keys and values of 4096 patches. Nothing where the model has no towers.
    """
    pictures = request.workload.pictures
    count = tower_parameters(request.model, pictures)
    if not count:
        return ()
    tower = pictures.tower if pictures is not None else None
    if pictures is not None and tower is not None:
        compute = tower.activation_bytes(pictures.seen.span, _FULL_BYTES)
    else:
        compute = _PATCHES * _FULL_BYTES * 3 * min(count, _WIDEST)
    return (
        ("towers", _HALF_BYTES * count, sentence("llamacpp.pictures-sound-16", "pictures and sound, 16 bits")),
        ("tower compute", compute, sentence("llamacpp.patches-one-picture", "patches of one picture")),
    )


def served_tower(request: Request, passed_bytes: float = 0.0) -> float:
    """Bytes on every rank of a serving engine beside weights: what a pass of the tower hands on, which lies beside the
    language model's own pass of `passed_bytes`, or what the tower's pass takes beyond both (`profile_run` of
    vllm/v1/worker/gpu_model_runner.py, 0.32.0: one after the other).
    """
    pictures, layout = request.workload.pictures, request.layout
    if pictures is None or pictures.tower is None or option(layout, LANGUAGE_ONLY) == "1":
        return 0.0
    count, picture = _pass(pictures, layout, request.workload.context)
    ranks = 1 if option(layout, TOWER_BY_DATA) == "1" else max(1, layout.tensor_parallel)
    patches = count * picture.patches
    alive = pictures.tower.activation_bytes(patches, _HALF_BYTES, ranks)
    stretched = patches * pictures.tower.positions * _HALF_BYTES  # whole on every rank, and gone before the blocks
    handed_on = pictures.handed_on_bytes(max(count * picture.tokens, _budget(layout)), request.model.hidden)
    return max(handed_on, max(alive + handed_on, stretched) - passed_bytes)


def _budget(layout: Layout) -> int:
    """Tokens of pictures that vLLM takes into a pass: as many as of anything."""
    return layout.batch_tokens if layout.engine is Engine.VLLM else 0


def _pass(pictures: Pictures, layout: Layout, context: int) -> tuple[int, Seen]:
    """How many pictures pass together: the largest ones that vLLM profiles, else those of one prompt."""
    most = pictures.most
    if layout.engine is not Engine.VLLM or most is None:
        return pictures.count, pictures.seen
    crossed = pictures.sight is not None and pictures.sight.rule is Rule.CROSS  # of their own, not the prompt's
    size = max(1, most.patches if crossed else most.tokens)
    together = max(1, max(_budget(layout), size) // size)
    return (min(together, max(1, layout.max_sequences) * pictures.count) if pictures.count else together), most


def sglang_share(pictures: Pictures | None) -> float:
    """What SGLang multiplies its default share of a card by where a model sees: less, the larger the tower."""
    if pictures is None or pictures.tower is None:
        return 1.0
    return 0.95 * min(1.05, max(0.8, 1 - 0.1 * (_size(pictures.tower) / _VIT_L - 1)))


_VIT_L = 24 * 1024**2  # depth x width^2 of ViT-L (24 layers of 1024), which SGLang takes as its unit (server_args.py)


def _size(tower: Tower) -> float:
    return float(tower.depth * tower.width**2)
