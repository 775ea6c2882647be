"""The embedded llama.cpp server: `python -m wellfed.launch.embedded` takes llama-server's flags, those we use.

It lives in a process of its own: an engine that dies takes nothing with it, and its binding is its own.
"""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
from typing import Any


def parser() -> argparse.ArgumentParser:
    """llama-server's names for what the adapter sets."""
    arguments = argparse.ArgumentParser(prog="wellfed.launch.embedded", description=__doc__, allow_abbrev=False)
    arguments.add_argument("--model", required=True)
    arguments.add_argument("--alias")
    arguments.add_argument("--host", default="127.0.0.1")
    arguments.add_argument("--port", type=int, default=8080)
    for name, default in (
        ("--ctx-size", 4096), ("--parallel", 1), ("--n-gpu-layers", 0), ("--batch-size", 2048), ("--ubatch-size", 512),
        ("--threads", None), ("--n-cpu-moe", None), ("--cache-ram", 8192),
    ):  # fmt: skip
        arguments.add_argument(name, type=int, default=default)
    arguments.add_argument(
        "--cors-origins", help="Pages of which origin browsers may let ask it; only its own by itself."
    )
    arguments.add_argument("--cache-type-k", default="f16")
    arguments.add_argument("--cache-type-v", default="f16")
    arguments.add_argument("--flash-attn", choices=["on", "off", "auto"], default="auto")
    arguments.add_argument("--numa", choices=["distribute", "isolate", "numactl"])
    for flag in ("--metrics", "--no-mmap", "--mlock", "--no-repack", "--cpu-moe", "--verbose"):
        arguments.add_argument(flag, action="store_true")
    return arguments


def parameters(arguments: argparse.Namespace) -> Any:
    """The arguments as the library's parameters."""
    import xllamacpp as llama

    params = llama.CommonParams()
    params.model.path = arguments.model
    if arguments.alias:
        params.model_alias = [arguments.alias]
    params.hostnames = [arguments.host]
    params.port = arguments.port
    _close_to_other_pages(params, arguments)
    params.n_ctx, params.n_parallel = arguments.ctx_size, arguments.parallel
    params.n_batch, params.n_ubatch = arguments.batch_size, arguments.ubatch_size
    params.n_gpu_layers = arguments.n_gpu_layers
    if arguments.threads:
        params.cpuparams.n_threads = params.cpuparams_batch.n_threads = arguments.threads
    params.cache_type_k = _ggml_type(llama, arguments.cache_type_k)
    params.cache_type_v = _ggml_type(llama, arguments.cache_type_v)
    flash = {"on": "ENABLED", "off": "DISABLED", "auto": "AUTO"}[arguments.flash_attn]
    params.flash_attn_type = getattr(llama.llama_flash_attn_type, f"LLAMA_FLASH_ATTN_TYPE_{flash}")
    if arguments.numa:
        params.numa = getattr(llama.ggml_numa_strategy, f"GGML_NUMA_STRATEGY_{arguments.numa.upper()}")
    mode = "NONE" if arguments.no_mmap else "MLOCK" if arguments.mlock else "AUTO"
    params.load_mode = getattr(llama.llama_load_mode, f"LLAMA_LOAD_MODE_{mode}")
    params.no_extra_bufts = arguments.no_repack
    params.cache_ram_mib = arguments.cache_ram
    params.endpoint_metrics, params.endpoint_slots = arguments.metrics, True
    params.fit_params = False  # the plan has decided; a silent change of it would not be what was asked
    params.verbosity = 4 if arguments.verbose else 3
    key = os.environ.get("LLAMA_API_KEY")
    if key:
        params.api_keys = [key]
    return params


def _close_to_other_pages(params: Any, arguments: argparse.Namespace) -> None:
    """The library tells browsers that any page may ask it, with what they hold: only its own may, unless told so."""
    if not hasattr(params, "cors_origins"):
        return
    host = f"[{arguments.host}]" if ":" in arguments.host else arguments.host
    params.cors_origins = arguments.cors_origins or f"http://{host}:{arguments.port}"
    params.cors_origins_explicit, params.cors_credentials = True, False


def _ggml_type(llama: Any, name: str) -> Any:
    return getattr(llama.ggml_type, f"GGML_TYPE_{name.upper()}")


def main() -> int:
    """Serve until SIGTERM or SIGINT."""
    arguments = parser().parse_args()
    signal.signal(signal.SIGINT, signal.SIG_DFL)  # loading is one long call: signals must not wait for its end
    import xllamacpp as llama

    server = llama.Server(parameters(arguments))
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(0) if stop.is_set() else stop.set())
    sys.stderr.write(f"listening on {server.listening_address}\n")
    sys.stderr.flush()
    stop.wait()
    os._exit(0)  # the library's own teardown waits for clients that may never leave


if __name__ == "__main__":
    sys.exit(main())
