"""Questions to the OpenAI API, from its fullest to its plainest form: no server is assumed to know more than that."""

from __future__ import annotations

from typing import Any

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Form:
    """A way to ask. `exact` adds what engines, not the API, know: go on past the end of the text, keep no prompt."""

    chat: bool
    usage: bool = True
    exact: bool = False

    @property
    def path(self) -> str:
        """Where the request goes, under the endpoint's address."""
        return "/v1/chat/completions" if self.chat else "/v1/completions"

    def body(self, model: str, prompt: str, most_tokens: int, seed: int = 0) -> dict[str, Any]:
        """For a streamed answer of at most `most_tokens`; with `exact`, of exactly so many where the server can."""
        text: dict[str, Any] = {"messages": [{"role": "user", "content": prompt}]} if self.chat else {"prompt": prompt}
        usage = {"stream_options": {"include_usage": True}} if self.usage else {}
        engine = {"seed": seed, "ignore_eos": True, "cache_prompt": False} if self.exact else {}
        return {
            "model": model,
            **text,
            "max_tokens": most_tokens,
            "temperature": 0.0,
            "stream": True,
            **usage,
            **engine,
        }


@dataclass(frozen=True, slots=True)
class Question:
    """One request. `words` of its prompt bound what its tokens can be."""

    form: Form
    body: dict[str, Any]
    most_tokens: int
    words: int


def question(form: Form, model: str, prompt: str, most_tokens: int, seed: int = 0) -> Question:
    """A prompt put in a form."""
    return Question(form, form.body(model, prompt, most_tokens, seed), most_tokens, len(prompt.split()))


PROBES = (Form(chat=True), Form(chat=False), Form(chat=True, usage=False))
LOADS = (Form(chat=False, exact=True), Form(chat=False), Form(chat=True), Form(chat=True, usage=False))
