"""A systemd unit. Directives: systemd.exec(5), systemd.resource-control(5)."""

from __future__ import annotations

from wellfed.comments import commented, lines_of, one_line
from wellfed.engines.exports.images import dns_label, locks_memory
from wellfed.engines.exports.keys import FILE, LINE
from wellfed.engines.spec import LaunchSpec, MemoryPolicy, ranges
from wellfed.errors import Unsupported
from wellfed.message import Sentence, sentence

_TAKEN = (
    "ProtectKernelTunables", "ProtectKernelModules", "ProtectKernelLogs", "ProtectControlGroups", "ProtectClock",
    "ProtectHostname", "RestrictNamespaces", "RestrictRealtime", "RestrictSUIDSGID", "LockPersonality", "RemoveIPC",
)  # fmt: skip
_GPU_DEVICES = {
    "nvidia": ("char-nvidia", "char-nvidia-frontend", "char-nvidia-uvm", "char-nvidia-caps", "char-nvidia-modeset"),
    "amd": ("char-kfd", "char-drm"),
    "intel": ("char-drm",),
}


def systemd(spec: LaunchSpec, name: str) -> str:
    """A service with the plan's CPU set, NUMA policy and memory limit; the API key comes from a file of root's.

    Raises Unsupported for a plan of several machines.
    """
    if spec.nodes > 1:
        raise Unsupported(f"a unit is for one machine, the plan takes {spec.nodes}", "use kubernetes, slurm or script")
    label = dns_label(name)
    unit = ["[Unit]", f"Description={_percent(one_line(name))} served by {spec.engine}", "After=network-online.target"]
    unit += ["Wants=network-online.target", ""]
    words = [_quoted(word) for word in spec.argv]
    if spec.key_in_file:
        words += [spec.key_flag, f"%d/{FILE}"]
    service = ["[Service]", "Type=exec", *_huge_pages(spec), f"ExecStart={' '.join(words)}"]
    service += [f"Environment={_assigned(key, value)}" for key, value in sorted(spec.environment.items())]
    if spec.key_in_file:
        service.append(f"LoadCredential={FILE}:{_key_path(spec, label)}")
    elif spec.secrets:
        service.append(f"EnvironmentFile={_key_path(spec, label)}")
    service += _placement(spec)
    if spec.memory_bytes is not None and not spec.gpus:
        service.append(f"MemoryHigh={round(spec.memory_bytes * 1.1)}")
    service += ["LimitMEMLOCK=infinity"] if locks_memory(spec) else []
    service += sandbox(spec, label)
    service += ["Restart=on-failure", "RestartSec=5", "KillMode=mixed", "TimeoutStopSec=30"]
    comments = [commented(note) for note in (*spec.notes, *_notes(spec, label))]
    return lines_of([*comments, *unit, *service, "", "[Install]", "WantedBy=multi-user.target"])


def _key_path(spec: LaunchSpec, label: str) -> str:
    return f"/etc/wellfed/{label}.{'yaml' if spec.key_in_file else 'env'}"


def _notes(spec: LaunchSpec, label: str) -> list[Sentence]:
    notes = [
        sentence(
            "export.systemd.user",
            "It runs as a user of its own (DynamicUser), who must be able to read the model and the program;",
        ),
        sentence("export.systemd.yours", "  where only you can: User=YOU in place of DynamicUser=yes."),
    ]
    if spec.secrets:
        lines = LINE if spec.key_in_file else ", ".join(f"{name}=KEY" for name in sorted(spec.secrets))
        template = "{path} (mode 600) must hold: {lines}"
        notes.append(sentence("export.systemd.key", template, path=_key_path(spec, label), lines=lines))
    return notes


def sandbox(spec: LaunchSpec, label: str) -> list[str]:
    """What it does not need is taken from it (systemd.exec(5), `systemd-analyze security`)."""
    home = "read-only" if _in_homes(spec) else "yes"
    lines = [
        "DynamicUser=yes",
        f"StateDirectory={label}",
        f"Environment=HOME=%S/{label}",
        f"WorkingDirectory=%S/{label}",
    ]
    lines += ["NoNewPrivileges=yes", "CapabilityBoundingSet=", "AmbientCapabilities=", "UMask=0077"]
    lines += ["ProtectSystem=strict", f"ProtectHome={home}", "PrivateTmp=yes", *_devices(spec)]
    lines += [f"{name}=yes" for name in _TAKEN]
    lines += [
        "ProtectProc=invisible",
        "KeyringMode=private",
        "RestrictAddressFamilies=AF_UNIX AF_INET AF_INET6 AF_NETLINK",
    ]
    lines += ["SystemCallArchitectures=native", "SystemCallFilter=@system-service", "SystemCallErrorNumber=EPERM"]
    return lines + (["IPAddressDeny=any", "IPAddressAllow=localhost"] if _stays_here(spec) else [])


def _in_homes(spec: LaunchSpec) -> bool:
    """Whether the program or the model lies in somebody's home."""
    return any(word.startswith(("/home/", "/root/", "~", "/run/user/")) for word in (spec.argv[0], *spec.files))


def _stays_here(spec: LaunchSpec) -> bool:
    """Whether neither clients nor a hub are beyond this machine: a local file, served on loopback."""
    return spec.endpoint.is_loopback and bool(spec.files) and all(file.startswith(("/", "./")) for file in spec.files)


def _devices(spec: LaunchSpec) -> list[str]:
    """No devices but those of its GPUs."""
    if not spec.gpus:
        return ["PrivateDevices=yes"]
    return ["DevicePolicy=closed", *(f"DeviceAllow={name} rw" for name in _GPU_DEVICES.get(spec.gpu_vendor, ()))]


def _huge_pages(spec: LaunchSpec) -> list[str]:
    """Reserved before, given back after, both as root whoever serves."""
    if not spec.huge_pages:
        return []
    path = "/sys/devices/system/node/node{}/hugepages/hugepages-2048kB/nr_hugepages"
    before = "; ".join(f"echo {pages} > {path.format(node)}" for node, pages in sorted(spec.huge_pages.items()))
    after = "; ".join(f"echo 0 > {path.format(node)}" for node in sorted(spec.huge_pages))
    return [f'ExecStartPre=+/bin/sh -c "{before}"', f'ExecStopPost=+/bin/sh -c "{after}"']


def _placement(spec: LaunchSpec) -> list[str]:
    lines = []
    if spec.binding.cpus:
        lines.append(f"CPUAffinity={ranges(spec.binding.cpus).replace(',', ' ')}")
    if spec.binding.nodes and spec.binding.policy is not MemoryPolicy.DEFAULT:
        lines += [f"NUMAPolicy={spec.binding.policy.value}", f"NUMAMask={ranges(spec.binding.nodes)}"]
    return lines


def _percent(text: str) -> str:
    return text.replace("%", "%%")


def _assigned(key: str, value: str) -> str:
    escaped = _percent(value).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{key}={escaped}"'


def _quoted(word: str) -> str:
    escaped = _percent(word).replace("\\", "\\\\").replace('"', '\\"').replace("$", "$$")
    return f'"{escaped}"' if not word or any(c.isspace() or c in "\"';\\" for c in word) else escaped
