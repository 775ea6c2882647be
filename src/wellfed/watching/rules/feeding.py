"""Which GPU waits, and which thread it may be waiting for."""

from __future__ import annotations

from wellfed.watching.view import GpuView, ThreadView, View

_WAITS = 0.85  # a GPU busy for less of the time waits for something (assumed)


def waiting_gpu(view: View) -> GpuView | None:
    """The engine's least busy GPU, when it is idle for a part of the time."""
    if not view.on_gpu:
        return None
    metered = [gpu for gpu in view.engine_gpus if gpu.busy is not None]
    least = min(metered, key=lambda gpu: gpu.busy or 0.0, default=None)
    return least if least is not None and (least.busy or 0.0) < _WAITS else None


def hottest(view: View, api: bool) -> ThreadView | None:
    """The hottest thread: of the API server's process, or of those that compute.

    Engines with a process for each keep the API server in the first; one with a single process computes in it.
    """
    process = view.process
    threads = process.threads if process else None
    if process is None or not threads:
        return None
    single = all(thread.pid == process.pid for thread in threads)
    chosen = [t for t in threads if (t.pid == process.pid) == api or (single and not api)]
    if single and api:
        return None
    return max(chosen, key=lambda thread: thread.busy, default=None)
