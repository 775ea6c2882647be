"""One streamed request to an OpenAI-compatible endpoint, timed token by token."""

from __future__ import annotations

import json
import time
from dataclasses import dataclass

import httpx

from wellfed.errors import WellfedError

_CLOSED = "the server closed the connection without an answer"


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


def first_model(base_url: str, api_key: str | None = None) -> str:
    """The first model an endpoint lists. Raises WellfedError when it does not answer."""
    hint = "name the model with --model, and check the address and the key"
    try:
        target = Target(base_url, "", api_key)
        answer = httpx.get(f"{base_url}/v1/models", headers=target.headers, timeout=10, trust_env=False)
        answer.raise_for_status()
        return str(answer.json()["data"][0]["id"])
    except (httpx.HTTPError, httpx.InvalidURL, ValueError, KeyError, IndexError, TypeError) as error:
        raise WellfedError(f"{base_url} lists no models: {error}", hint) from error


async def complete(client: httpx.AsyncClient, target: Target, prompt: str, output_tokens: int, seed: int) -> Reply:
    """Stream one completion of exactly `output_tokens` where the server can ignore end-of-text. Never raises.

    A kept connection that the server has closed meanwhile says nothing of the server: asked again, once.
    """
    reply = await _complete(client, target, prompt, output_tokens, seed)
    return reply if reply.error != _CLOSED else await _complete(client, target, prompt, output_tokens, seed)


async def _complete(client: httpx.AsyncClient, target: Target, prompt: str, output_tokens: int, seed: int) -> Reply:
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
                if chunk.get("error"):
                    return Reply(started, tuple(times), error=f"the server says: {_said(chunk['error'])}")
                usage = chunk.get("usage") or usage
                if any(_is_token(choice) for choice in chunk.get("choices", ())):
                    times.append(time.perf_counter() - started)
    except httpx.RemoteProtocolError as error:
        return Reply(started, tuple(times), error=str(error) if times else _CLOSED)
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


def _is_token(choice: dict[str, object]) -> bool:
    """Whether a chunk brings a token: some have no text of their own (half a character); the last chunk only ends."""
    return bool(choice.get("text")) or choice.get("finish_reason") is None


def _said(error: object) -> str:
    """An error sent in the stream, where the status was already 200."""
    return str(error.get("message") or error if isinstance(error, dict) else error)[:200]


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and value > 0 else None


def _cached(usage: dict[str, object]) -> int | None:
    details = usage.get("prompt_tokens_details")
    return _count(details.get("cached_tokens")) if isinstance(details, dict) else None
