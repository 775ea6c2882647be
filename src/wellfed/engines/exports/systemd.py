"""A systemd unit. Directives: systemd.exec(5), systemd.resource-control(5)."""

from __future__ import annotations

from wellfed.engines.spec import LaunchSpec, MemoryPolicy, ranges


def systemd(spec: LaunchSpec, name: str) -> str:
    """A service with the plan's CPU set, NUMA policy and memory limit; the API key comes from a credential file."""
    unit = ["[Unit]", f"Description={name} served by {spec.engine}", "After=network-online.target"]
    unit += ["Wants=network-online.target", ""]
    service = ["[Service]", "Type=exec", f"ExecStart={' '.join(_quoted(word) for word in spec.argv)}"]
    service += [f'Environment="{key}={value}"' for key, value in sorted(spec.environment.items())]
    if spec.secrets:
        service.append(f"EnvironmentFile=/etc/wellfed/{name}.env")
    service += _placement(spec)
    if spec.memory_bytes is not None and not spec.gpus:
        service.append(f"MemoryHigh={round(spec.memory_bytes * 1.1)}")
    service += ["LimitMEMLOCK=infinity", "Restart=on-failure", "RestartSec=5", "KillMode=mixed", "TimeoutStopSec=30"]
    comments = [f"# {note}" for note in spec.notes]
    if spec.secrets:
        comments.append(f"# /etc/wellfed/{name}.env (mode 600) must hold: {', '.join(sorted(spec.secrets))}")
    return "\n".join([*comments, *unit, *service, "", "[Install]", "WantedBy=multi-user.target"]) + "\n"


def _placement(spec: LaunchSpec) -> list[str]:
    lines = []
    if spec.binding.cpus:
        lines.append(f"CPUAffinity={ranges(spec.binding.cpus).replace(',', ' ')}")
    if spec.binding.nodes and spec.binding.policy is not MemoryPolicy.DEFAULT:
        lines += [f"NUMAPolicy={spec.binding.policy.value}", f"NUMAMask={ranges(spec.binding.nodes)}"]
    return lines


def _quoted(word: str) -> str:
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{escaped}"' if not word or any(c.isspace() or c in "\"';\\" for c in word) else escaped
