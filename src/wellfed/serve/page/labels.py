"""The page's own words: heads, labels, hints. Sentences about plans and machines are those of the rooms below."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from functools import cache
from itertools import chain

from wellfed.message import Message, Parameter, message
from wellfed.messages.words import words

_EVERY_PAGE = (
    message("page.tagline", "Is your GPU well fed?"),
    message("page.stop", ". "),
    message("page.rest", "the rest"),
    message("page.ask", "Ask"),
    message("page.fit", "What fits"),
    message("page.compare", "Compare"),
    message("page.machine", "Machine"),
    message("page.watch", "Watch"),
    message("page.fleet", "Fleet"),
    message("page.claims", "Claims"),
    message("page.skip", "Skip to the content"),
    message("page.theme", "Light or dark"),
    message("page.language", "中文"),
    message(
        "page.footer",
        "Estimates with 80 % intervals. They are made on this machine; a hub is asked for models that only it knows.",
    ),
    message("page.needs", "{what} failed"),
    message("page.hint", "What to do"),
)
_ASK = (
    message("page.ask-title", "What do I want to run, and on what?"),
    message("page.model", "Model"),
    message("page.model-hint", "a name, a hub repository, a size and format: qwen3-32b, r1:70b q4_k_m"),
    message("page.on", "Machine"),
    message("page.on-hint", "a line of parts; leave it empty for this machine"),
    message("page.this-machine", "This machine"),
    message("page.pick", "Pick parts"),
    message("page.paste", "Paste dumps"),
    message("page.gpu", "GPU"),
    message("page.count", "How many"),
    message("page.cpu", "CPU"),
    message("page.ram", "Memory"),
    message("page.slots", "Slots"),
    message("page.slots-any", "as the board has them"),
    message("page.none", "none"),
    message("page.use", "Use"),
    message("page.users", "Users at a time"),
    message("page.targets", "Targets and details"),
    message("page.ttft", "First token within, s"),
    message("page.tpot", "Each token within, ms"),
    message("page.context", "Room for context, tokens"),
    message("page.prompt", "Prompt, tokens"),
    message("page.output", "Answer, tokens"),
    message("page.for", "Rank by"),
    message("page.engine", "Engine"),
    message("page.quant", "Weights"),
    message("page.quality", "Coarsest weights"),
    message("page.kv-type", "KV cache"),
    message("page.images", "Pictures in a prompt"),
    message("page.nodes", "Equal machines"),
    message("page.network", "Network"),
    message("page.any", "any"),
    message("page.submit", "Answer"),
    message("page.taken-for", "Taken for"),
    message("page.examples", "For example"),
    message("page.pasted", "pasted dump"),
)
_ANSWER = (
    message("page.speed", "Speed of each user"),
    message("page.first", "First token"),
    message("page.total", "All users together"),
    message("page.spare", "Memory to spare"),
    message("page.interval", "{low} to {high}"),
    message("page.wanted", "wanted: {value}"),
    message("page.type", "What to type"),
    message("page.copy", "Copy"),
    message("page.copied", "Copied"),
    message("page.why", "Why"),
    message("page.notes", "Read as"),
    message("page.assumed", "Assumed"),
    message("page.levers", "What would fit, least loss first"),
    message("page.upgrades", "The next upgrade"),
    message("page.no-fit", "Nothing fits."),
    message("page.command", "The same question in a terminal"),
    message("page.report", "Save as a report"),
    message("page.see-machine", "See this machine"),
)
_SEE = (
    message("page.memory", "Memory"),
    message("page.memory-of", "{needed} of {available}"),
    message("page.step", "Where a step's time goes"),
    message("page.decode-step", "One decode step"),
    message("page.prefill-step", "The whole prompt"),
    message("page.limited", "limited by {limit}"),
    message("page.over-users", "Over users"),
    message("page.over-context", "Over context"),
    message("page.rate-each", "tokens/s of each user"),
    message("page.rate-all", "tokens/s of all"),
    message("page.target", "wanted"),
    message("page.plans", "All plans"),
    message("page.more-plans", "{count} more plans"),
    message("page.scatter", "Speed against quality"),
    message("page.bits", "bits per weight"),
    message("page.scatter-note", "The line joins plans that no other beats in both."),
    message("page.layout", "Layout"),
    message("page.filter", "Show"),
    message("page.all", "all"),
    message("page.limits", "Limited by"),
    message("page.figures", "Figures as a table"),
    message("page.part", "Part"),
    message("page.size", "Size"),
    message("page.time", "Time"),
    message("page.free", "free"),
)
_WHAT_IF = (
    message("page.whatif", "What if"),
    message("page.whatif-note", "Same engine and weights on a changed machine."),
    message("page.gpus-at", "GPUs"),
    message("page.channels-at", "Memory channels of a socket"),
    message("page.width-at", "Lanes of each link"),
    message("page.generation-at", "PCIe generation"),
    message("page.clock-at", "CPU clock, % of now"),
    message("page.now", "as it is"),
    message("page.changed", "changed"),
    message("page.redraw", "Draw again"),
    message("page.reset", "As it is"),
    message("page.whatif-none", "So changed, it does not fit."),
)
_WHAT_FITS = (
    message("page.fit-title", "What does this machine serve well?"),
    message("page.fit-do", "Look"),
    message("page.benchmark", "Quality"),
    message("page.longest", "Longest context"),
    message("page.slow", "slow"),
    message("page.looked", "{count} of {known} models were estimated."),
    message("page.counted", "{count} models estimated"),
    message("page.cancel", "Cancel"),
)
_COMPARE = (
    message("page.compare-title", "The same model on up to six machines"),
    message("page.machine-n", "Machine {number}"),
    message("page.power", "Power"),
    message("page.per-joule", "tokens per joule"),
    message("page.weakest", "Weakest part"),
    message("page.best-plan", "Best plan"),
    message("page.weakest-part", "{part}: half as good again gives {gain}"),
    message("page.balanced", "none stands out"),
)
_MACHINE = (
    message("page.machine-title", "How the machine is wired"),
    message(
        "page.paste-hint",
        "nvidia-smi -q, lspci -vv, lscpu, dmidecode, lstopo, nvidia-smi topo -m ..., one after the other",
    ),
    message("page.paste-read", "Read it"),
    message("page.price-for", "Price the faults for a model"),
    message("page.faults", "Faults"),
    message("page.no-faults", "Nothing is found to be wrong."),
    message("page.not-seen", "Could not be seen"),
    message("page.costs", "costs {rate} of {now}"),
    message("page.costs-other", "costs {what}"),
    message("page.costs-nothing", "costs this model nothing"),
    message("page.remedy", "Remedy"),
    message("page.evidence", "Evidence"),
    message("page.measured", "is {measured}, wanted {wanted}"),
    message("page.together", "All mended together: {rate} more"),
    message("page.zoom", "Zoom"),
    message("page.fit-width", "whole"),
    message("page.legend", "thickness: lanes; colour: generation"),
    message("page.draw-it", "Draw it"),
    message("page.passed", "{count} checks passed"),
)
_WATCH = (
    message("page.watch-title", "It is slow now. Why?"),
    message("page.engines", "Engines that run here"),
    message("page.no-engines", "None that wellfed started is running."),
    message("page.url", "Address of an engine"),
    message("page.watch-it", "Watch"),
    message("page.replay", "Replay a recording"),
    message("page.replay-hint", "a file of `wellfed watch --record`"),
    message("page.replay-it", "Replay"),
    message("page.moment", "Moment"),
    message("page.timeline", "When something was wrong"),
    message("page.strip-ill", "something is wrong"),
    message("page.strip-well", "as it should be"),
    message("page.strip-unknown", "not told"),
    message("page.user-rate", "tokens/s of a user"),
    message("page.promised", "promised: {low} to {high}"),
    message("page.gpu-busy", "GPU busy"),
    message("page.cores-busy", "CPU cores busy"),
    message("page.cores-node", "Cores busy, by NUMA node"),
    message("page.engine-memory", "Engine's memory"),
    message("page.gpu-memory", "GPU memory"),
    message("page.link-use", "Link in use"),
    message("page.diagnosis", "Diagnosis"),
    message("page.next", "What to look at next"),
    message("page.waiting", "The first look takes some seconds."),
    message("page.unknown-cause", "No cause is plain."),
    message("page.seconds-seen", "{seconds} watched"),
    message("page.stop-watching", "Stop"),
    message("page.not-told", "not told"),
)
_CLAIMS = (
    message("page.claims-title", "The usual advice, held against the figures"),
    message("page.claims-note", "Each figure is made now, by the same model of machines as every answer."),
    message("page.claim", "Claim"),
    message("page.figure", "Figures"),
    message("page.right", "right"),
    message("page.wrong", "wrong"),
    message("page.misleading", "misleading"),
    message("page.look", "See for yourself"),
)
_PAGES = (_EVERY_PAGE, _ASK, _ANSWER, _SEE, _WHAT_IF, _WHAT_FITS, _COMPARE, _MACHINE, _WATCH, _CLAIMS)


def label(key: str, **params: Parameter) -> str:
    """A label in the language of the job; raises KeyError for one that is not there."""
    return words(replace(_labels()[key], arguments=tuple(params.items())))


def colon() -> str:
    """Between a name and its value."""
    return words(message("joined.colon", ": "))


@cache
def _labels() -> Mapping[str, Message]:
    """Every label by its id without `page.`."""
    return {entry.id.removeprefix("page."): entry for entry in chain.from_iterable(_PAGES)}
