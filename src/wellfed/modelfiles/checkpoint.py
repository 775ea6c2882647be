"""A safetensors checkpoint: exact bytes and parameters by part, from its files' headers alone."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from math import prod
from pathlib import Path

from wellfed.errors import BadInput, Unsupported
from wellfed.frozen import dataclass
from wellfed.message import sentence
from wellfed.modelfiles.hf_config import config_file, config_values, read_config
from wellfed.modelfiles.safetensors_file import SafetensorsTensor, checkpoint_files, read_safetensors_header
from wellfed.models.config import from_layers
from wellfed.models.config_reader import Config
from wellfed.models.config_wrapper import language_model
from wellfed.models.from_tensors import LayerTensors, shape_of
from wellfed.models.model import Model
from wellfed.models.native_formats import native_recipe
from wellfed.models.quantisation import tally
from wellfed.models.tensor import Part, Tensor
from wellfed.models.tensor_names import is_companion, kind_of, module_of, parameters, place, role_of
from wellfed.models.weights import Weights

_MOST_TENSORS = 2_000_000  # in all files together; the largest real checkpoints have 300,000
_DIGITS = re.compile(r"\d+")
_LAYER = re.compile(r"(?:^|\.)(?:layers?|h|blocks?)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """What a folder's safetensors files hold. `counted` is the language model, `total` everything in the files."""

    model: Model
    weights: Weights
    counted: int
    total: int
    files: tuple[Path, ...]


def read_checkpoint(folder: str | Path) -> Checkpoint:
    """The model of the checkpoint in `folder`: layers by config or, where that is unknown, by the tensors themselves.

    Raises BadInput where there are no files, Unsupported for layers that are not understood.
    """
    files = checkpoint_files(Path(folder))
    if not files:
        raise BadInput(sentence("checkpoint.no-safetensors-files", "no .safetensors files in {folder}", folder=folder))
    table: list[SafetensorsTensor] = []
    for file in files:
        table += read_safetensors_header(file)
        if len(table) > _MOST_TENSORS:
            raise BadInput(
                sentence(
                    "checkpoint.more-tensors",
                    "more than {most_tensors} tensors in {folder}",
                    most_tensors=_MOST_TENSORS,
                    folder=folder,
                )
            )
    return checkpoint_of(config_file(folder), table, files)


def checkpoint_of(config: Path, table: Sequence[SafetensorsTensor], files: tuple[Path, ...] = ()) -> Checkpoint:
    """The model of the config.json at `config` whose files hold the tensors in `table`."""
    model = model_of(config, table)
    weights, counted, total = sums(model, table)
    return Checkpoint(exactly(model, counted, total), weights, counted, total, files)


def exactly(model: Model, counted: int, total: int) -> Model:
    """`model` with the counts that its files give, where its layers' own count is another."""
    if (model.parameters, model.total_parameters) == (counted, total):
        return model
    return replace(model, counted_parameters=(counted, total))


def model_of(config: Path, table: Sequence[SafetensorsTensor]) -> Model:
    """The model by its config's builder, else by the shapes in `table`."""
    try:
        return read_config(config)
    except Unsupported as error:
        values = config_values(config)
        kind, settings = language_model(values, ())
        reader = Config(settings, kind)
        try:
            return _recognised(values, reader, table, config.parent.name)
        except (BadInput, Unsupported) as second:
            raise Unsupported(f"{error.message}; {second.message}", second.hint or error.hint) from second


def _recognised(
    values: Mapping[str, object], reader: Config, table: Sequence[SafetensorsTensor], identity: str
) -> Model:
    """A model of a kind without a builder, from its tensors' shapes."""
    if native_recipe(values).default:
        raise Unsupported(
            sentence("checkpoint.weights-packed-their", "its weights are packed, and their shapes tell nothing")
        )
    count = reader.layers
    layers = [_roles(table, index) for index in range(count)]
    names = {tensor.name: tensor.shape for tensor in table}
    embedding = next((shape for name, shape in names.items() if place(name, count, shape).part is Part.EMBEDDING), None)
    hidden = embedding[-1] if embedding else reader.integer("hidden_size")
    tied = not any(place(name, count, shape).part is Part.OUTPUT for name, shape in names.items())
    lookups = [
        Tensor("lookup", Part.LOOKUP, shape[0], shape[-1])
        for name, shape in names.items()
        if len(shape) > 1 and place(name, count, shape).part is Part.LOOKUP
    ]
    shape = shape_of(layers, reader, hidden, tied, lookups)
    return from_layers(values, reader, shape, identity)


def _roles(table: Iterable[SafetensorsTensor], index: int) -> LayerTensors:
    shapes: dict[str, tuple[int, ...]] = {}
    experts: dict[str, int] = {}
    for tensor in table:
        match = _LAYER.search(tensor.name)
        if match is None or int(match[1]) != index:
            continue
        tensor_place = place(tensor.name, index + 1, tensor.shape)
        if tensor_place.layer != index:
            continue
        role = role_of(tensor_place.inner)
        if role.endswith("_exps"):
            experts[role] = experts.get(role, 0) + 1
        shapes[role] = tensor.shape
    for role, count in experts.items():
        if count > 1:
            shapes[role] = (count, *shapes[role])
    return LayerTensors(shapes)


def sums(model: Model, table: Iterable[SafetensorsTensor]) -> tuple[Weights, int, int]:
    """Exact weights, the language model's parameters, and all parameters of the files."""
    layers, doubled = len(model.layers), model.family == "longcat"
    adding = tally(layers)
    counted = total = 0
    for tensor, stored_bytes, elements in _alike(table):
        tensor_place = place(tensor.name, layers // 2 if doubled else layers, tensor.shape)
        kind = kind_of(module_of(tensor.name), tensor.dtype, tensor_place.layer, model.native_recipe)
        layer = _doubled(tensor_place.layer, tensor_place.inner) if doubled else tensor_place.layer
        part = tensor_place.part
        if part is Part.NORM and layer is not None and is_companion(tensor.name):
            part = Part.ATTENTION
        adding.add(part, (layer,), kind, stored_bytes)
        number = parameters(tensor.name, tensor.dtype, elements, kind)
        total += number
        is_copy = part is Part.OUTPUT and model.tied_embeddings
        counted += 0 if part in (Part.MTP, Part.VISION, Part.AUDIO) or is_copy else number
    return adding.weights(model.native_quantisation, exact=True), counted, total


def _alike(table: Iterable[SafetensorsTensor]) -> Iterator[tuple[SafetensorsTensor, int, int]]:
    """One tensor of each group that differs only in numbers (a layer's experts), its bytes and elements summed up."""
    groups: dict[tuple[str, str, str, bool], tuple[SafetensorsTensor, list[int]]] = {}
    for tensor in table:
        match = _LAYER.search(tensor.name)
        key = (_DIGITS.sub("0", tensor.name), match[1] if match else "", tensor.dtype, len(tensor.shape) < 2)
        sums = groups.setdefault(key, (tensor, [0, 0]))[1]
        sums[0] += tensor.bytes
        sums[1] += prod(tensor.shape)
    for tensor, (stored_bytes, elements) in groups.values():
        yield tensor, stored_bytes, elements


def _doubled(layer: int | None, inner: str) -> int | None:
    """LongCat's layers are two of ours: the second attention and the second dense feed-forward are the second's."""
    if layer is None:
        return None
    return 2 * layer + (".1." in inner or inner.startswith(("input_layernorm.1", "post_attention_layernorm.1")))
