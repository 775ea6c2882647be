"""Load on an endpoint: so many users at a time, prompts and answers of chosen lengths, percentiles of what they saw."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import median

import httpx

from wellfed.bench.client import Reply, Target, complete
from wellfed.errors import WellfedError

# Common English words: about one token each for every tokenizer in use.
_WORDS = (
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state",
    "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week", "company", "system",
    "program", "question", "work", "government", "number", "night", "point", "home", "water", "room", "mother",
    "area", "money", "story", "fact",
)  # fmt: skip
_TRIAL_WORDS = 24


@dataclass(frozen=True, slots=True)
class Scenario:
    """What to send. `requests` None: four per user, at least eight."""

    concurrency: int = 1
    prompt_tokens: int = 512
    output_tokens: int = 128
    requests: int | None = None
    warmup: int = 1
    seed: int = 0
    timeout_s: float = 600.0

    @property
    def count(self) -> int:
        """Requests measured."""
        return self.requests or max(8, 4 * self.concurrency)


@dataclass(frozen=True, slots=True)
class Spread:
    """A measured quantity: median, and the 5th, 95th and 99th percentiles."""

    median: float
    p05: float
    p95: float
    p99: float


@dataclass(frozen=True, slots=True)
class Measurement:
    """What a scenario saw. Rates are tokens per second; `prefill_tok_s` is prompt tokens over TTFT of one user."""

    scenario: Scenario
    ttft_s: Spread | None
    tpot_s: Spread | None
    total_tok_s: float
    prompt_tokens: float
    output_tokens: float
    seconds: float
    failed: int
    errors: tuple[str, ...] = ()

    @property
    def decode_tok_s(self) -> float | None:
        """One user's rate after the first token: 1 / median TPOT."""
        return 1 / self.tpot_s.median if self.tpot_s else None

    @property
    def prefill_tok_s(self) -> float | None:
        """Prompt tokens over the median time to first token."""
        return self.prompt_tokens / self.ttft_s.median if self.ttft_s else None


def measure(target: Target, scenario: Scenario, progress: Callable[[int, int], None] = lambda *_: None) -> Measurement:
    """Run a scenario. Raises WellfedError when every request failed."""
    return asyncio.run(_measure(target, scenario, progress))


async def _measure(target: Target, scenario: Scenario, progress: Callable[[int, int], None]) -> Measurement:
    limits = httpx.Limits(max_connections=scenario.concurrency + 4)
    async with httpx.AsyncClient(timeout=scenario.timeout_s, limits=limits, trust_env=False) as client:
        words = await _words_per_token(client, target, scenario)
        chance = random.Random(scenario.seed)
        prompts = [_prompt(chance, round(scenario.prompt_tokens * words)) for _ in range(scenario.count)]
        for index in range(scenario.warmup):
            await complete(client, target, _prompt(chance, _TRIAL_WORDS), 8, index)
        begin = time.perf_counter()
        replies = await _closed_loop(client, target, scenario, prompts, progress)
        seconds = time.perf_counter() - begin
    return summary(scenario, replies, seconds)


async def _words_per_token(client: httpx.AsyncClient, target: Target, scenario: Scenario) -> float:
    """How many of our words make a token for this server's tokenizer, from its own count of a trial prompt."""
    trial = await complete(client, target, _prompt(random.Random(scenario.seed + 1), _TRIAL_WORDS), 2, 0)
    if trial.error:
        raise WellfedError(f"the endpoint does not answer: {trial.error}", f"is {target.base_url} the right address?")
    return _TRIAL_WORDS / trial.prompt_tokens if trial.prompt_tokens else 1.0


async def _closed_loop(
    client: httpx.AsyncClient,
    target: Target,
    scenario: Scenario,
    prompts: Sequence[str],
    progress: Callable[[int, int], None],
) -> list[Reply]:
    """Each user sends the next prompt as soon as the last answer is complete."""
    waiting = list(enumerate(prompts))[::-1]
    replies: list[Reply] = []

    async def user() -> None:
        while waiting:
            index, prompt = waiting.pop()
            replies.append(await complete(client, target, prompt, scenario.output_tokens, scenario.seed + index))
            progress(len(replies), len(prompts))

    await asyncio.gather(*(user() for _ in range(scenario.concurrency)))
    return replies


def _prompt(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=max(1, words)))


def summary(scenario: Scenario, replies: Sequence[Reply], seconds: float) -> Measurement:
    """Percentiles over the replies that succeeded. Raises WellfedError when none did."""
    good = [reply for reply in replies if reply.error is None]
    errors = tuple(dict.fromkeys(reply.error for reply in replies if reply.error))
    if not good:
        raise WellfedError(f"every request failed: {errors[0] if errors else 'none was sent'}")
    tokens = [reply.output_tokens for reply in good]
    prompts = [reply.prompt_tokens or scenario.prompt_tokens for reply in good]
    return Measurement(
        scenario=scenario,
        ttft_s=spread([reply.ttft_s for reply in good if reply.ttft_s is not None]),
        tpot_s=spread([reply.tpot_s for reply in good if reply.tpot_s is not None]),
        total_tok_s=sum(tokens) / seconds,
        prompt_tokens=median(prompts),
        output_tokens=median(tokens),
        seconds=seconds,
        failed=len(replies) - len(good),
        errors=errors,
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Percentiles by nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]

    return Spread(median(ordered), rank(0.05), rank(0.95), rank(0.99))
