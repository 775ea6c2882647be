"""What can be wrong with the CPUs that feed the GPUs, and with what the kernel makes of them."""

from __future__ import annotations

from wellfed.faults.fault import LIFTED, Fault
from wellfed.faults.steps import by_hand, command, on_boot, plain
from wellfed.message import sentence

RAISE_QUOTA = by_hand(
    sentence(
        "check.cpu-quota.raise-limit-docker",
        "Raise the limit: docker --cpus, systemd CPUQuota=, Kubernetes resources.limits.cpu (or none); "
        "or start fewer threads.",
    )
)
WIDEN_SET = by_hand(
    sentence(
        "check.cpuset.widen-set-docker",
        "Widen the set: docker --cpuset-cpus/--cpuset-mems, systemd AllowedCPUs=, taskset, or "
        "the batch system's request.",
    )
)
FEWER_THREADS = plain(
    sentence(
        "watch.cpu-too-few.fix-many-threads-cpus",
        "# As many threads as CPUs it may use: --threads, or a larger cpuset.",
    )
)
MATCHING_THREADS = plain(
    sentence(
        "watch.cpu-too-few.start-threads-give",
        "# Start it with --threads {cpus}, or give it {threads} CPUs (taskset, cpuset, --bind).",
        cpus="CPUS",
        threads="THREADS",
    )
)
CPU_ON = command("echo 1 > /sys/devices/system/cpu/cpu{cpu}/online")
NO_ISOLCPUS = on_boot(
    sentence(
        "check.cpu-isolated.remove-isolcpus-from",
        "Remove isolcpus= from the kernel command line, or pin the engine's threads to those CPUs one by one.",
    )
)
GOVERNOR = command('for f in /sys/devices/system/cpu/cpu*/cpufreq/scaling_governor; do echo performance > "$f"; done')
BOOST = command(
    "[ -w /sys/devices/system/cpu/intel_pstate/no_turbo ] && echo 0 > /sys/devices/system/cpu/intel_pstate/no_turbo "
    "|| echo 1 > /sys/devices/system/cpu/cpufreq/boost"
)
GRAPHS_ON = plain(
    sentence(
        "watch.gpu-launch-bound.fix-cuda-graphs-vllm",
        "# CUDA graphs on (vLLM without --enforce-eager; llama.cpp: GGML_CUDA_DISABLE_GRAPHS unset), larger batches,",
    )
)
ALONE_ON_CORES = plain(
    sentence(
        "watch.gpu-launch-bound.fix-cpu-governor",
        "# CPU governor at performance, the engine alone on its cores; a CPU with faster single threads.",
    )
)
MOVE_OTHERS = plain(
    sentence(
        "watch.other-tenant-cpu.fix-stop-move-others",
        "# Stop or move the others (`top` names them), lower their priority (renice 19), or reserve CPUs (cpuset);",
    )
)
UNTIL_THEN = plain(
    sentence(
        "watch.other-tenant-cpu.fix-until-then-start",
        "# until then start the engine with as many threads as CPUs are free.",
    )
)
OWN_CPUS = plain(
    sentence("watch.stolen.fix-dedicated-pinned", "# Dedicated or pinned vCPUs, or another instance type.")
)
PASSTHROUGH = on_boot(
    sentence(
        "check.iommu.add-iommu-pt",
        "Add iommu=pt to GRUB_CMDLINE_LINUX in /etc/default/grub, update-grub, reboot; or IOMMU off in the BIOS.",
    )
)
REMOVE_OPTIONS = on_boot(
    sentence(
        "check.kernel-cmdline.remove-from-grub",
        "Remove {found} from GRUB_CMDLINE_LINUX in /etc/default/grub, update-grub, reboot.",
        found="OPTION",
    )
)

