"""Adapters (LoRA) served beside a model: two narrow matrices of `rank` for every linear layer, in 16 bits.

Bytes = adapters x rank x sum over matrices of (inputs + outputs) x 2. vLLM and SGLang reserve that for as many adapters
as they may hold at once, whatever is loaded; under tensor parallelism one of the two matrices is divided, the other is
on every rank. vLLM adapts routed experts too, each with matrices of its own. llama.cpp loads files of the same size.
Sources: vllm/lora/layers, SGLang's lora memory pool, convert_lora_to_gguf.py of ggml-org/llama.cpp (read 2026-11-29).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.models.model import Layer, Model
from wellfed.models.tensor import Part, Tensor
from wellfed.nouns.layout import Engine, Layout
from wellfed.perf.memory.kv import option
from wellfed.perf.memory.split import Span

_BYTES = 2  # of an adapter's element: BF16 or FP16, as they are served
_ADAPTED = frozenset({Part.ATTENTION, Part.DENSE_FFN, Part.SHARED_EXPERTS})
_DIVIDED_INPUTS = ("attn_output", "ffn_down")  # their inputs are divided over ranks, the others' outputs
_AT_ONCE = {Engine.SGLANG: 8}  # adapters of a batch: its default (--max-loras-per-batch); 1 elsewhere
USUAL_RANK = 16  # where nobody says: vLLM's default, assumed of files


def is_adapted(layout: Layout) -> bool:
    """Whether adapters are served."""
    return option(layout, "lora") == "1"


def adapters(layout: Layout) -> int:
    """How many adapters are held at once; 0 without any."""
    return int(option(layout, "loras") or _AT_ONCE.get(layout.engine, 1)) if is_adapted(layout) else 0


def lora_rank(layout: Layout) -> int:
    """The rank that is reserved for."""
    return int(option(layout, "lora_rank") or USUAL_RANK)


def lora_bytes(model: Model, layout: Layout, span: Span) -> float:
    """What one rank holds of all adapters for the layers of `span`."""
    count = adapters(layout)
    if not count:
        return 0.0
    widths = sum(_widths(layer, model.hidden, layout) for layer in model.layers[span.first : span.last])
    return float(count * lora_rank(layout) * widths * _BYTES)


@dataclass(frozen=True, slots=True)
class Adapted:
    """What one adapter adds to a pass on one rank, by part: inputs + outputs of its matrices times the rank, and how
    many matrices that are.
    """

    elements: Mapping[Part, float]
    matrices: float

    @property
    def total(self) -> float:
        """Elements of all parts."""
        return sum(self.elements.values())


def adapted(model: Model, layout: Layout, layers: Iterable[int]) -> Adapted:
    """One adapter beside `layers` (indices)."""
    kinds: dict[Layer, int] = {}
    for index in layers:
        kinds[model.layers[index]] = kinds.get(model.layers[index], 0) + 1
    sums: dict[Part, float] = {}
    matrices, rank = 0.0, lora_rank(layout)
    for layer, count in kinds.items():
        for tensor in (*layer.attention.tensors(model.hidden), *layer.ffn.tensors(model.hidden)):
            width = _width(tensor, layout)
            if width:
                sums[tensor.part] = sums.get(tensor.part, 0.0) + count * rank * width
                matrices += count
    return Adapted(sums, matrices)


def lora_note(layout: Layout) -> str:
    """Words for a ledger: how many adapters, of which rank."""
    template = "{count} of rank {rank}, every linear layer, 16 bits"
    return sentence("lora.note", template, count=adapters(layout), rank=lora_rank(layout))


def _widths(layer: Layer, hidden: int, layout: Layout) -> float:
    tensors = (*layer.attention.tensors(hidden), *layer.ffn.tensors(hidden))
    return sum(_width(tensor, layout) for tensor in tensors)


def _width(tensor: Tensor, layout: Layout) -> float:
    """Inputs + outputs of a matrix on one rank, of every expert."""
    ranks = max(1, layout.tensor_parallel) if not layout.engine.is_local else 1
    if not tensor.is_matrix:
        return 0.0
    if tensor.part is Part.ROUTED_EXPERTS and layout.engine is Engine.VLLM:
        if layout.expert_parallel > 1:
            return tensor.count * (tensor.rows + tensor.columns) / layout.expert_parallel
    elif tensor.part not in _ADAPTED:
        return 0.0
    inputs, outputs = float(tensor.columns), float(tensor.rows)
    if tensor.role.startswith(_DIVIDED_INPUTS):
        inputs /= ranks
    else:
        outputs /= ranks
    return tensor.count * (inputs + outputs)
