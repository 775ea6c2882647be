"""A trace of requests through replicas, event by event, with each replica's speed from the one estimate.

Quasi-static: while n requests decode together, each gets 1 / TPOT(n) tokens a second, where TPOT(n) is the estimate's
for n users; a request waits for a slot, then for its own first token. With n users that ask again when answered this
is the estimate itself; with random arrivals it adds bursts and lengths that differ.
"""

from __future__ import annotations

import heapq
import math
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from dataclasses import field, replace
from typing import Any

from wellfed.errors import BadInput, WellfedError
from wellfed.fleet.trace import Arrival
from wellfed.frozen import dataclass
from wellfed.message import message
from wellfed.nouns.estimate import Estimate
from wellfed.nouns.plan import Plan, Request
from wellfed.planner.search import Search

_USERS = (1, 2, 4, 8, 16, 32, 64, 128, 256, 512, 1024)


@dataclass(frozen=True, slots=True)
class Speed:
    """One replica's speed by how many requests run: TPOT, and the first token's parts, for `users` at a time.

    Prompts of another length than `prompt_tokens` scale with it. `cache_tokens`: room for sequences, running or kept
    (None: not told, and nothing is dropped).
    """

    users: tuple[int, ...]
    tpot_s: tuple[float, ...]
    ttft_s: tuple[float, ...]
    prompt_tokens: int
    slots: int
    cache_tokens: int | None = None

    def tpot(self, running: int) -> float:
        """Between the estimated counts, evenly in logarithms."""
        return _between(self.users, self.tpot_s, running)

    def ttft(self, running: int, prompt_tokens: int) -> float:
        """First token of a prompt when so many run, its own prefill scaled by its length."""
        return _between(self.users, self.ttft_s, running) * prompt_tokens / self.prompt_tokens


def _between(xs: Sequence[int], ys: Sequence[float], x: int) -> float:
    if x <= xs[0]:
        return ys[0]
    if x >= xs[-1]:
        return ys[-1]
    right = bisect_left(xs, x)
    share = math.log(x / xs[right - 1]) / math.log(xs[right] / xs[right - 1])
    return float(ys[right - 1] * (ys[right] / ys[right - 1]) ** share)


def speed(search: Search, plan: Plan) -> Speed:
    """The speeds of a plan's layout at 1, 2, 4 ... users, as far as memory reaches."""
    layout = plan.layout
    slots = max(1, layout.max_sequences * layout.data_parallel)
    estimates: list[tuple[int, Estimate]] = []
    for users in _USERS:
        if users > slots and estimates:
            break
        workload = replace(plan.workload, concurrency=users, request_rate=None)
        try:
            estimates.append(
                (users, search.estimate(Request(plan.machine, plan.model, plan.weights, layout, workload)))
            )
        except WellfedError:
            break
    if not estimates:
        raise BadInput(message("simulate.no-speed", "no speed of this layout can be told"))
    room = estimates[0][1].memory.max_sequences
    return Speed(
        tuple(users for users, _ in estimates),
        tuple(estimate.tpot_s.value for _, estimate in estimates),
        tuple(estimate.ttft_s.value for _, estimate in estimates),
        plan.workload.prompt_tokens,
        min(slots, room) if room else slots,
        room * plan.workload.context if room else None,
    )


@dataclass(slots=True)
class _Running:
    arrival: Arrival
    cached_tokens: int = 0  # tokens of its prompt that were in the cache
    first_s: float = 0.0  # when its first token came
    due: float = 0.0  # in tokens that each running request has been given


@dataclass(frozen=True, slots=True)
class Served:
    """One request as it went: seconds to the first token and for each further one; tokens that were in the cache."""

    arrival: Arrival
    replica: int
    ttft_s: float
    tpot_s: float
    cached_tokens: int = 0


