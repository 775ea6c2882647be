"""What can be wrong with GPUs themselves."""

from __future__ import annotations

from wellfed.faults.fault import Fault, Price, no_price
from wellfed.faults.steps import by_hand, command, look, plain
from wellfed.message import message, sentence
from wellfed.nouns.finding import Reach, Safety

RESET = command("nvidia-smi -i {gpu} -r", Safety.RESTART)
AGAIN = by_hand(
    sentence(
        "check.gpu-xid.again-after-reset", "Again after the reset: check seating, power and cooling; then replace."
    )
)
WHICH_PROGRAM = by_hand(
    sentence("check.gpu-xid.see-which-program", "See which program ran then: journalctl -k | grep -i xid")
)
RESEAT_OR_REPLACE = plain(
    sentence(
        "watch.gpu-errors.fix-reset-reboot-reseat",
        "# Reset or reboot; reseat the card or its riser; if it comes back, replace it.",
    )
)
SEE_ERRORS = look("nvidia-smi -q -d ECC,ROW_REMAPPER")
ERRORS_AGAIN = by_hand(sentence("check.gpu-ecc.errors-again-after", "Errors again after the reset: replace the card."))
ECC_ON = command("nvidia-smi -i {gpu} -e 1")
ECC_OFF = command("nvidia-smi -i {gpu} -e 0")
REPLACE = by_hand(sentence("check.gpu-row-remap.replace-card", "Replace the card."))
COOL = by_hand(
    sentence(
        "check.gpu-throttle.cooling-fans-dust",
        "Cooling: fans, dust, airflow between cards, inlet temperature. Power: all connectors, supply, chassis brake.",
    ),
    Reach.HARDWARE,
)
LEAVE_GROUP = by_hand(
    sentence("check.gpu-throttle.leave-sync-boost", "Leave the sync boost group: nvidia-smi boost-slider")
)
COOL_OR_RAISE = plain(
    sentence(
        "watch.gpu-throttled.fix-airflow-dust-higher",
        "# Airflow and dust; a higher limit where the card allows: nvidia-smi -pl WATTS; check the power cables.",
    )
)
RATED_POWER = command("nvidia-smi -i {gpu} -pl {watts}")
RELEASE_MEMORY_CLOCK = command("nvidia-smi -i {gpu} -rmc")
RELEASE_CLOCKS = command("nvidia-smi --reset-gpu-clocks")
RELEASE_APPLICATION_CLOCKS = command("nvidia-smi --reset-applications-clocks")
PERSIST = command("nvidia-smi -i {gpu} -pm 1")
MIG_OFF = command("nvidia-smi -i {gpu} -mig 0", Safety.RESTART)
EQUAL_GROUPS = by_hand(
    sentence(
        "check.gpu-mixed.use-groups-equal",
        "Use groups of equal GPUs, or an engine that splits by layers in proportion (llama.cpp).",
    )
)
INSTALL_DRIVER = by_hand(
    sentence(
        "check.gpu-driver.install-vendor",
        "Install the vendor's driver (distribution package or vendor repository) and reboot.",
    )
)
UNBIND = by_hand(
    sentence(
        "check.gpu-driver.use-here-remove",
        "To use it here: remove the card's ids from vfio-pci's options and reboot. In a virtual machine: leave it.",
    )
)
SEE_HOLDERS = look("nvidia-smi --query-compute-apps=pid,process_name,used_memory --format=csv")
STOP_HOLDERS = by_hand(
    sentence("check.vram-free.stop-what-holds", "Stop what holds the memory, or plan with what is left.")
)
SHARE_CARD = plain(
    sentence(
        "watch.other-tenant-gpu.fix-stop-move-them",
        "# Stop or move them; or divide the card (MIG), and plan with the part.",
    )
)

