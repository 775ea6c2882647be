"""Pictures in a workload: read from what was asked, and the layouts of engines that take them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import replace

from wellfed.catalog.sights import sight_of, tower_parameters
from wellfed.engines.capabilities import CAPABILITIES
from wellfed.engines.media import makes_room, without_towers
from wellfed.errors import BadInput
from wellfed.message import message, sentence
from wellfed.models.model import Model
from wellfed.models.picture_rules import largest, seen
from wellfed.models.pictures import Pictures, Seen
from wellfed.models.tensor import Part
from wellfed.nouns.layout import Layout
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.perf.identity import per_object
from wellfed.perf.memory.kv import LOCAL
from wellfed.perf.memory.towers import ON_CPU, ON_GPU, PLACE, as_seen
from wellfed.planner.refusal import Refusal
from wellfed.provenance import Assumption

_USUAL_SIDE = 1024  # pixels, where no size is told: assumed
_MOST_COUNT, _MOST_SIDE, _MOST_TOKENS = 1000, 20_000, 100_000
_MOST_SHAPE = 200  # processors refuse longer strips


def pictures_asked(text: str, model: Model) -> Pictures:
    """`N`, `N@WIDTHxHEIGHT` or `N@TOKENS` as pictures that `model` sees. Raises BadInput for other words, for models
    that see none, and where nobody here knows how many tokens a picture becomes.
    """
    count, each_size = _read(text)
    if isinstance(each_size, int):
        return Pictures(count, 0, 0, Seen(each_size, 0, 0))
    sight = sight_of(model)
    if sight is None:
        raise _unseen(model)
    width, height = each_size
    return Pictures(
        count, width, height, seen(sight, width, height), sight, sight.tower(tower_parameters(model)), largest(sight)
    )


def _read(text: str) -> tuple[int, int | tuple[int, int]]:
    count, at, size = text.strip().lower().partition("@")
    sides = size.split("x") if at else [str(_USUAL_SIDE)] * 2
    digits = count.isdecimal() and all(side.isdecimal() for side in sides) and len(sides) <= 2
    if digits and 1 <= int(count) <= _MOST_COUNT:
        numbers = [int(side) for side in sides]
        if len(numbers) == 1 and 1 <= numbers[0] <= _MOST_TOKENS:
            return int(count), numbers[0]
        if len(numbers) == 2 and min(numbers) >= 1 and max(numbers) <= min(_MOST_SIDE, _MOST_SHAPE * min(numbers)):
            return int(count), (numbers[0], numbers[1])
    problem = message("pictures.unread", "{text} is no number of pictures", text=text)
    hint = "N, N@WIDTHxHEIGHT in pixels or N@TOKENS of each, for example 2@1920x1080"
    raise BadInput(problem, message("pictures.unread.hint", hint))


def _unseen(model: Model) -> BadInput:
    sees = model.task not in ("text", "embedding", "reranker", "encoder-decoder") or any(
        tensor.part is Part.VISION for tensor in model.extra_tensors
    )
    if sees:
        problem = message(
            "pictures.unknown", "how many tokens {model} makes of a picture is not known", model=model.name
        )
        return BadInput(problem, message("pictures.unknown.hint", "--images N@TOKENS tells how many each becomes"))
    problem = message("pictures.none", "{model} sees no pictures", model=model.name)
    hint = "a vision-language model does; --images N@TOKENS where this one is one"
    return BadInput(problem, message("pictures.none.hint", hint))


def with_room(load: Workload, pictures: Pictures) -> Workload:
    """The load with pictures in every prompt, beside its text. A preset's room grows with them.

    Raises BadInput where the room that was named is too little.
    """
    prompt = load.prompt_tokens + pictures.tokens
    needed = load.depth_tokens + prompt + load.output_tokens
    context = load.context_tokens
    if context is not None and needed > context:
        preset = PRESETS.get(load.name)
        if preset is None or preset.context_tokens != context:
            problem = message(
                "pictures.context", "{context} tokens are no room for {needed}: {count} pictures are {tokens}",
                context=f"{context:,}", needed=f"{needed:,}", count=str(pictures.count), tokens=f"{pictures.tokens:,}",
            )  # fmt: skip
            raise BadInput(problem, message("pictures.context.hint", "a longer --context, fewer or smaller pictures"))
        context = needed
    return replace(load, prompt_tokens=prompt, context_tokens=context, pictures=pictures)


def assumption(pictures: Pictures, model: Model) -> Assumption:
    """How many tokens each picture becomes, as an assumption that the answer shows."""
    tokens, sight = pictures.seen.tokens, pictures.sight
    if sight is None:
        template = "pictures in each prompt: {count}, {tokens} tokens each"
        text = sentence("pictures.as-told", template, count=pictures.count, tokens=tokens)
        return Assumption(text, sentence("pictures.as-told.why", "as told"), reading=True)
    text = sentence(
        "pictures.each",
        "pictures in each prompt: {count}, {width} x {height} pixels, {tokens:,} tokens each to {model}",
        count=pictures.count, width=pictures.width, height=pictures.height, tokens=tokens, model=model.name,
    )  # fmt: skip
    why = sentence("pictures.each.why", "by the rule of its processor")
    return Assumption(text, why, reading=True)


def with_pictures(layouts: Iterable[Layout], refused: list[Refusal]) -> Iterator[Layout]:
    """The layouts of engines that run towers, told once of the others; llama.cpp's with its tower on the first GPU."""
    told_of = set()
    for layout in layouts:
        capabilities = CAPABILITIES[layout.engine]
        if not capabilities.pictures:
            if layout.engine not in told_of:
                told_of.add(layout.engine)
                refused.append(Refusal(capabilities.label, sentence("candidates.no-pictures", "takes no pictures")))
        elif layout.engine in LOCAL:
            place = ON_GPU if layout.gpus else ON_CPU
            yield replace(layout, options=(*layout.options, (PLACE, place)))
        else:
            yield layout


@per_object
def unasked(model: Model) -> Pictures | None:
    """What engines make room for though a question brings no pictures; None where the model sees none."""
    sight = sight_of(model)
    if sight is None:
        return None
    return Pictures(0, 0, 0, Seen(0, 0, 0), sight, sight.tower(tower_parameters(model)), largest(sight))


def text_only(layouts: Iterable[Layout], model: Model) -> Iterator[Layout]:
    """The layouts for a question without pictures: where the engine can, towers are left away."""
    sees = bool(tower_parameters(model)) or unasked(model) is not None
    return (without_towers(layout) if sees else layout for layout in layouts)


def as_served(load: Workload, layout: Layout, model: Model) -> Workload:
    """The load with its pictures as the engine sees them, or with the room that it makes for pictures unasked."""
    if load.pictures is not None or not makes_room(layout):
        return as_seen(load, layout)
    room = unasked(model)
    return load if room is None else replace(load, pictures=room)
