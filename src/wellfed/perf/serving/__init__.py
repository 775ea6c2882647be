"""Serving engines (vLLM, SGLang, TensorRT-LLM): continuous batches on equal GPUs, queues, split pools."""

from __future__ import annotations

from wellfed.perf.serving.estimate import estimate_serving, serving_speeds
from wellfed.perf.serving.throughput import best_load, best_throughput

__all__ = ["best_load", "best_throughput", "estimate_serving", "serving_speeds"]
