"""Names that estimates carry as values (what limits a step, its parts), in the language of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from wellfed.message import Message, message
from wellfed.messages.words import words


def _by_name(*messages: Message) -> Mapping[str, Message]:
    """The messages by the English names that estimates carry."""
    return {each.template: each for each in messages}


@cache
def _limits() -> Mapping[str, Message]:
    return _by_name(
        message("limit.memory-bandwidth", "memory bandwidth"),
        message("limit.compute", "compute"),
        message("limit.latency", "latency"),
        message("limit.launches", "launches"),
        message("limit.launch-latency", "launch latency"),
        message("limit.host", "host"),
        message("limit.link", "link"),
        message("limit.link-bandwidth", "link bandwidth"),
        message("limit.link-latency", "link latency"),
        message("limit.communication", "communication"),
        message("limit.prefill-workers", "prefill workers"),
        message("limit.cache-handed-over", "cache handed over"),
        message("limit.network", "network"),
        message("limit.queue", "queue"),
        message("limit.disk", "disk"),
    )


def limit_words(limited_by: str) -> str:
    """What limits, in words; a name that is not known here stays as it is."""
    return words(_limits().get(limited_by, limited_by))


@cache
def _terms() -> Mapping[str, Message]:
    return _by_name(
        message("term.weights", "weights"),
        message("term.kv", "kv"),
        message("term.compute", "compute"),
        message("term.output", "output"),
        message("term.activations", "activations"),
        message("term.graphs", "cuda graphs"),
        message("term.context", "engine context"),
        message("term.processes", "engine processes"),
        message("term.engine", "engine"),
        message("term.system", "system"),
        message("term.kept", "kept free"),
        message("term.copies", "weight copies"),
        message("term.attention", "attention"),
        message("term.cache", "cache"),
        message("term.experts", "experts"),
        message("term.shared-experts", "shared experts"),
        message("term.head", "head"),
    )


def term_words(name: str) -> str:
    """A ledger's term in words; a name that is not known here stays as it is."""
    return words(_terms().get(name, name))
