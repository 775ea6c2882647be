"""Keywords of a verb as what the rooms below are asked: enums or their strings, one value or several."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from enum import StrEnum
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

from wellfed.errors import Misuse, nearest
from wellfed.frozen import replace
from wellfed.message import Listing, message
from wellfed.nouns.layout import Engine
from wellfed.nouns.workload import PRESETS, Workload
from wellfed.planner.goal import QUALITY, Objective

if TYPE_CHECKING:
    from wellfed.engines.versions import Version

Names: TypeAlias = "str | Sequence[str]"
Engines: TypeAlias = "Engine | str | Sequence[Engine | str | tuple[Engine, Version | None]]"
SYSTEMS = ("linux", "windows", "wsl2", "macos")

E_ = TypeVar("E_", bound=StrEnum)


def several(values: str | Iterable[str]) -> tuple[str, ...]:
    """One name or several, as a tuple of plain strings."""
    return (values,) if isinstance(values, str) else tuple(values)


def member(kind: type[E_], value: str, option: str) -> E_:
    """The enum member of a string. Raises Misuse with what there is."""
    return kind(one_of(str(value), [str(member) for member in kind], option))


def one_of(value: str, values: Sequence[str], option: str) -> str:
    """The value where it is one of `values`. Raises Misuse with what there is, the nearest first."""
    if value in values:
        return value
    near = nearest(value, values)
    ordered = (*near, *(name for name in values if name not in near))
    why = message("option.unknown", "{option} is {value}, which there is not", option=option, value=repr(value))
    raise Misuse(why, message("option.unknown.hint", "one of: {names}", names=Listing(ordered)))


def in_range(option: str, value: float | None, least: float, most: float | None = None, above: bool = False) -> None:
    """Raises Misuse for a number out of range; None is none. `above`: `least` itself is too little."""
    if value is None:
        return
    fine = (
        (value > least if above else value >= least) and (most is None or value <= most) and abs(value) != float("inf")
    )
    if not fine:
        why = message("option.range", "{option} is {value}, which is out of its range", option=option, value=str(value))
        if above:
            hint = message("option.range.above", "a number above {least} that ends", least=least)
        elif most is None:
            hint = message("option.range.least", "{least} or more", least=least)
        else:
            hint = message("option.range.between", "from {least} to {most}", least=least, most=most)
        raise Misuse(why, hint)


def positive(option: str, value: float | str) -> float:
    """A number above 0 that ends, from itself or its digits. Raises Misuse for what is none."""
    try:
        number = float(value)
    except ValueError as error:
        why = message("option.number", "{option} is {value}, which is no number", option=option, value=repr(value))
        raise Misuse(why, message("option.range.above", "a number above {least} that ends", least=0)) from error
    in_range(option, number, 0, above=True)
    return number


def engines(values: Engines) -> tuple[tuple[Engine, ...], tuple[Version, ...]]:
    """Engines from enums, strings or pairs with a version, each once; the versions that are named ("vllm@0.17").

    Raises Misuse for an engine that there is not, BadInput for a version that none is.
    """
    from wellfed.engines.named import parted

    single = (values,) if isinstance(values, str) else values
    pairs = [_parted(value, parted) for value in single]
    versions = tuple(version for _, version in pairs if version is not None)
    return tuple(dict.fromkeys(engine for engine, _ in pairs)), versions


def _parted(value: Engine | str | tuple[Engine, Version | None], parted: Callable[[str], Any]) -> Any:
    if isinstance(value, tuple):
        return value
    if "@" not in value:
        return member(Engine, str(value), "engine"), None
    return parted(str(value))


def objective(value: Objective | str) -> Objective:
    """The figure that plans are ranked by. Raises Misuse for another."""
    return member(Objective, value, "for")


def quality_bits(value: str | None) -> float | None:
    """The coarsest weights to accept, in bits; None where it is left open."""
    return None if value is None else QUALITY[one_of(value, list(QUALITY), "quality")]


def workload(
    preset: Workload | str,
    *,
    concurrency: int | None = None,
    rate: float | None = None,
    prompt: int | None = None,
    output: int | None = None,
    context: int | None = None,
    ttft: float | None = None,
    tpot: float | None = None,
    shared_prefix: int | None = None,
) -> Workload:
    """A preset with what is changed of it; `ttft` in s, `tpot` in ms. Raises Misuse for a context that is too short."""
    in_range("concurrency", concurrency, 1, 100_000)
    for name, number in (("rate", rate), ("ttft", ttft), ("tpot", tpot)):
        in_range(name, number, 0, above=True)
    for name, count in (("prompt", prompt), ("output", output), ("context", context), ("shared_prefix", shared_prefix)):
        in_range(name, count, 1)
    base = preset if isinstance(preset, Workload) else PRESETS[one_of(preset, list(PRESETS), "workload")]
    changes = {
        "concurrency": concurrency,
        "request_rate": rate,
        "prompt_tokens": prompt,
        "output_tokens": output,
        "context_tokens": context,
        "ttft_target_s": ttft,
        "tpot_target_s": tpot / 1000 if tpot else None,
        "shared_prefix_tokens": shared_prefix,
    }
    changed: Workload = replace(base, **{name: value for name, value in changes.items() if value is not None})  # type: ignore[arg-type]
    if changed.shared_prefix_tokens >= changed.prompt_tokens > 0 and shared_prefix:
        template = "--shared-prefix {prefix} leaves nothing of prompts of {prompt} tokens"
        why = message("option.shared-prefix", template, prefix=str(shared_prefix), prompt=str(changed.prompt_tokens))
        raise Misuse(why, message("option.shared-prefix.hint", "a longer --prompt: it counts the prefix"))
    return _with_room(changed, context)


def _with_room(changed: Workload, context: int | None) -> Workload:
    """Room for the prompt and the output, where the preset's context is too short for them."""
    needed = changed.depth_tokens + changed.prompt_tokens + changed.output_tokens
    if changed.context_tokens is None or changed.context_tokens >= needed:
        return changed
    if context is not None:
        template = "--context {context} is too short: the prompt and the output are {needed} tokens together"
        raise Misuse(message("option.context", template, context=str(context), needed=str(needed)))
    return replace(changed, context_tokens=needed)
