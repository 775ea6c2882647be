"""What can be wrong with main memory, its pages and the disks behind it."""

from __future__ import annotations

from wellfed.faults.fault import LIFTED, AtWork, Fault, Price, no_price
from wellfed.faults.steps import by_hand, command, look, plain
from wellfed.message import message, sentence
from wellfed.nouns.finding import Reach

FILL_CHANNELS = by_hand(
    message("mem-channels.fill", "Add equal DIMMs to the empty channels, in the order of the board's manual."),
    Reach.HARDWARE,
)
EQUAL_DIMMS = by_hand(
    sentence("check.mem-mixed-dimms.use-equal-dimms", "Use equal DIMMs (size, ranks, speed) in every channel.")
)
PROFILE = by_hand(
    message(
        "mem-speed.profile",
        "BIOS: choose the modules' XMP or EXPO profile, or set the memory clock to the modules' rating.",
    ),
    Reach.FIRMWARE,
)
CLOCK = by_hand(
    message(
        "mem-speed.clock",
        "BIOS: set the memory clock to Auto or to the modules' rating; server modules have no profile.",
    ),
    Reach.FIRMWARE,
)
FEWER_DIMMS = by_hand(
    message("mem-speed.fewer", "With two DIMMs per channel the clock drops: one larger DIMM per channel is faster."),
    Reach.HARDWARE,
)
COMPARE_DIMMS = by_hand(
    sentence(
        "check.mem-bandwidth.compare-dimms-found",
        "Compare DIMMs found with DIMMs fitted: a dead one leaves the MT/s as it was. "
        "Then BIOS: NUMA and interleaving.",
    )
)
LARGE_PAGES = command("echo madvise > /sys/kernel/mm/transparent_hugepage/enabled")
RESERVE_PAGES = command("echo {count} > {file}")
CALMER_SWAP = command("sysctl -w vm.swappiness=10")
EMPTY_SWAP = by_hand(sentence("check.swap.free-memory-first", "Free memory first, then: swapoff -a && swapon -a"))
LESS_HERE = plain(
    sentence(
        "watch.swapping.fix-less-machine-smaller",
        "# Less on this machine, a smaller model or context; --mlock keeps the model in RAM.",
    )
)
STOP_HOLDERS = by_hand(
    sentence(
        "check.ram-free.stop-what-holds",
        "Stop what holds the memory (ps aux --sort -rss | head), or raise the container's memory limit.",
    )
)
RAISE_LIMIT = plain(
    sentence(
        "watch.paging.fix-raise-memory-limit",
        "# Raise the memory limit above the model, or take a smaller quantisation; --no-mmap or --mlock fails at once",
    )
)
NOT_CRAWLING = plain(sentence("watch.paging.fix-instead-crawling", "# instead of crawling."))
SMALLER_CACHE = plain(
    sentence(
        "watch.memory-runs-out.fix-smaller-prompt-cache",
        "# A smaller prompt cache or context, a higher limit, or a restart at a quiet hour.",
    )
)
UNLIMITED_LOCK = command(
    "printf '* soft memlock unlimited\\n* hard memlock unlimited\\n' > /etc/security/limits.d/90-memlock.conf"
)
LOG_IN_AGAIN = by_hand(
    sentence(
        "check.memlock.then-log-again",
        "Then log in again. Services: LimitMEMLOCK=infinity. Containers: --ulimit memlock=-1.",
    )
)
LARGER_SHM = by_hand(
    sentence(
        "check.shared-memory.containers-ipc-host",
        "Containers: --ipc=host or --shm-size=16g; Kubernetes: an emptyDir with medium: Memory on /dev/shm.",
    )
)
FAST_DISK = by_hand(
    message("model-disk.fix", "Keep models on a local NVMe disk (HF_HOME, or a volume of the container).")
)
MOVE_DISK = by_hand(
    message("model-disk.slot", "Move the disk to a slot with all its lanes and generation."), Reach.HARDWARE
)
FIND_MODULE = plain(
    sentence(
        "watch.memory-errors.fix-find-module-reseat",
        "# Find the module, reseat or replace it; a memory test before it serves again.",
    )
)
SEE_ERRORS = look("grep . /sys/devices/system/edac/mc/mc*/*e_count /sys/devices/system/edac/mc/mc*/dimm*/dimm_*e_count")
MOVE_OTHERS = plain(
    sentence(
        "watch.memory-contention.fix-stop-move-others",
        "# Stop or move the others, to another socket where there is one; bandwidth can be rationed (resctrl MBA).",
    )
)
KEEP_OTHERS_OFF = plain(
    sentence(
        "watch.memory-contention.keep-others-off",
        "# Keep others off both hyperthreads of its cores (cpuset: `lscpu -e` tells which belong "
        "together), or stop them.",
    )
)

