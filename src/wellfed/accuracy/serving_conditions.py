"""What the notes of serving measurements say of load, engine switches and speculation, beside the parallelism."""

from __future__ import annotations

import re

from wellfed.frozen import dataclass
from wellfed.models.model import Model
from wellfed.models.weights import Weights
from wellfed.nouns.layout import Engine, Speculation
from wellfed.perf.serving.totals import totals

_AT_ONCE = re.compile(r"all (\d+) requests offered at once|(\d+) requests at once|(\d+) prompts, all in flight")
_SENT = re.compile(r"\b(\d+) requests\b")
_REPEATED = re.compile(r"requests sent at once")
# bench_lib.py@26d88f88 of the repository warms up and repeats with the same prompts, which both engines keep.
_WARMED = re.compile(r"ree2raz/inference-bench")
_SERVED = re.compile(r"rate=([\d.]+) req/s.*?(?:achieved ([\d.]+) req/s|, ([\d.]+) served)")
_KEPT_UP = 0.81  # of the requests offered: a run that serves fewer tells of its length
_ROUNDS = 5  # of a benchmark that does not tell: requests for each client
_RANDOM_ARRIVALS = re.compile(r"Poisson|\brate=[\d.]+ req/s")
_DRAWN = re.compile(r"ShareGPT|uniform", re.IGNORECASE)
_MEDIANS = re.compile(r"TPOT p50|medians? of \d|TPOT where given\) median|per-stream median", re.IGNORECASE)
_EAGER = re.compile(r"enforce[_-]eager|CUDA graphs off|disable-cuda-graph", re.IGNORECASE)
_CACHED = re.compile(r"prefixes shared or cached|prompts share their context|prefix cache on", re.IGNORECASE)
_MAYBE_CACHED = re.compile(r"may hit a prefix cache", re.IGNORECASE)
_CHUNK = re.compile(r"(?:max-num-batched-tokens|max_num_tokens|chunked-prefill-size)[ =](\d+)")
_SEQUENCES = re.compile(r"(?:max-num-seqs|max-running-requests|max-running)[ =](\d+)")
_FP8_CACHE = re.compile(r"fp8(?:_e\dm\d)? KV|kv-cache-dtype[ =]fp8", re.IGNORECASE)
_DRAFTS = re.compile(r"speculative (\w+)(?: (?:on|draft_tokens=(\d*)))(?: steps=(\d+))?", re.IGNORECASE)
_RATE = re.compile(r"accept(?:ance|ed)?(?: rate)?,? ~?(\d+(?:\.\d+)?)(?:-(\d+(?:\.\d+)?))?%")
_LENGTH = re.compile(r"accept(?:ance)? length ~?(\d+(?:\.\d+)?)")
_POWER = re.compile(r"\b(\d{2,4}) W (?:cap|limit)\b")
_DATE = re.compile(r"\((20\d\d)-(\d\d)")
_VERSION = re.compile(r"(\d+)\.(\d+)")
# What drafters are taken to guess right, of the tokens drafted one after the other, where a table does not tell.
_ACCEPTANCE = {"mtp": 0.65, "eagle": 0.45, "eagle3": 0.45, "suffix": 0.3, "ngram": 0.3}
_DRAFTED = {"mtp": 2, "eagle": 4, "eagle3": 4}
_MOST_DRAFTED = 32
_WHOLE = re.compile(r"guidellm|over the whole request|per whole run", re.IGNORECASE)
_ASYNC_SINCE, _WHOLE_GRAPHS_SINCE, _FIRST_PIECES = (0, 14), (0, 11), (0, 8)  # versions of vLLM
_ASYNC_DATE, _NEVER = (2026, 1), (99, 0)


@dataclass(frozen=True, slots=True)
class Conditions:
    """How a row was measured, as far as its notes tell; None: not told."""

    requests: int | None  # sent in all; None: a long run
    random_arrivals: bool  # requests come on their own, not when another is answered
    spread: float  # of the lengths
    cached_prompt: bool  # the prompt was in the cache when the request came
    maybe_cached: bool
    eager: bool
    async_scheduling: bool | None
    piecewise_graphs: bool
    chunk: int | None
    sequences: int | None
    fp8_cache: bool
    power_w: float | None
    overloaded: bool  # fewer requests were served than came: the wait is as long as the run
    whole_request: bool  # times per token hold the wait for the first one


