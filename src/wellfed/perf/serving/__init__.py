"""Serving engines (vLLM, SGLang, TensorRT-LLM): continuous batches on equal GPUs, queues, split pools."""

from __future__ import annotations

from wellfed.perf.serving.estimate import estimate_serving, serving_speeds

__all__ = ["estimate_serving", "serving_speeds"]