EMPTY_CHANNELS = Fault(
    id="empty-channels",
    title=sentence("fault.empty-channels", "Memory channels have no DIMM"),
    why=sentence(
        "check.mem-channels.why",
        "Layers and experts in RAM decode at the speed of memory, and each channel adds its "
        "share: half the channels, half the tokens.",
    ),
    remedies=(FILL_CHANNELS,),
    states=("mem-channels",),
)
UNLIKE_DIMMS = Fault(
    id="unlike-dimms",
    title=sentence("fault.unlike-dimms", "The DIMMs of a socket are unlike"),
    why=sentence(
        "check.mem-mixed-dimms.why",
        "Memory controllers interleave only what is equal on all channels. The rest of a larger "
        "DIMM runs at the speed of one channel, and the slowest DIMM sets the clock for all.",
    ),
    remedies=(EQUAL_DIMMS,),
    states=("mem-mixed-dimms",),
)
SLOW_DIMMS = Fault(
    id="slow-dimms",
    title=sentence("fault.slow-dimms", "Memory is clocked below its rating"),
    why=sentence(
        "check.mem-speed.why",
        "Bandwidth is channels x MT/s x 8 bytes. A forgotten memory profile costs a third of it, "
        "four DIMMs on two channels of a desktop board often as much.",
    ),
    remedies=(PROFILE, CLOCK, FEWER_DIMMS),
    states=("mem-speed",),
)
LOW_BANDWIDTH = Fault(
    id="low-bandwidth",
    title=sentence("fault.low-bandwidth", "Memory delivers less than its channels promise"),
    why=sentence(
        "check.mem-bandwidth.why",
        "Everything computed on the CPU reads its weights from RAM once per token: bandwidth is speed.",
    ),
    remedies=(COMPARE_DIMMS,),
    states=("mem-bandwidth",),
)
SMALL_PAGES = Fault(
    id="small-pages",
    title=sentence("fault.small-pages", "Programs cannot have huge pages"),
    why=sentence(
        "check.thp.why",
        "CPU decode streams gigabytes per token; with 2 MiB pages the processor translates 512 "
        "times fewer addresses. Worth 13 to 19 % on one measured platform and nothing on "
        "another: hence a warning, and `madvise` rather than `always`.",
    ),
    remedies=(LARGE_PAGES,),
    states=("thp",),
    price=no_price(message("thp.no-price", "published figures for large pages go from 20 % slower to 19 % faster")),
)
PAGES_RESERVED = Fault(
    id="pages-reserved",
    title=sentence("fault.pages-reserved", "Huge pages are reserved where nobody uses them"),
    why=sentence(
        "check.hugepages.why",
        "Reserved pages are taken from everybody else. Reserved on one node only, the other "
        "socket's threads read across the link.",
    ),
    remedies=(RESERVE_PAGES,),
    states=("hugepages",),
)
RAM_TAKEN = Fault(
    id="ram-taken",
    title=sentence("registry.title-6", "Main memory is not free"),
    why=sentence(
        "check.ram-free.why",
        "Weights in RAM that do not fit are read from disk for every token, or the process is killed.",
    ),
    remedies=(STOP_HOLDERS, RAISE_LIMIT, NOT_CRAWLING),
    states=("ram-free",),
    behaviours=("paging", "memory-runs-out"),
)
MEMORY_GROWS = Fault(
    id="memory-grows",
    title=sentence("fault.memory-grows", "The engine takes more and more memory"),
    why=sentence(
        "fault.memory-grows.why",
        "Prompt caches and long contexts grow for hours; when nothing is left, the kernel ends the engine without a "
        "word in its log.",
    ),
    remedies=(SMALLER_CACHE,),
    behaviours=("memory-runs-out",),
    price=LIFTED,
    at_work=AtWork.AS_BEFORE,
)
SWAPPED_OUT = Fault(
    id="swapped-out",
    title=sentence("registry.title-7", "Memory has been swapped out"),
    why=sentence("check.swap.why", "A model that just fits pushes something out; each token then waits for the disk."),
    remedies=(CALMER_SWAP, EMPTY_SWAP, LESS_HERE),
    states=("swap",),
    behaviours=("swapping",),
    price=no_price(
        message("swap.no-price", "which pages were swapped out, and whether the engine needs them, is not told")
    ),
)
NOT_LOCKED = Fault(
    id="not-locked",
    title=sentence("fault.not-locked", "Processes may not lock the memory they need"),
    why=sentence(
        "check.memlock.why",
        "Locked weights cannot be swapped or dropped from the page cache, and network cards read only locked memory.",
    ),
    remedies=(UNLIMITED_LOCK, LOG_IN_AGAIN),
    states=("memlock",),
    price=no_price(
        message("memlock.no-price", "locking works or fails; what is not locked is as fast until memory runs short")
    ),
)
SMALL_SHM = Fault(
    id="small-shm",
    title=sentence("fault.small-shm", "/dev/shm is too small for several ranks"),
    why=sentence(
        "check.shared-memory.why",
        "Tensor parallelism runs a process per GPU; NCCL and the engines pass data and messages "
        "through shared memory. A container's default of 64 MiB ends in `unhandled system error` "
        "or a hang.",
    ),
    remedies=(LARGER_SHM,),
    states=("shared-memory",),
    price=no_price(message("shared-memory.no-price", "ranks start or they do not; those that run are not slower")),
)
SLOW_DISK = Fault(
    id="slow-disk",
    title=sentence("fault.slow-disk", "Models lie on a slow or full disk"),
    why=sentence(
        "check.model-disk.why",
        "Every start reads all weights once; experts that do not fit into RAM are read again and again.",
    ),
    remedies=(FAST_DISK, MOVE_DISK),
    states=("model-disk",),
    price=Price(
        message("fault.slow-disk.price", "Seconds of loading more than a good disk takes, for the weights of the plan.")
    ),
)
MEMORY_FAILING = Fault(
    id="memory-failing",
    title=sentence("watch.memory-errors.title", "Memory or machine-check errors"),
    why=sentence(
        "fault.memory-failing.why",
        "A corrected error is a warning; one that is not ends the engine, or changes weights without a word.",
    ),
    remedies=(FIND_MODULE, SEE_ERRORS),
    behaviours=("memory-errors",),
    price=LIFTED,
    hardware=True,
)
BUS_SHARED = Fault(
    id="bus-shared",
    title=sentence("watch.memory-contention.title", "Another tenant on the memory bus"),
    why=sentence(
        "fault.bus-shared.why",
        "Decode on CPUs is as fast as memory can be read, and all cores of a socket read through the same channels.",
    ),
    remedies=(MOVE_OTHERS, KEEP_OTHERS_OFF),
    behaviours=("memory-contention",),
    price=LIFTED,
)

ALL = (
    EMPTY_CHANNELS,
    UNLIKE_DIMMS,
    SLOW_DIMMS,
    LOW_BANDWIDTH,
    MEMORY_GROWS,
    RAM_TAKEN,
    SMALL_PAGES,
    PAGES_RESERVED,
    SWAPPED_OUT,
    NOT_LOCKED,
    SMALL_SHM,
    SLOW_DISK,
    MEMORY_FAILING,
    BUS_SHARED,
)
