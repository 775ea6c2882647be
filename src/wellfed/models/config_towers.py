"""Towers for pictures and sound, counted from their part of the config: bytes, never speed.

A tower is a stack of ordinary blocks behind a patch or frame embedding. What the config does not say (biases,
projectors) is taken as most towers of that width have it; the count is good to a few percent and says so.
"""

from __future__ import annotations

from collections.abc import Mapping

from wellfed.message import sentence
from wellfed.models.config_reader import Config
from wellfed.models.tensor import SPEECH, Part, Tensor

_MOST_PARAMETERS = 10**12
_GATED = frozenset(
    {
        "qwen2_5_vl",
        "pixtral",
        "qwen2_5_omni_vision_encoder",
        "glm4v",
        "glm4v_moe",
        "glm_ocr",
        "dots_vit",
        "gemma4_vision",
    }
)
NOTE = sentence(
    "config-towers.towers-pictures", "the towers for pictures and sound are counted from their config, to a few percent"
)


def towers(config: Mapping[str, object], hidden: int) -> tuple[Tensor, ...]:
    """The towers that `config` (a whole config.json) describes, a lump each; `hidden` is the language model's width."""
    stated = config.get("vision_parameters")
    if isinstance(stated, int) and 0 < stated < _MOST_PARAMETERS:
        speech = config.get("speech_parameters")
        if isinstance(speech, int) and 0 < speech < _MOST_PARAMETERS:
            return (Tensor("vision", Part.VISION, 1, stated), Tensor(SPEECH, Part.UNUSED, 1, speech))
        return (Tensor("vision", Part.VISION, 1, stated),)
    thinker = config.get("thinker_config")
    source = thinker if isinstance(thinker, Mapping) else config
    tensors = [Tensor("vision", Part.VISION, 1, _CLIP_LARGE)] if _sees_by_clip(source) else []
    for key, part in (("vision_config", Part.VISION), ("visual", Part.VISION), ("audio_config", Part.AUDIO)):
        inner = source.get(key)
        count = _count(inner, hidden) if isinstance(inner, Mapping) else 0
        if count:
            tensors.append(Tensor(part.value, part, 1, count))
    return tuple(tensors)


_CLIP_LARGE = 325_541_888  # CLIP ViT-L/14 at 336 with its projector: Phi-3-vision's 4,146,621,440 less its Phi-3


def _sees_by_clip(config: Mapping[str, object]) -> bool:
    processor = config.get("img_processor")
    return isinstance(processor, Mapping) and processor.get("name") == "clip_vision_model"


def _count(inner: Mapping[str, object], hidden: int) -> int:
    """Blocks, patch embedding, positions and projector."""
    flat = _flat(inner)
    reader = Config(flat, str(flat.get("model_type", "tower")))
    width = _number(reader, "embed_dim", "hidden_size", "vt_hidden_size", "width", "d_model")  # Qwen2-VL has both
    depth = _number(reader, "depth", "num_hidden_layers", "vt_num_hidden_layers", "layers", "encoder_layers")
    depth += _number(reader, "num_global_layers")  # Llama 3.2's second stack
    if not width or not depth:
        return 0
    wide = _number(reader, "intermediate_size", "vt_intermediate_size", "encoder_ffn_dim") or _ratio(flat, width)
    gated = reader.kind in _GATED or flat.get("hidden_act") == "silu"
    block = 4 * width * width + (3 if gated else 2) * width * wide + 9 * width + wide
    patch = _number(reader, "patch_size") or 14
    channels = _number(reader, "num_channels", "in_channels") or 3
    frames = _number(reader, "temporal_patch_size") or 1
    first = width * channels * patch * patch * frames
    return depth * block + first + _positions(reader, width, patch) + _projector(reader, flat, width, hidden)


def _flat(inner: Mapping[str, object]) -> Mapping[str, object]:
    """DeepSeek-VL2 and Janus keep the tower's sizes one level deeper, or under a name."""
    params = inner.get("params")
    name = inner.get("model_name") or (params.get("model_name") if isinstance(params, Mapping) else None)
    if isinstance(name, str) and "siglip_large" in name:
        return {"hidden_size": 1024, "num_hidden_layers": 24, "intermediate_size": 4096, "patch_size": 16, **inner}
    if isinstance(name, str) and "siglip_so400m" in name:
        return {"hidden_size": 1152, "num_hidden_layers": 27, "intermediate_size": 4304, "patch_size": 14, **inner}
    return {key: value for key, value in inner.items() if value is not None}


def _number(reader: Config, *keys: str) -> int:
    for key in keys:
        value = reader.values.get(key)
        if isinstance(value, int) and not isinstance(value, bool) and 0 < value < 1 << 20:
            return value
    return 0


def _ratio(flat: Mapping[str, object], width: int) -> int:
    ratio = flat.get("mlp_ratio")
    return round(width * ratio) if isinstance(ratio, int | float) and 0 < ratio < 100 else 4 * width


def _positions(reader: Config, width: int, patch: int) -> int:
    stated = _number(reader, "num_position_embeddings", "position_embedding_size")
    if stated:
        return stated * width * (2 if reader.kind == "gemma4_vision" else 1)  # a table for each direction
    height, wide = _number(reader, "init_pos_emb_height"), _number(reader, "init_pos_emb_width")
    if height and wide:
        return height * wide * width
    image = _number(reader, "image_size")
    ratios, tiles = reader.values.get("supported_aspect_ratios"), _number(reader, "max_num_tiles")
    if isinstance(ratios, list) and tiles:  # Llama 3.2: a table of positions for each way to cut a picture into tiles
        return (len(ratios) + 1) * tiles * ((image // patch) ** 2 + 1) * width
    rotary = reader.kind in {"pixtral", "qwen2_vl", "qwen2_5_vl"}
    return 0 if rotary else (image // patch) ** 2 * width


def _projector(reader: Config, flat: Mapping[str, object], width: int, hidden: int) -> int:
    """Merged patches through one hidden layer to the language model; deepstack repeats it."""
    merge = _number(reader, "spatial_merge_size") or 1
    kernel = flat.get("merge_kernel_size")
    if isinstance(kernel, list) and kernel and isinstance(kernel[0], int):
        merge = kernel[0]
    wide = width * merge * merge
    out = _number(reader, "out_hidden_size", "text_hidden_size") or hidden
    if merge == 1:
        return (_number(reader, "vision_output_dim") or wide) * out
    levels = flat.get("deepstack_visual_indexes")
    return (wide * wide + wide * out) * (1 + (len(levels) if isinstance(levels, list) else 0))
