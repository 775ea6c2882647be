"""Load on an endpoint: so many users at a time, prompts and answers of chosen lengths, percentiles of what they saw."""

from __future__ import annotations

import asyncio
import random
import time
from collections.abc import Callable, Sequence
from statistics import median

import httpx

from wellfed.asking.address import Address, Trouble
from wellfed.asking.client import ask, asking
from wellfed.asking.question import LOADS, Form, question
from wellfed.asking.stream import Reply
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.message import message, sentence

# Common English words: about one token each for every tokenizer in use.
_WORDS = (
    "time", "year", "people", "way", "day", "man", "thing", "woman", "life", "child", "world", "school", "state",
    "family", "student", "group", "country", "problem", "hand", "part", "place", "case", "week", "company", "system",
    "program", "question", "work", "government", "number", "night", "point", "home", "water", "room", "mother",
    "area", "money", "story", "fact",
)  # fmt: skip
_TRIAL_WORDS = 24  # of the prompt that tells how many words make a token
_LEAST_S = 1e-6  # no clock tells less
_PATIENCE_S = 5.0  # without an answer, somebody is told that it is waited for


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint, and the model's name there."""

    address: Address
    model: str


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
    short: int = 0  # answers that ended by themselves before as many tokens as were asked for
    bursts: int = 0  # answers that came from a buffer: they tell no time per token
    doubted: int = 0  # answers whose count of tokens does not fit with what came: the pieces were counted
    odd: int = 0  # pieces of answers that could not be read

    @property
    def decode_tok_s(self) -> float | None:
        """One user's rate after the first token: 1 / median TPOT."""
        return 1 / self.tpot_s.median if self.tpot_s else None

    @property
    def prefill_tok_s(self) -> float | None:
        """Prompt tokens over the median time to first token."""
        return self.prompt_tokens / self.ttft_s.median if self.ttft_s else None


def measure(
    target: Target,
    scenario: Scenario,
    progress: Callable[[int, int], None] = lambda *_: None,
    say: Callable[[str], None] = lambda _: None,
) -> Measurement:
    """Run a scenario. Raises WellfedError when every request failed. `say` hears of long waits."""
    return asyncio.run(_measure(target, scenario, progress, say))


async def _measure(
    target: Target, scenario: Scenario, progress: Callable[[int, int], None], say: Callable[[str], None]
) -> Measurement:
    async with asking(scenario.concurrency + 4) as client:
        load = _Load(client, target, scenario)
        waiting = asyncio.ensure_future(_patient(say))
        try:
            words = await load.words_per_token()
        finally:
            waiting.cancel()
        chance = random.Random(scenario.seed)
        prompts = [_prompt(chance, round(scenario.prompt_tokens * words)) for _ in range(scenario.count)]
        for index in range(scenario.warmup):
            await load.ask(_prompt(chance, _TRIAL_WORDS), min(8, scenario.output_tokens), index)
        begin = time.perf_counter()
        replies = await _closed_loop(load, scenario, prompts, progress)
        seconds = time.perf_counter() - begin
    return summary(scenario, replies, seconds)


async def _patient(say: Callable[[str], None]) -> None:
    waited = 0.0
    while True:
        await asyncio.sleep(_PATIENCE_S)
        waited += _PATIENCE_S
        say(
            sentence(
                "bench.load.no-answer-yet",
                "no answer yet to a first short question, after {waited:.0f} s (Ctrl-C ends)",
                waited=waited,
            )
        )


class _Load:
    """Asks one endpoint in the fullest form that it takes."""

    def __init__(self, client: httpx.AsyncClient, target: Target, scenario: Scenario) -> None:
        self._client, self._target, self._scenario = client, target, scenario
        self._form: Form = LOADS[0]

    async def ask(self, prompt: str, output_tokens: int, seed: int) -> Reply:
        """One request; of exactly `output_tokens` where the server can go on past the end of a text."""
        request = question(self._form, self._target.model, prompt, output_tokens, seed)
        return await ask(self._client, self._target.address, request, self._scenario.timeout_s)

    async def words_per_token(self) -> float:
        """How many of our words make a token for this server's tokenizer, from its own count of a trial prompt."""
        prompt = _prompt(random.Random(self._scenario.seed + 1), _TRIAL_WORDS)
        for self._form in LOADS:
            trial = await self.ask(prompt, 2, 0)
            if trial.trouble is not Trouble.REFUSED:
                break
        if trial.error:
            why = message("bench.no-answer", "the endpoint does not answer: {why}", why=trial.error)
            raise WellfedError(why, _hint(trial.trouble, self._target.address))
        return _TRIAL_WORDS / trial.prompt_tokens if trial.prompt_tokens else 1.0


def _hint(trouble: Trouble | None, address: Address) -> str:
    if trouble is Trouble.KEY:
        return sentence("bench.load.give-key-variable", "give its key in the variable WELLFED_API_KEY")
    return sentence("bench.load.right-address", "is {root} the right address?", root=address.root)


async def _closed_loop(
    load: _Load, scenario: Scenario, prompts: Sequence[str], progress: Callable[[int, int], None]
) -> list[Reply]:
    """Each user sends the next prompt as soon as the last answer is complete."""
    waiting = list(enumerate(prompts))[::-1]
    replies: list[Reply] = []

    async def user() -> None:
        while waiting:
            index, prompt = waiting.pop()
            replies.append(await load.ask(prompt, scenario.output_tokens, scenario.seed + index))
            progress(len(replies), len(prompts))

    await asyncio.gather(*(user() for _ in range(min(scenario.concurrency, len(prompts)))))
    return replies


def _prompt(chance: random.Random, words: int) -> str:
    return " ".join(chance.choices(_WORDS, k=max(1, words)))


def summary(scenario: Scenario, replies: Sequence[Reply], seconds: float) -> Measurement:
    """Percentiles over the replies that succeeded. Raises WellfedError when none did."""
    good = [reply for reply in replies if reply.error is None]
    errors = tuple(dict.fromkeys(reply.error for reply in replies if reply.error))
    if not good:
        why = errors[0] if errors else sentence("bench.load.none-sent", "none was sent")
        raise WellfedError(message("bench.all-failed", "every request failed: {why}", why=why))
    tokens = [reply.output_tokens for reply in good]
    prompts = [reply.prompt_tokens or scenario.prompt_tokens for reply in good]
    return Measurement(
        scenario=scenario,
        ttft_s=spread([reply.ttft_s for reply in good if reply.ttft_s is not None]),
        tpot_s=spread([reply.tpot_s for reply in good if reply.tpot_s is not None]),
        total_tok_s=sum(tokens) / max(seconds, _LEAST_S),
        prompt_tokens=median(prompts),
        output_tokens=median(tokens),
        seconds=seconds,
        failed=len(replies) - len(good),
        errors=errors,
        short=sum(reply.short for reply in good),
        bursts=sum(reply.burst for reply in good),
        doubted=sum(reply.doubted for reply in good),
        odd=sum(reply.odd for reply in replies),
    )


def spread(values: Sequence[float]) -> Spread | None:
    """Percentiles by nearest rank; None of nothing."""
    if not values:
        return None
    ordered = sorted(values)

    def rank(share: float) -> float:
        return ordered[min(len(ordered) - 1, round(share * (len(ordered) - 1)))]

    return Spread(median(ordered), rank(0.05), rank(0.95), rank(0.99))
