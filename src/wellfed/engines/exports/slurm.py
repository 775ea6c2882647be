"""A Slurm batch script. Options: sbatch(1)."""

from __future__ import annotations

from wellfed.engines.exports.script import body
from wellfed.engines.spec import LaunchSpec
from wellfed.units import MIB


def slurm(spec: LaunchSpec, name: str) -> str:
    """An sbatch script: whole CPUs near the GPUs asked for, memory from the ledger."""
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={name}",
        f"#SBATCH --nodes={spec.nodes}",
        "#SBATCH --ntasks-per-node=1",
    ]
    if spec.gpus:
        lines += [f"#SBATCH --gpus-per-node={len(spec.gpus)}", "#SBATCH --gres-flags=enforce-binding"]
    cores = spec.cores or len(spec.binding.cpus)
    if cores:
        lines += [f"#SBATCH --cpus-per-task={cores}", "#SBATCH --hint=nomultithread"]
    if spec.memory_bytes is not None:
        lines.append(f"#SBATCH --mem={round(spec.memory_bytes * 1.1 / MIB)}M")
    lines += ["#SBATCH --mem-bind=local", "set -euo pipefail"]
    script = body(spec)
    if spec.nodes > 1:
        script[-1] = script[-1].replace("exec ", "exec srun ", 1)
    return "\n".join([*lines, *script]) + "\n"
