"""Pages of metrics and slots of engines that lie."""

from __future__ import annotations

HUGE = "9" * 4000
PAGES = {
    "huge numbers": f"llamacpp:requests_processing {HUGE}\nllamacpp:tokens_predicted_total 1e308\nllamacpp:x NaN\n",
    "a long label": 'vllm:num_requests_running{a="' + "x\\" * 100_000 + "\nvllm:num_requests_waiting 1\n",
    "labels without end": "vllm:num_requests_running{" + "a" * 200_000 + "} 1\n",
    "many series": "".join(f'vllm:num_requests_running{{e="{n}"}} 1\n' for n in range(50_000)),
    "no text": "\x00\xff\x1b[2J" * 1000,
}
SLOTS = (
    f'[{{"is_processing": true, "n_ctx": {HUGE}, "next_token": [{{"n_decoded": 1e400}}]}}]', "[" * 100_000, "null",
    '[{"is_processing": 1, "n_ctx": "x", "next_token": 3}, 7, null]',
)  # fmt: skip


def page(text: str, short_by: int = 0) -> bytes:
    """A whole answer, or one that ends before its length."""
    body = text.encode("utf-8", "replace")
    return b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\nConnection: close\r\n\r\n" % (len(body) + short_by) + body
