"""A streamed answer, read as it comes and doubted: what is counted is what was seen, or what fits with it.

Server-sent events (WHATWG HTML, 9.2) of the OpenAI API. No I/O: bytes and the time they came go in.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import field
from typing import Any

from wellfed.asking.address import Address, AskingError, Trouble
from wellfed.frozen import dataclass
from wellfed.message import sentence

MOST_LINE_BYTES = 256 * 1024
_ROOM, _LEAST_ROOM = 64, 16  # four pieces for each token that was asked for, and for as few: more never stop
_MOST_BYTES_A_TOKEN = 64 * 1024
_MANY, _FEW_READS = 8, 3  # so many tokens in fewer reads than this, or in an eighth of their number: a burst
_LEAST_TPOT_S = 5e-5  # 20,000 tokens/s for one user: no engine does that, a buffer that is emptied does
_TEXTS = ("content", "reasoning_content", "reasoning", "text", "refusal")
_MOST_TOKENS_A_WORD, _TEMPLATE_TOKENS = 20, 8192  # of a prompt: a tokenizer of bytes, and what a chat puts around it


@dataclass(frozen=True, slots=True)
class Reply:
    """What one request saw. Times are seconds; `token_times_s` are arrivals after the request was sent.

    `output_tokens` is the server's own count where it fits with what came, else the pieces that came. `error` is None
    for an answer that came to its own end; `trouble` names the kind of error.
    """

    started_s: float
    token_times_s: tuple[float, ...] = ()
    prompt_tokens: int | None = None
    output_tokens: int = 0
    cached_tokens: int | None = None
    error: str | None = None
    trouble: Trouble | None = None
    connect_s: float | None = None
    reads: int | None = None  # how often something came; None where that was not seen
    short: bool = False  # it ended by itself before as many tokens as were asked for
    doubted: bool = False  # its own count of tokens does not fit with what came
    odd: int = 0  # pieces that could not be read

    @property
    def ttft_s(self) -> float | None:
        """Seconds from the request to the first token; None where none came."""
        return self.token_times_s[0] if self.token_times_s else None

    @property
    def burst(self) -> bool:
        """Whether the tokens came together, from a buffer: then no time between two of them is known."""
        if len(self.token_times_s) < 2 or self.output_tokens < 2:
            return False
        many = self.output_tokens >= _MANY and self.reads is not None
        together = many and self.reads is not None and self.reads < max(_FEW_READS, len(self.token_times_s) / 8)
        return together or (self.token_times_s[-1] - self.token_times_s[0]) / (self.output_tokens - 1) < _LEAST_TPOT_S

    @property
    def tpot_s(self) -> float | None:
        """Mean time per output token after the first; None with fewer than two, and of a burst."""
        if self.output_tokens < 2 or len(self.token_times_s) < 2 or self.burst:
            return None
        return (self.token_times_s[-1] - self.token_times_s[0]) / (self.output_tokens - 1)

    @property
    def seconds(self) -> float | None:
        """Seconds from the request to its end; None while it has none."""
        return self.token_times_s[-1] if self.token_times_s else None


@dataclass(slots=True)
class Reader:
    """Takes an answer's bytes as they come. Raises AskingError for one that is too long, or that tells of an error."""

    address: Address
    most_tokens: int
    words: int
    times: list[float] = field(default_factory=list)
    done: bool = False  # it said that it has ended
    reads: int = 0
    odd: int = 0
    _rest: bytes = b""
    _size: int = 0
    _text_bytes: int = 0
    _finish: str | None = None
    _usage: Mapping[str, Any] = field(default_factory=dict)
    _first: bytes = b""

    def feed(self, data: bytes, at_s: float) -> None:
        """Some bytes, and when they came."""
        self._first = (self._first + data)[:200] if len(self._first) < 200 else self._first
        self._size += len(data)
        if self._size > (self.most_tokens + _ROOM) * _MOST_BYTES_A_TOKEN:
            raise AskingError(
                Trouble.ENDLESS,
                sentence(
                    "asking.stream.more-bytes-tokens",
                    "more than {size} bytes for {most_tokens} tokens",
                    size=self._size,
                    most_tokens=self.most_tokens,
                ),
            )
        *complete_lines, self._rest = (self._rest + data).split(b"\n")
        before = len(self.times)
        for line in complete_lines:
            self._line(line, at_s)
        if len(self._rest) > MOST_LINE_BYTES:
            raise AskingError(
                Trouble.ENDLESS,
                sentence(
                    "asking.stream.line-more-bytes",
                    "a line of more than {most_line_bytes} bytes",
                    most_line_bytes=MOST_LINE_BYTES,
                ),
            )
        self.reads += len(self.times) > before

    def _line(self, line: bytes, at_s: float) -> None:
        name, colon, value = line.strip(b"\r").partition(b":")
        if not colon or name.removeprefix(b"\xef\xbb\xbf").strip() != b"data" or not value.strip():
            return
        if value.strip() == b"[DONE]":
            self.done = True
            return
        try:
            chunk = json.loads(value)
        except (ValueError, RecursionError):
            chunk = None
        if not isinstance(chunk, Mapping):
            self.odd += 1
            return
        self._chunk(chunk, at_s)

    def _chunk(self, chunk: Mapping[str, Any], at_s: float) -> None:
        if chunk.get("error"):
            failure = chunk["error"]
            text = str(failure.get("message") or failure) if isinstance(failure, Mapping) else str(failure)
            raise AskingError(
                Trouble.FAILED,
                self.address.explained(sentence("asking.stream.stream", "in the stream: {text}", text=text)),
            )
        usage = chunk.get("usage")
        self._usage = usage if isinstance(usage, Mapping) else self._usage
        listed = chunk.get("choices")
        choices = [entry for entry in listed if isinstance(entry, Mapping)] if isinstance(listed, list) else []
        if not choices and listed and not isinstance(usage, Mapping):
            self.odd += 1
        brings = [self._has_token(choice) for choice in choices]  # all are looked at: each adds its text
        if any(brings):
            self.times.append(at_s)
            if len(self.times) > 4 * max(self.most_tokens, _LEAST_ROOM):
                raise AskingError(
                    Trouble.ENDLESS,
                    sentence(
                        "asking.stream.pieces-tokens-end",
                        "{count} pieces for {most_tokens} tokens, and no end",
                        count=len(self.times),
                        most_tokens=self.most_tokens,
                    ),
                )

    def _has_token(self, choice: Mapping[str, Any]) -> bool:
        """Whether a chunk brings a token: some have no text of their own (half a character); the last only ends."""
        finish = choice.get("finish_reason")
        self._finish = str(finish) if finish else self._finish
        delta = choice.get("delta")
        parts = delta if isinstance(delta, Mapping) else choice
        texts = [value for name in _TEXTS if isinstance(value := parts.get(name), str)]
        self._text_bytes += sum(len(text.encode("utf-8", "replace")) for text in texts)
        if any(texts) or parts.get("tool_calls"):
            return True
        opens = isinstance(delta, Mapping) and "role" in delta
        return bool(texts) and not finish and not opens

    def reply(self, started_s: float, connect_s: float | None) -> Reply:
        """The answer, whose bytes have ended. Raises AskingError for one without a token, or without its end."""
        if self._rest:
            self.feed(b"\n", self.times[-1] if self.times else 0.0)
        if not self.times:
            raise AskingError(Trouble.FOREIGN, self._nothing())
        if not (self.done or self._finish):
            raise AskingError(
                Trouble.CUT,
                sentence(
                    "asking.stream.stream-broke-off", "the stream broke off after {count} pieces", count=len(self.times)
                ),
            )
        claimed = _count(self._usage.get("completion_tokens"))
        believed = claimed is not None and self._fits(claimed)
        tokens = claimed if claimed is not None and believed else len(self.times)
        prompt, prompt_doubted = self._prompt_tokens()
        return Reply(
            started_s,
            tuple(self.times),
            prompt_tokens=prompt,
            output_tokens=tokens,
            cached_tokens=self._cached(prompt),
            connect_s=connect_s,
            reads=self.reads,
            short=tokens < self.most_tokens and (believed or self._finish != "length"),
            doubted=(claimed is not None and not believed) or prompt_doubted,
            odd=self.odd,
        )

    def _nothing(self) -> str:
        if self.odd:
            return sentence(
                "asking.stream.server-sent-token",
                "the server sent no token: {odd} pieces were no JSON that could be read",
                odd=self.odd,
            )
        if self._first.lstrip().startswith(b"{"):
            return sentence(
                "asking.stream.server-sent-token-2", "the server sent no token in a stream: it answers all at once"
            )
        return sentence("asking.stream.server-sent-token-3", "the server sent no token")

    def _fits(self, claimed: int) -> bool:
        """Whether a count of tokens can be of what came: no more than asked for, than bytes allow, nor far fewer."""
        pieces = len(self.times)
        return claimed <= self.most_tokens + 1 and pieces / 8 <= claimed <= 2 * (self._text_bytes + pieces)

    def _prompt_tokens(self) -> tuple[int | None, bool]:
        claimed = _count(self._usage.get("prompt_tokens"))
        if claimed is None:
            return None, False
        fits = self.words / 4 <= claimed <= _MOST_TOKENS_A_WORD * self.words + _TEMPLATE_TOKENS
        return (claimed, False) if fits else (None, True)

    def _cached(self, prompt: int | None) -> int | None:
        details = self._usage.get("prompt_tokens_details")
        cached = _count(details.get("cached_tokens")) if isinstance(details, Mapping) else None
        return cached if cached is not None and (prompt is None or cached <= prompt) else None


def _count(value: object) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None
