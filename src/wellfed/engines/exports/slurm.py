"""A Slurm batch script. Options: sbatch(1)."""

from __future__ import annotations

from wellfed.engines.exports.groups import Group, spanning
from wellfed.engines.exports.images import dns_label, environment_of
from wellfed.engines.exports.script import preparation, wrapped
from wellfed.engines.spec import LaunchSpec
from wellfed.units import MIB

_GROUP = Group("$HEAD", "$SLURM_JOB_NUM_NODES", "$SLURM_NODEID")


def slurm(spec: LaunchSpec, name: str) -> str:
    """An sbatch script: whole CPUs near the GPUs asked for, memory from the ledger; a bound plan takes whole nodes."""
    lines = [
        "#!/bin/bash",
        f"#SBATCH --job-name={dns_label(name)}",
        f"#SBATCH --nodes={spec.nodes}",
        "#SBATCH --ntasks-per-node=1",
    ]
    if spec.servers > 1:
        lines.append(f"#SBATCH --array=0-{spec.servers - 1}")
    if spec.gpus:
        lines += [f"#SBATCH --gpus-per-node={len(spec.gpus)}", "#SBATCH --gres-flags=enforce-binding"]
    cores = spec.cores or len(spec.binding.cpus) or 2 * (len(spec.gpus) + 2)
    lines += [f"#SBATCH --cpus-per-task={cores}", "#SBATCH --hint=nomultithread"]
    if spec.binding.cpus:
        lines.append("#SBATCH --exclusive")  # numactl names CPUs of the node: they must all be the job's
    if spec.memory_bytes is not None:
        lines.append(f"#SBATCH --mem={round(spec.memory_bytes * 1.1 / MIB)}M")
    lines += ["#SBATCH --mem-bind=local", "set -euo pipefail", *preparation(spec, environment_of(spec))]
    return "\n".join([*lines, *(_on_each(spec) if spec.nodes > 1 else [f"exec {wrapped(spec)}"])]) + "\n"


def _on_each(spec: LaunchSpec) -> list[str]:
    """One task per node: the first serves, the others join it."""
    span, words = spanning(spec), wrapped(spec)
    return [
        'HEAD=$(scontrol show hostnames "$SLURM_JOB_NODELIST" | head -n 1)',
        "export HEAD",
        "exec srun --kill-on-bad-exit=1 bash -c \"$(cat <<'EACH'",
        'if [ "$SLURM_NODEID" = 0 ]; then',
        f"  {span.first(words, _GROUP)}",
        "else",
        f"  {span.other(words, _GROUP)}",
        "fi",
        "EACH",
        ')"',
    ]