BAD_HARDWARE = Fault(
    id="bad-hardware",
    title=sentence("registry.title-2", "A GPU, its memory or its link is failing"),
    why=sentence(
        "check.gpu-xid.why",
        "An XID says what went wrong when an engine died with a vague message; some mean that the card is dying.",
    ),
    remedies=(RESET, AGAIN, WHICH_PROGRAM, RESEAT_OR_REPLACE, SEE_ERRORS),
    states=("gpu-xid",),
    behaviours=("gpu-errors",),
    price=no_price(message("gpu-xid.no-price", "a logged fault ends programs; it does not slow those that run")),
    hardware=True,
)
MEMORY_ERRORS = Fault(
    id="gpu-memory-errors",
    title=sentence("fault.gpu-memory-errors", "GPU memory has errors, or its error correction is not as it should be"),
    why=sentence(
        "check.gpu-ecc.why",
        "An uncorrected error ends the process or, with ECC off, silently changes weights and caches.",
    ),
    remedies=(RESET, ERRORS_AGAIN, ECC_ON, ECC_OFF),
    states=("gpu-ecc",),
    behaviours=("gpu-errors",),
    hardware=True,
)
ROWS_WAIT = Fault(
    id="rows-wait",
    title=sentence("fault.rows-wait", "Failed rows of GPU memory wait to be replaced"),
    why=sentence("check.gpu-row-remap.why", "A row that failed is used on until the GPU is reset, and fails again."),
    remedies=(RESET, REPLACE),
    states=("gpu-row-remap",),
    behaviours=("gpu-errors",),
    price=no_price(
        message(
            "gpu-row-remap.no-price",
            "nothing is slower until the card is reset: errors may come back, and a spent spare is not replaced",
        )
    ),
    hardware=True,
)
HEAT_OR_POWER = Fault(
    id="heat-or-power",
    title=sentence("registry.title-3", "Heat or power slows the GPU"),
    why=sentence(
        "check.gpu-throttle.why",
        "Prefill and batches are compute: a card at half its clock needs twice the time, and the others wait for it.",
    ),
    remedies=(COOL, LEAVE_GROUP, COOL_OR_RAISE),
    states=("gpu-throttle",),
    behaviours=("gpu-throttled",),
    hardware=True,
)
POWER_CAPPED = Fault(
    id="power-capped",
    title=sentence("fault.power-capped", "The GPU's power limit is below its rating"),
    why=sentence(
        "check.gpu-power-limit.why",
        "Someone saved power or heat and forgot. Often a good trade: hence a warning with its price.",
    ),
    remedies=(RATED_POWER,),
    states=("gpu-power-limit",),
    behaviours=("gpu-throttled", "gpu-low-clocks"),
)
SLOW_CLOCKS = Fault(
    id="slow-memory-clock",
    title=sentence("registry.title-4", "The GPU's memory or cores are clocked down"),
    why=sentence(
        "check.gpu-memory-clock.why",
        "Decode streams the weights from the card's memory: half the memory clock is half the "
        "tokens. A lock left by somebody, or power saving, holds it down.",
    ),
    remedies=(RELEASE_MEMORY_CLOCK, RELEASE_CLOCKS, RELEASE_APPLICATION_CLOCKS),
    states=("gpu-memory-clock",),
    behaviours=("gpu-low-clocks",),
)
NO_PERSISTENCE = Fault(
    id="no-persistence",
    title=sentence("fault.no-persistence", "The driver shuts the GPU down between programs"),
    why=sentence(
        "check.gpu-persistence.why",
        "Starting takes seconds longer, clocks and power limits are forgotten, and links train anew.",
    ),
    remedies=(PERSIST,),
    states=("gpu-persistence",),
    price=Price(
        message("fault.no-persistence.price", "Seconds of each start in which the driver wakes the cards, one by one.")
    ),
)
CUT_UP = Fault(
    id="cut-up",
    title=sentence("fault.cut-up", "A GPU is cut into MIG slices"),
    why=sentence(
        "check.gpu-mig.why",
        "Left from another tenant, MIG makes an 80 GB card look like 10 GB, and tensor parallelism impossible.",
    ),
    remedies=(MIG_OFF,),
    states=("gpu-mig",),
)
UNLIKE_GPUS = Fault(
    id="unlike-gpus",
    title=sentence("fault.unlike-gpus", "The GPUs are unlike"),
    why=sentence(
        "check.gpu-mixed.why",
        "Engines that split every layer over the GPUs treat unlike cards as so many of the weakest.",
    ),
    remedies=(EQUAL_GROUPS,),
    states=("gpu-mixed",),
)
NO_DRIVER = Fault(
    id="no-driver",
    title=sentence("fault.no-driver", "A GPU has no driver that can compute"),
    why=sentence("check.gpu-driver.why", "A card without its driver is a card that is not there."),
    remedies=(INSTALL_DRIVER, UNBIND),
    states=("gpu-driver",),
)
GPU_TAKEN = Fault(
    id="gpu-taken",
    title=sentence("registry.title-5", "Somebody else holds the GPU's memory"),
    why=sentence(
        "check.vram-free.why",
        "What others hold is missing for weights and cache: the engine fails to start, or layers move to the CPU.",
    ),
    remedies=(SEE_HOLDERS, STOP_HOLDERS, SHARE_CARD),
    states=("vram-free",),
    behaviours=("other-tenant-gpu",),
)

ALL = (
    BAD_HARDWARE,
    MEMORY_ERRORS,
    ROWS_WAIT,
    HEAT_OR_POWER,
    SLOW_CLOCKS,
    POWER_CAPPED,
    NO_PERSISTENCE,
    CUT_UP,
    UNLIKE_GPUS,
    NO_DRIVER,
    GPU_TAKEN,
)
