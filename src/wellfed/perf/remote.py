"""What llama.cpp's RPC servers cost: activations over the network, in to each server and out again.

    decode:  transfers x (running sequences x hidden x 4 bytes / rate + round trip)
    prompt:  the same for every ubatch of it, with the ubatch's tokens

Two transfers a server: the client fetches what one device computed and hands it to the next. Values are 32-bit floats
(src/llama.cpp of ggml-org/llama.cpp). Left out: the graph's own description, and what is sent once, the weights.
"""

from __future__ import annotations

from math import ceil

from wellfed.message import sentence
from wellfed.nouns.estimate import Estimate, Term
from wellfed.nouns.plan import Request
from wellfed.perf.memory.remote import count
from wellfed.perf.slowed import slowed
from wellfed.provenance import Assumption

_VALUE_BYTES, _TRANSFERS = 4, 2  # activations cross in FP32, to a server and back (llama.cpp, ggml-rpc)
_ROUND_TRIP_S = 2e-4  # of one call over Ethernet and TCP: assumed
_RATE_BYTES_PER_S, _SIGMA = 1e9 / 8, 0.5  # where no network is told: gigabit Ethernet, assumed


def with_network(estimate: Estimate, request: Request) -> Estimate:
    """The estimate with the transfers to RPC servers; as it is without any."""
    servers = count(request.layout)
    if not servers:
        return estimate
    layout, workload = request.layout, request.workload
    rate = request.machine.network_bytes_per_s or _RATE_BYTES_PER_S
    width = request.model.hidden * _VALUE_BYTES

    def seconds(tokens: float) -> float:
        return servers * _TRANSFERS * (tokens * width / rate + _ROUND_TRIP_S)

    guess = layout.speculation
    yields = guess.acceptance_length if guess is not None else 1.0
    tokens, ubatch = max(1, workload.prompt_tokens), max(1, layout.ubatch_tokens)
    passes = ceil(tokens / ubatch)
    step = Term("network", seconds(estimate.running or 1.0) / yields, "network", "network")
    prompt = Term("network", passes * seconds(min(tokens, ubatch)), "network", "network")
    return slowed(
        estimate, step, prompt, request, _assumption(rate, request.machine.network_bytes_per_s is None), _SIGMA
    )


def _assumption(rate: float, is_assumed: bool) -> Assumption:
    text = sentence("remote.rate", "RPC servers are reached at {rate:g} Gb/s", rate=rate * 8 / 1e9)
    if is_assumed:
        return Assumption(text, sentence("remote.no-network", "no network was told: name it with --network"))
    return Assumption(text, sentence("remote.trip", "as told; 0.2 ms a call are assumed, and nothing was measured"))
