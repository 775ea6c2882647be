"""A launch written down for where it will live. Pure text; secrets are referred to, never written."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from wellfed.engines.exports.compose import compose
from wellfed.engines.exports.handover import llama_swap, lmstudio, ollama
from wellfed.engines.exports.kubernetes import kubernetes
from wellfed.engines.exports.ray import ray
from wellfed.engines.exports.script import script
from wellfed.engines.exports.slurm import slurm
from wellfed.engines.exports.systemd import systemd
from wellfed.engines.spec import LaunchSpec

EXPORTS: Mapping[str, Callable[[LaunchSpec, str], str]] = {
    "script": script,
    "systemd": systemd,
    "compose": compose,
    "kubernetes": kubernetes,
    "slurm": slurm,
    "ray": ray,
    "ollama": ollama,
    "lmstudio": lmstudio,
    "llama-swap": llama_swap,
}