@dataclass(slots=True)
class _Replica:
    """A queue and what runs, advanced between events."""

    env: Any
    number: int
    speed: Speed
    served: list[Served]
    waiting: list[Arrival] = field(default_factory=list)
    running: list[tuple[float, int, _Running]] = field(default_factory=list)
    starting: int = 0
    tokens_given: float = 0.0  # tokens that each running request has been given so far
    since: float = 0.0
    count: int = 0
    accepted: int = 0  # requests so far: of equally busy replicas they take turns
    changed: Any = None
    cached: dict[str, int] = field(default_factory=dict)  # conversation -> its tokens in the cache, the oldest first

    @property
    def load(self) -> int:
        """Requests on it, waiting or not."""
        return len(self.waiting) + self.starting + len(self.running)

    def take(self, arrival: Arrival) -> None:
        """Queue a request."""
        self.accepted += 1
        self.waiting.append(arrival)
        self._wake()

    def _wake(self) -> None:
        if self.changed is not None and not self.changed.triggered:
            self.changed.succeed()

    def _advance(self) -> None:
        if self.running:
            self.tokens_given += (self.env.now - self.since) / self.speed.tpot(len(self.running) + self.starting)
        self.since = self.env.now

    def _first_token(self, running: _Running) -> Iterator[Any]:
        busy = len(self.running) + self.starting
        running.cached_tokens = self._cached(running.arrival)
        yield self.env.timeout(self.speed.ttft(busy, running.arrival.prompt_tokens - running.cached_tokens))
        self._advance()
        self.starting -= 1
        running.first_s = self.env.now
        running.due = self.tokens_given + running.arrival.output_tokens - 1
        self.count += 1
        heapq.heappush(self.running, (running.due, self.count, running))
        self._wake()

    def _cached(self, arrival: Arrival) -> int:
        """Tokens of its prompt that are in the cache; the last one is always computed."""
        return min(self.cached.pop(arrival.conversation, 0), arrival.prompt_tokens - 1) if arrival.conversation else 0

    def _keep(self, arrival: Arrival) -> None:
        """What is idle in the cache yields to what runs, the oldest first."""
        if not arrival.conversation:
            return
        self.cached.pop(arrival.conversation, None)
        self.cached[arrival.conversation] = arrival.prompt_tokens + arrival.output_tokens
        if self.speed.cache_tokens is None:
            return
        room = self.speed.cache_tokens * (1 - min(1.0, self.load / self.speed.slots))
        while self.cached and sum(self.cached.values()) > room:
            del self.cached[next(iter(self.cached))]

    def serve(self) -> Iterator[Any]:
        """Takes requests from the queue and answers them, for as long as the simulation runs."""
        while True:
            self._advance()
            while self.running and self.running[0][0] <= self.tokens_given + 1e-9:
                self._answered(heapq.heappop(self.running)[2])
            while self.waiting and len(self.running) + self.starting < self.speed.slots:
                self.starting += 1
                self.env.process(self._first_token(_Running(self.waiting.pop(0))))
            self.changed = self.env.event()
            if self.running:
                tokens_left = self.running[0][0] - self.tokens_given
                wait = max(1e-9, tokens_left * self.speed.tpot(len(self.running) + self.starting))
                yield self.changed | self.env.timeout(wait)
            else:
                yield self.changed

    def _answered(self, running: _Running) -> None:
        later_tokens = running.arrival.output_tokens - 1
        took = self.env.now - running.first_s
        ttft = running.first_s - running.arrival.at_s
        self.served.append(
            Served(
                running.arrival, self.number, ttft, took / later_tokens if later_tokens else 0.0, running.cached_tokens
            )
        )
        self._keep(running.arrival)


@dataclass(frozen=True, slots=True)
class Simulated:
    """A trace as it went. Percentiles are of requests; `busiest` is the most that one replica had at a time."""

    requests: int
    seconds: float
    ttft_s: tuple[float, float, float]  # mean, p90, p99
    tpot_s: tuple[float, float, float]
    late: float  # share of requests beyond a target
    tokens_per_s: float
    cached_share: float = 0.0  # share of prompt tokens that were in the cache


def simulate(
    arrivals: Sequence[Arrival],
    replicas: Sequence[Speed],
    ttft_target_s: float | None = None,
    tpot_target_s: float | None = None,
    knows_prefixes: bool = True,
) -> Simulated:
    """The trace through the replicas, behind a router that knows prefixes or one that does not (`run`)."""
    served = run(arrivals, replicas, knows_prefixes)
    end = max(s.arrival.at_s + s.ttft_s + s.tpot_s * (s.arrival.output_tokens - 1) for s in served)
    late = sum(
        (ttft_target_s is not None and s.ttft_s > ttft_target_s)
        or (tpot_target_s is not None and s.tpot_s > tpot_target_s)
        for s in served
    )
    tokens = sum(s.arrival.output_tokens for s in served)
    return Simulated(
        len(served),
        end,
        _percentiles([s.ttft_s for s in served]),
        _percentiles([s.tpot_s for s in served if s.arrival.output_tokens > 1] or [0.0]),
        late / len(served),
        tokens / end if end else 0.0,
        sum(s.cached_tokens for s in served) / sum(s.arrival.prompt_tokens for s in served),
    )


def run(arrivals: Sequence[Arrival], replicas: Sequence[Speed], knows_prefixes: bool = True) -> list[Served]:
    """Every request of the trace as it went. Each goes to the replica with the fewest; a router that knows prefixes
    sends one that goes on with a conversation to where its turns lie, as long as a slot is free there. Raises BadInput
    without the simpy package.
    """
    simpy = _simpy()
    env = simpy.Environment()
    served: list[Served] = []
    machines = [_Replica(env, number, replica_speed, served) for number, replica_speed in enumerate(replicas)]
    for machine in machines:
        env.process(machine.serve())

    homes: dict[str, _Replica] = {}

    def router() -> Iterator[Any]:
        for arrival in arrivals:
            yield env.timeout(max(0.0, arrival.at_s - env.now))
            home = homes.get(arrival.conversation) if knows_prefixes and arrival.conversation else None
            if home is None or home.load >= home.speed.slots:
                home = min(machines, key=lambda machine: (machine.load / machine.speed.slots, machine.accepted))
            homes[arrival.conversation] = home
            home.take(arrival)

    env.process(router())
    while len(served) < len(arrivals):
        env.step()
    return served


def _percentiles(values: Sequence[float]) -> tuple[float, float, float]:
    ordered = sorted(values)
    return sum(ordered) / len(ordered), _quantile(ordered, 0.9), _quantile(ordered, 0.99)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, math.ceil(share * len(ordered)) - 1)]


def _simpy() -> Any:
    try:
        import simpy  # type: ignore[import-untyped,import-not-found,unused-ignore]
    except ImportError as error:
        raise BadInput(
            message("simulate.no-simpy", "a trace needs the simpy package"),
            message("simulate.no-simpy.hint", "pip install 'wellfed[fleet]'"),
        ) from error
    return simpy
