"""A health check that Slurm runs on each node: is it still as its build usually is? Drains it, with the reason, if not.

slurm.conf(5): HealthCheckProgram runs as root on every node, each HealthCheckInterval; it may set the node's state with
scontrol. The script is POSIX sh, reads /sys and /proc alone, and knows each build of the fleet by its product name.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from wellfed.frozen import dataclass
from wellfed.hardware.machine import Gpu, Machine
from wellfed.units import MIB

_MEMORY_SHARE = 0.97  # a lost module is at least a thirty-second of a machine with sixteen


@dataclass(frozen=True, slots=True)
class Expected:
    """A build as its nodes usually are. `product`: as firmware has it; empty where that tells none."""

    product: str
    machine: Machine


def health_script(builds: Sequence[Expected]) -> str:
    """The script. What the builds' own snapshots do not tell is not checked."""
    return _HEAD + "".join(_case(build) for build in builds) + _TAIL


def _case(build: Expected) -> str:
    machine = build.machine
    gpus = [gpu for gpu in machine.gpus if gpu.pci_address and not gpu.display_only]
    lines = [f"  {shlex.quote(build.product)})", "    known=yes"]
    lines += [_link(gpu) for gpu in gpus]
    if gpus:
        lines.append(f"    gpus {len(gpus)}")
    memory = sum(node.memory_bytes or 0 for node in machine.numa_nodes if not node.gpu_memory)
    if memory:
        lines.append(f"    memory {round(_MEMORY_SHARE * memory / 1024)} {round(memory / MIB)}")
    if machine.os.cpus_online:
        lines.append(f"    cpus {len(machine.os.cpus_online)}")
    if machine.os.governor:
        lines.append(f"    governor {shlex.quote(machine.os.governor)}")
    if machine.os.nvidia_driver:
        lines.append(f"    driver {shlex.quote(machine.os.nvidia_driver)}")
    return "\n".join([*lines, "    ;;", ""])


def _link(gpu: Gpu) -> str:
    """Lanes only: an idle card lowers its generation to save power."""
    width = gpu.link.width if gpu.link is not None else 0
    return f"    lanes gpu{gpu.index} {shlex.quote((gpu.pci_address or '').lower())} {width}"


_HEAD = r"""#!/bin/sh
# slurm.conf: HealthCheckProgram=/etc/slurm/wellfed-health.sh
#             HealthCheckInterval=300
#             HealthCheckNodeState=ANY,CYCLE
# Says what is other than in this node's build and drains it; a node that it drained and that is well again it resumes.
set -u
root=${WELLFED_ROOT:-}
bad=''
known=no

say() { bad="${bad:+$bad, }$1"; }
first() { head -n 1 "$1" 2>/dev/null | tr -d '\r'; }

lanes() { # name, PCI address, lanes that it usually has (0: not known)
  here="$root/sys/bus/pci/devices/$2"
  if [ ! -e "$here" ]; then
    say "$1 is gone"
  elif [ "$3" -gt 0 ]; then
    now=$(first "$here/current_link_width")
    case "$now" in
      '' | *[!0-9]*) ;;
      *) [ "$now" -ge "$3" ] || [ "$now" -eq 0 ] || say "$1 has $now of $3 lanes" ;;
    esac
  fi
}

gpus() { # how many display controllers (class 03) with 3D (02) or VGA (00) of a GPU's maker there are
  count=0
  for class in "$root"/sys/bus/pci/devices/*/class; do
    case "$(first "$class")" in
      0x0302* | 0x0300* | 0x1200*)
        case "$(first "${class%/class}/vendor")" in
          0x10de | 0x1002) count=$((count + 1)) ;;
        esac
        ;;
    esac
  done
  [ "$count" -ge "$1" ] || say "$count of $1 GPUs"
}

memory() { # least KiB, usual MiB
  now=$(awk '$1 == "MemTotal:" { print $2 }' "$root/proc/meminfo" 2>/dev/null)
  [ -z "$now" ] || [ "$now" -ge "$1" ] || say "$((now / 1024)) of $2 MiB of memory"
}

cpus() {
  now=$(first "$root/sys/devices/system/cpu/online" | awk -F, '{
    n = 0
    for (i = 1; i <= NF; i++) { k = split($i, span, "-"); n += k > 1 ? span[2] - span[1] + 1 : 1 }
    print n }')
  [ -z "$now" ] || [ "$now" -ge "$1" ] || say "$now of $1 CPUs online"
}

governor() {
  now=$(first "$root/sys/devices/system/cpu/cpu0/cpufreq/scaling_governor")
  [ -z "$now" ] || [ "$now" = "$1" ] || say "governor $now, usually $1"
}

driver() {
  now=$(first "$root/sys/module/nvidia/version")
  [ -z "$now" ] || [ "$now" = "$1" ] || say "driver $now, usually $1"
}

vendor=$(first "$root/sys/class/dmi/id/sys_vendor")
product=$(first "$root/sys/class/dmi/id/product_name")
[ -n "$vendor$product" ] || product=$(tr -d '\000' < "$root/proc/device-tree/model" 2>/dev/null)
case "$vendor${vendor:+${product:+ }}$product" in
"""
_TAIL = r"""esac

[ -z "$root" ] || { echo "${bad:-well}"; [ -z "$bad" ]; exit; }
[ "$known" = yes ] || exit 0
node=${SLURMD_NODENAME:-$(hostname -s)}
state=$(scontrol show node "$node" 2>/dev/null)
if [ -n "$bad" ]; then
  case "$state" in
    *"Reason=wellfed: $bad"*) ;;
    *) scontrol update NodeName="$node" State=DRAIN Reason="wellfed: $bad" ;;
  esac
elif printf '%s' "$state" | grep -q 'Reason=wellfed: '; then
  scontrol update NodeName="$node" State=RESUME
fi
"""