CPU_RATIONED = Fault(
    id="cpu-rationed",
    title=sentence("registry.title-8", "CPU time is rationed"),
    why=sentence(
        "check.cpu-quota.why",
        "A quota does not slow threads evenly: it lets them run and then stops them all for the rest of 100 ms.",
    ),
    remedies=(RAISE_QUOTA,),
    states=("cpu-quota",),
    behaviours=("cpu-quota",),
)
CPU_FENCED = Fault(
    id="cpu-fenced",
    title=sentence("registry.title-9", "The process may not use the CPUs that it needs"),
    why=sentence(
        "check.cpuset.why",
        "A container pinned to the wrong socket feeds its GPUs through the other one; memory of "
        "another node than the threads' costs as much.",
    ),
    remedies=(WIDEN_SET, FEWER_THREADS, MATCHING_THREADS),
    states=("cpuset",),
    behaviours=("cpu-too-few",),
)
CPU_OFFLINE = Fault(
    id="cpu-offline",
    title=sentence("fault.cpu-offline", "CPUs are offline"),
    why=sentence(
        "check.cpu-offline.why",
        "An offline CPU is a core less, and often the sign of a machine-check or a forgotten experiment.",
    ),
    remedies=(CPU_ON,),
    states=("cpu-offline",),
    behaviours=("cpu-too-few",),
)
CPU_ISOLATED = Fault(
    id="cpu-isolated",
    title=sentence("fault.cpu-isolated", "CPUs are kept out of scheduling"),
    why=sentence(
        "check.cpu-isolated.why",
        "isolcpus= is left over from latency experiments or virtual machines; engines count these CPUs as theirs.",
    ),
    remedies=(NO_ISOLCPUS,),
    states=("cpu-isolated",),
    behaviours=("cpu-too-few",),
)
OPTIONS_LEFT = Fault(
    id="options-left",
    title=sentence("fault.options-left", "The kernel's command line takes something away"),
    why=sentence(
        "check.kernel-cmdline.why",
        "Options left from installation or debugging hide CPUs and memory or slow PCIe, and no other file says so.",
    ),
    remedies=(REMOVE_OPTIONS,),
    states=("kernel-cmdline",),
    behaviours=("cpu-too-few",),
)
CPU_SLOW = Fault(
    id="cpu-slow",
    title=sentence("registry.title-10", "The cores that feed the GPU are clocked low"),
    why=sentence(
        "check.cpu-governor.why",
        "Decode is a chain of short kernel launches; a core that has to wake up and speed up first is late for each.",
    ),
    remedies=(GOVERNOR,),
    states=("cpu-governor",),
    behaviours=("cpu-clocks", "gpu-launch-bound"),
)
NO_BOOST = Fault(
    id="no-boost",
    title=sentence("fault.no-boost", "The cores may not boost"),
    why=sentence(
        "check.cpu-boost.why", "The thread that launches GPU work runs alone, and alone a core clocks highest."
    ),
    remedies=(BOOST,),
    states=("cpu-boost",),
    behaviours=("cpu-clocks", "gpu-launch-bound"),
)
LATE_LAUNCHES = Fault(
    id="late-launches",
    title=sentence("fault.late-launches", "One CPU thread launches the GPU's work too slowly"),
    why=sentence(
        "fault.late-launches.why",
        "Without graphs every kernel is launched by one thread; where that thread is slower than the GPU, the GPU "
        "waits, whatever its own speed.",
    ),
    remedies=(GRAPHS_ON, ALONE_ON_CORES),
    behaviours=("gpu-launch-bound",),
    price=LIFTED,
)
CPU_SHARED = Fault(
    id="cpu-shared",
    title=sentence("watch.other-tenant-cpu.title", "Another tenant on the engine's CPUs"),
    why=sentence(
        "fault.cpu-shared.why",
        "Engines wait for their slowest thread at every layer: one that has to share its core holds up all.",
    ),
    remedies=(MOVE_OTHERS, UNTIL_THEN),
    behaviours=("other-tenant-cpu",),
    price=LIFTED,
)
CPU_STOLEN = Fault(
    id="cpu-stolen",
    title=sentence("watch.stolen.title", "CPU time stolen by the hypervisor"),
    why=sentence(
        "fault.cpu-stolen.why",
        "The hypervisor gives the same cores to others too: threads that look as if they ran stand still.",
    ),
    remedies=(OWN_CPUS,),
    behaviours=("cpu-stolen",),
    price=LIFTED,
)
TRANSLATED = Fault(
    id="iommu-translates",
    title=sentence("fault.iommu-translates", "The IOMMU translates peer traffic"),
    why=sentence(
        "check.iommu.why", "With translation on, peer-to-peer DMA goes through the IOMMU in the root complex."
    ),
    remedies=(PASSTHROUGH,),
    states=("iommu",),
)

ALL = (
    CPU_RATIONED,
    CPU_FENCED,
    CPU_OFFLINE,
    CPU_ISOLATED,
    OPTIONS_LEFT,
    LATE_LAUNCHES,
    CPU_SLOW,
    NO_BOOST,
    CPU_SHARED,
    CPU_STOLEN,
    TRANSLATED,
)
