"""Names of models with another's layers: weights edited in place, stages of a training, other contexts, fine-tunes,
what learnt from another model's answers, and names with less in them than any of the model's own.
"""

from __future__ import annotations

import re

from wellfed.catalog.identities import CONTEXT, How, Identity, as_asked, lacks_its_size, made, tokens
from wellfed.catalog.models import Entry, by_id
from wellfed.catalog.name_match import matched
from wellfed.catalog.name_words import Name, parse
from wellfed.frozen import replace
from wellfed.message import as_text, message, sentence
from wellfed.patterns import regex
from wellfed.provenance import Assumption


def as_said(name: Name) -> Identity | None:
    """A name with less in it than any of the model's own, where one model is left; or of what it was distilled from."""
    from wellfed.catalog.short_names import in_figures, of_any_generation, taught_by_another, with_units

    taught = taught_by_another(name)
    if taught is not None:
        text = message("resolve.same-layers", "{name} is planned as {model}", name=as_asked(name), model=taught.name)
        return made(taught, How.LOOSE, name, (Assumption(as_text(text), _TAUGHT),))
    words = name.distinguishing
    chosen = None if name.owner else with_units(words) or in_figures(name) or of_any_generation(words)
    if chosen is None:
        return None
    text = message("resolve.taken-for", "{name} is taken for {model}", name=as_asked(name), model=chosen.name)
    return made(chosen, How.LOOSE, name, (Assumption(as_text(text), _ONLY_ONE),))


def tuned(name: Name) -> Identity | None:
    """A fine-tune whose name tells family, generation and size of its base."""
    from wellfed.catalog.fine_tunes import base_of

    base = base_of(name)
    if base is None:
        return None
    text = message("resolve.same-layers", "{name} is planned as {model}", name=as_asked(name), model=base.name)
    return made(base, How.LOOSE, name, (Assumption(as_text(text), _TUNED),))


_TUNED = sentence("model-names.tuned", "its name tells a fine-tune of that one: its layers are taken to be the same")
_TAUGHT = sentence("model-names.distilled", "it was trained on another model's answers: every size is that model's")
_ONLY_ONE = sentence("model-names.only-one", "the only one of that name and size")


def at_context(name: Name) -> Identity | None:
    """A model published once more for another context: 'Qwen3-14B-128K' is Qwen3-14B with that limit."""
    words = name.distinguishing
    contexts = [match for word in words if (match := CONTEXT.fullmatch(word))]
    chosen = matched(words - {contexts[0][0]}) if len(contexts) == 1 else None
    if chosen is None or not chosen.has_config:
        return None
    limit = tokens(contexts[0])
    text = message(
        "resolve.said-context",
        "{name} is {model} for {tokens} tokens",
        name=as_asked(name),
        model=chosen.name,
        tokens=limit,
    )
    assumption = Assumption(as_text(text), sentence("model-names.name-tells-context", "its name tells the context"))
    return made(chosen, How.LOOSE, name, (assumption,), replace(by_id(chosen.id), context_limit=limit))


# weights edited in place so that the model refuses less: not a size changes. What else such names hold (a merge, a
# training, a style) is another model
_UNREFUSING_WORDS = frozenset(
    {
        "abliterated",
        "lorablated",
        "ablated",
        "uncensored",
        "heretic",
        "derestricted",
        "decensored",
        "abliteration",
        "abliterate",
        "prism",
    }
)
_UNREFUSING = _UNREFUSING_WORDS | {
    "huihui",
    "hauhaucs",
    "aggressive",
    "v2",
    "norm",
    "preserved",
    "biprojected",
    "mtp",
    "ara",
}


# stages of a training that are published beside its end (OLMo-2-7B-SFT, -DPO): the layers are the same. A reward
# model (RM) has another head
_STAGES = frozenset({"sft", "dpo", "rlvr", "rlvr1", "rlvr2", "kto", "orpo", "simpo", "grpo"})
_EDITED_RELEASE = regex(r"(?<=[a-z])[-_ ]v?\d+(?:\.\d+)?(?![\w.])", re.IGNORECASE)
_EDITED = sentence("model-names.weights-edited-place", "its weights were edited in place: every size is that model's")
_STAGE = sentence("model-names.stage-training", "a stage of its training: every size is that model's")


def changed_weights(name: Name) -> Identity | None:
    """A model with other weights in the same layers: edited in place, or published midway through its training."""
    words = name.distinguishing
    for telling, beside, why in ((_UNREFUSING_WORDS, _UNREFUSING, _EDITED), (_STAGES, _STAGES, _STAGE)):
        chosen = matched(words - beside) or _of_release(name, telling, beside) if telling & words else None
        if chosen is not None and not lacks_its_size(chosen, name):
            text = message(
                "resolve.same-layers", "{name} is planned as {model}", name=as_asked(name), model=chosen.name
            )
            return made(chosen, How.LOOSE, name, (Assumption(as_text(text), why),))
    return None


def _of_release(name: Name, telling: frozenset[str], beside: frozenset[str]) -> Entry | None:
    """The model edited a second time: 'abliterated-v3.5' is a release of the edit, not of the model."""
    word = next((word for word in name.words if word in telling), "")
    head, _, tail = name.core.lower().partition(word)
    return matched(parse(head + _EDITED_RELEASE.sub("", f"{word}{tail}", count=1)).distinguishing - beside)
