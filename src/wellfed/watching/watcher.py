"""Samples as they come, live; and views over a sliding window of them, live or replayed."""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import Iterable, Iterator
from types import TracebackType

from wellfed.asking.address import Address
from wellfed.message import sentence
from wellfed.watching.diagnose import Diagnosis, diagnose
from wellfed.watching.sample import Sample
from wellfed.watching.samplers.cgroup import CgroupSampler
from wellfed.watching.samplers.endpoint import EndpointSampler
from wellfed.watching.samplers.gpus import GpuSamplers
from wellfed.watching.samplers.host import HostSampler
from wellfed.watching.samplers.kernel import KernelSampler
from wellfed.watching.samplers.probe import ProbeSampler
from wellfed.watching.samplers.proc import ProcessSampler
from wellfed.watching.samplers.sockets import SocketSampler
from wellfed.watching.target import Target
from wellfed.watching.trace import Promise
from wellfed.watching.view import Baseline, View
from wellfed.watching.window import view

# When a window may serve as the baseline (assumed): long enough, and nobody in the engine's way
_LEARN_SAMPLES = 5
_QUIET_CORES = 0.25  # other programs' cores' worth of CPU time
_NO_WAIT = 0.1  # share of the time its threads want a CPU that they wait for one


class Sampler:
    """Everything that can be read of one target. Use it as a context: it holds a thread and the GPU driver."""

    def __init__(
        self,
        target: Target,
        interval_s: float = 1.0,
        key: str | None = None,
        gpus: bool = True,
        probe_s: float | None = None,
        model: str | None = None,
    ) -> None:
        """With `probe_s`, `target`'s endpoint is asked for a few tokens every so many seconds, of `model` if it has it.

        Raises BadInput for an address or a key that cannot be.
        """
        address = Address(target.url, key) if target.url else None
        self._process = ProcessSampler(target.pid) if target.pid else None
        self._cgroup = CgroupSampler(target.pid) if target.pid else None
        self._host = HostSampler() if target.pid else None
        self._sockets = SocketSampler(target.port, pid=target.pid) if target.pid and target.port else None
        self._kernel = KernelSampler() if target.pid else None
        self._gpus = GpuSamplers() if gpus and target.pid else None
        self._endpoint = EndpointSampler(address, interval_s) if address else None
        self._probe = ProbeSampler(address, probe_s, model) if address and probe_s else None

    @property
    def unread(self) -> tuple[str, ...]:
        """What could not be read, and what is missed by it."""
        log = self._kernel.unread if self._kernel is not None else ""
        return (
            (
                sentence(
                    "watcher.kernel-log-readable",
                    "the kernel's log is not readable ({log}): errors that only it tells are not seen",
                    log=log,
                ),
            )
            if log
            else ()
        )

    def __enter__(self) -> Sampler:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for sampler in (self._probe, self._endpoint, self._gpus, self._kernel):
            if sampler is not None:
                sampler.close()

    def sample(self) -> Sample:
        """What all samplers tell now."""
        used = os.times()
        return Sample(
            t=time.monotonic(),
            wall=time.time(),
            process=self._process.sample() if self._process else None,
            host=self._host.sample() if self._host else None,
            cgroup=self._cgroup.sample() if self._cgroup else None,
            sockets=self._sockets.sample() if self._sockets else None,
            gpus=self._gpus.sample() if self._gpus else None,
            engine=self._endpoint.sample() if self._endpoint else None,
            probe=self._probe.sample() if self._probe else None,
            kernel=self._kernel.sample() if self._kernel else None,
            watcher_cpu_s=used.user + used.system,
        )

    def every(self, interval_s: float, seconds: float | None = None) -> Iterator[Sample]:
        """Samples at a steady pace, for `seconds` or for ever; late ones are not made up for."""
        begin = due = time.monotonic()
        while seconds is None or time.monotonic() - begin <= seconds:
            yield self.sample()
            due = max(due + interval_s, time.monotonic())
            time.sleep(max(0.0, due - time.monotonic()))


class Sliding:
    """A window that slides over samples, and the baseline learnt on the way."""

    def __init__(self, samples: int = 20, promise: Promise | None = None) -> None:
        self._samples: deque[Sample] = deque(maxlen=max(3, samples))
        self._promise = promise
        self._baseline: Baseline | None = None

    def add(self, sample: Sample) -> None:
        """Take a sample into the window; the oldest leaves it."""
        self._samples.append(sample)

    def view(self) -> View:
        """The window's view."""
        newest = view(tuple(self._samples), self._promise, self._baseline)
        self._learn(newest)
        return newest

    def diagnose(self) -> Diagnosis:
        """The diagnosis of the window's samples."""
        return diagnose(self.view())

    def _learn(self, window: View) -> None:
        """Keep the best pace of work while nobody disturbed it."""
        pace, engine, process, host = window.steps_per_cpu_s, window.engine, window.process, window.host
        if pace is None or engine is None or process is None or host is None or window.samples < _LEARN_SAMPLES:
            return
        if (host.foreign_cores_anywhere or 0.0) > _QUIET_CORES or (process.waiting_share or 0.0) > _NO_WAIT:
            return
        baseline = self._baseline
        if engine.running and (baseline is None or pace > baseline.steps_per_cpu_s):
            self._baseline = Baseline(pace, engine.running, host.clock_share)


def replay(
    samples: Iterable[Sample], window: int, promise: Promise | None = None
) -> Iterator[tuple[Sample, Diagnosis]]:
    """The diagnosis after each sample of a trace."""
    sliding = Sliding(window, promise)
    for sample in samples:
        sliding.add(sample)
        yield sample, sliding.diagnose()
