"""`slow-client`: the engine has sent, and the client does not read."""

from __future__ import annotations

from collections.abc import Iterable

from wellfed.faults.serving import SLOW_CLIENT
from wellfed.message import sentence
from wellfed.watching.rules.base import Kind, Rule, Sign, percent, rates, sign
from wellfed.watching.view import View


def judge(view: View) -> Iterable[Sign]:
    """Bytes unread in nearly all samples, and not getting fewer."""
    sockets = view.sockets
    if sockets is None or sockets.stuck is None or sockets.stuck < 0.8:
        return []
    if sockets.unread_slope_bytes_per_s is not None and sockets.unread_slope_bytes_per_s < -1000:
        return []
    return sign(
        0.5,
        "client",
        sentence(
            "watch.slow-client.tokens-made-sent",
            "tokens are made and sent, and a client does not read them: what it sees as slow is its "
            "own end or the network",
        ),
        sentence(
            "watch.slow-client.unread-bytes-samples",
            "unread bytes in {stuck} of samples, {unread_bytes:.0f} KiB in all",
            stuck=percent(sockets.stuck),
            unread_bytes=(sockets.unread_bytes or 0) / 1024,
        ),
        rates(view),
    )


RULE = Rule(
    id="slow-client",
    title=SLOW_CLIENT.title,
    kind=Kind.ILL,
    reads=sentence(
        "watch.slow-client.reads",
        "/proc/net/tcp: send queue of the engine's connections, receive queue of local clients",
    ),
    rule=sentence(
        "watch.slow-client.rule", "More than 2 KiB unread on a connection in at least 80 % of samples, and not falling."
    ),
    judge=judge,
    then=sentence("watch.slow-client.then", "`ss -tnp` at the engine's port: whose connection it is."),
)