def conditions(notes: str, engine: Engine, version: str, source: str, clients: int) -> Conditions:
    """From a row's notes, engine version and source."""
    return Conditions(
        requests=_requests(notes, clients),
        random_arrivals=_RANDOM_ARRIVALS.search(notes) is not None,
        spread=1.0 if _DRAWN.search(notes) and not _MEDIANS.search(notes) else 0.0,
        cached_prompt=bool(_CACHED.search(notes)),
        maybe_cached=bool(_MAYBE_CACHED.search(notes) or _WARMED.search(source)),
        eager=bool(_EAGER.search(notes)),
        async_scheduling=_async(notes, engine, version, source),
        piecewise_graphs=engine is Engine.VLLM and _FIRST_PIECES <= (_pair(version) or _NEVER) < _WHOLE_GRAPHS_SINCE,
        chunk=_last(_CHUNK, notes),
        sequences=_last(_SEQUENCES, notes),
        fp8_cache=bool(_FP8_CACHE.search(notes)),
        power_w=_last(_POWER, notes),
        overloaded=_overloaded(notes),
        whole_request=bool(_WHOLE.search(notes)),
    )


def speculation(notes: str, model: Model, model_weights: Weights) -> Speculation | None:
    """The speculation a row's notes tell of; what drafters do on average where they tell no acceptance.

    Prediction layers and EAGLE heads are taken as one layer and the output head for each step of drafting.
    """
    match = _DRAFTS.search(notes)
    if match is None or match[1].lower() == "decoding":
        return None
    method = match[1].lower()
    tokens = min(_MOST_DRAFTED, int(match[2] or _DRAFTED.get(method, 3)))
    steps = min(tokens, int(match[3] or tokens))
    length, rate = _LENGTH.search(notes), _RATE.search(notes)
    if length:
        reached = float(length[1])
    elif rate:
        reached = 1 + steps * (float(rate[1]) + float(rate[2] or rate[1])) / 200
    else:
        reached = 1 + steps * _ACCEPTANCE.get(method, 0.5)
    share = 0.0 if method in {"suffix", "ngram"} else _one_layer(model, model_weights) * steps / tokens
    return Speculation(tokens, min(tokens + 1.0, reached), draft_share=share)


def _one_layer(model: Model, model_weights: Weights) -> float:
    """A mean layer's active weights and the output head, of all active weights."""
    sums = totals(model, model_weights)
    body = sums.attention + sums.dense + sums.shared + sums.routed * sums.expert_share
    return (body / max(1, len(model.layers)) + model_weights.head) / (body + model_weights.head)


def _overloaded(notes: str) -> bool:
    match = _SERVED.search(notes)
    return match is not None and float(match[2] or match[3]) < _KEPT_UP * float(match[1])


def _requests(notes: str, clients: int) -> int | None:
    """A long run where requests come at random or the number is not told."""
    at_once = _AT_ONCE.search(notes)
    if at_once:
        return max(clients, int(at_once[1] or at_once[2] or at_once[3]))
    if _REPEATED.search(notes):
        return clients
    if _RANDOM_ARRIVALS.search(notes):
        return None
    sent = _SENT.search(notes)
    return max(clients, int(sent[1])) if sent else _ROUNDS * clients


def _async(notes: str, engine: Engine, version: str, source: str) -> bool | None:
    if "no-async-scheduling" in notes:
        return False
    if engine is not Engine.VLLM or "async-scheduling" in notes or "origin=InferenceX" in notes:
        return None
    pair = _pair(version)
    if pair is not None:
        return None if pair >= _ASYNC_SINCE else False
    date = _DATE.search(source)
    return False if date and (int(date[1]), int(date[2])) < _ASYNC_DATE else None


def _pair(version: str) -> tuple[int, int] | None:
    match = _VERSION.search(version)
    return (int(match[1]), int(match[2])) if match else None


def _last(pattern: re.Pattern[str], notes: str) -> int | None:
    matches = pattern.findall(notes)
    return int(matches[-1]) if matches else None
