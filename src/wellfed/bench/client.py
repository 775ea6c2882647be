"""One streamed request to an OpenAI-compatible endpoint, timed token by token."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import httpx


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request saw. Times are seconds; `token_times_s` are arrivals after the request was sent.

    `prompt_tokens` and `output_tokens` are the server's own counts where it sends them, else None and the chunks.
    """

    started_s: float
    token_times_s: tuple[float, ...] = ()
    prompt_tokens: int | None = None
    output_tokens: int = 0
    cached_tokens: int | None = None
    error: str | None = None

    @property
    def ttft_s(self) -> float | None:
        """Time to first token."""
        return self.token_times_s[0] if self.token_times_s else None

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first; None with fewer than two."""
        if self.output_tokens < 2 or len(self.token_times_s) < 2:
            return None
        return (self.token_times_s[-1] - self.token_times_s[0]) / (self.output_tokens - 1)

    @property
    def seconds(self) -> float | None:
        """The whole request."""
        return self.token_times_s[-1] if self.token_times_s else None


@dataclass(frozen=True, slots=True)
class Target:
    """An endpoint, and the model's name there."""

    base_url: str
    model: str
    api_key: str | None = None

    @property
    def headers(self) -> dict[str, str]:
        """Authorisation, where there is a key."""
        return {"Authorization": f"Bearer {self.api_key}"} if self.api_key else {}


async def complete(client: httpx.AsyncClient, target: Target, prompt: str, output_tokens: int, seed: int) -> Reply:
    """Stream one completion of exactly `output_tokens` where the server can ignore end-of-text. Never raises."""
    body = {
        "model": target.model,
        "prompt": prompt,
        "max_tokens": output_tokens,
        "stream": True,
        "stream_options": {"include_usage": True},
        "temperature": 0.0,
        "seed": seed,
        "ignore_eos": True,
        "cache_prompt": False,
    }
    started = time.perf_counter()
    times: list[float] = []
    usage: dict[str, object] = {}
    try:
        url = f"{target.base_url}/v1/completions"
        async with client.stream("POST", url, json=body, headers=target.headers) as response:
            if response.status_code != 200:
                text = (await response.aread()).decode("utf-8", "replace")
                return Reply(started, error=f"HTTP {response.status_code}: {text[:200]}")
            async for line in response.aiter_lines():
                if not line.startswith("data: ") or line == "data: [DONE]":
                    continue
                chunk = json.loads(line[6:])
                usage = chunk.get("usage") or usage
                if any(choice.get("text") for choice in chunk.get("choices", ())):
                    times.append(time.perf_counter() - started)
    except (httpx.HTTPError, ValueError) as error:
        return Reply(started, tuple(times), error=f"{type(error).__name__}: {error}")
    if not times:
        return Reply(started, error="the server sent no token")
    return Reply(
        started,
        tuple(times),
        prompt_tokens=_count(usage.get("prompt_tokens")),
        output_tokens=_count(usage.get("completion_tokens")) or len(times),
        cached_tokens=_cached(usage),
    )


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _cached(usage: dict[str, object]) -> int | None:
    details = usage.get("prompt_tokens_details")
    return _count(details.get("cached_tokens")) if isinstance(details, dict) else None
