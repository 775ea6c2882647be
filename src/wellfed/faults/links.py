"""What can be wrong on the ways between GPUs, the host and each other."""

from __future__ import annotations

from wellfed.faults.fault import LIFTED, Fault, no_price
from wellfed.faults.steps import by_hand, command, look, plain
from wellfed.message import message, sentence
from wellfed.nouns.finding import Reach

CROSS_LESS = plain(
    sentence(
        "watch.pcie-bound.fix-fewer-layers-experts",
        "# Fewer layers or experts on the CPU, or compute them there; pipeline instead of tensor parallelism;",
    )
)
LOOK_AT_LINKS = plain(
    sentence(
        "watch.pcie-bound.fix-wellfed-check-load",
        "# `wellfed check --load` tells whether the link itself is narrower than the slot.",
    )
)
RESEAT_CARD = by_hand(
    message(
        "pcie-width.reseat",
        "Power off, clean and reseat the card and its riser; then the slot's bifurcation setting in the BIOS.",
    ),
    Reach.HARDWARE,
)
MOVE_TO_LANES = by_hand(
    message(
        "pcie-width.move",
        "Move the card to a slot with all lanes wired (the board's manual lists them), or undo the bifurcation.",
    ),
    Reach.HARDWARE,
)
LINK_SPEED = by_hand(
    message(
        "pcie-speed.bios",
        "BIOS: set the slot's PCIe link speed to Auto or its highest generation; try without riser or extension cable.",
    ),
    Reach.FIRMWARE,
)
MOVE_TO_CPU = by_hand(
    message(
        "pcie-chipset.move",
        "Move the card to a slot wired to the CPU (usually the one nearest to it; the board's manual tells).",
    ),
    Reach.HARDWARE,
)
SPREAD = by_hand(
    message(
        "pcie-shared-uplink.spread",
        "For more: move one of the cards to a slot on another root port. Otherwise keep traffic inside the switch.",
    ),
    Reach.HARDWARE,
)
RESEAT_CABLE = by_hand(
    message(
        "pcie-replay.reseat",
        "Reseat card and riser, shorten or replace the cable; a lower generation in the BIOS is a stopgap.",
    ),
    Reach.HARDWARE,
)
SEE_PEERS = look("nvidia-smi topo -p2p r")
OPEN_PEERS = by_hand(
    message(
        "gpu-p2p.fix",
        "IOMMU in passthrough (iommu=pt), ACS off, Resizable BAR on, GPUs below one root complex, no NCCL_P2P_DISABLE; "
        "or split by layers instead of tensors.",
    )
)
ACS_OFF = command("setpci -s {address} ECAP_ACS+6.w=0000")
ACS_FOR_GOOD = by_hand(
    sentence(
        "check.acs.switch-acs-off",
        "Or switch ACS off in the BIOS for good. Leave it on where cards are passed through to virtual machines.",
    )
)
WHOLE_BAR = by_hand(
    message(
        "gpu-bar1.fix", "BIOS: Above 4G Decoding on, Resizable BAR on, CSM off. Some cards need a VBIOS update first."
    ),
    Reach.FIRMWARE,
)
SEE_NVLINK = look("nvidia-smi nvlink --status")
RESET_NVLINK = by_hand(
    message(
        "nvlink.fix", "Reset the GPUs; NVSwitch machines: restart the fabric manager; bridges: reseat. Again: replace."
    )
)
START_FABRIC = command("systemctl enable --now nvidia-fabricmanager")
FABRIC_VERSION = by_hand(
    sentence("check.fabric-manager.version-must-exactly", "Its version must be exactly the driver's.")
)

PCIE_TRAFFIC = Fault(
    id="pcie-traffic",
    title=sentence("fault.pcie-traffic", "More data crosses PCIe than the link carries"),
    why=sentence(
        "fault.pcie-traffic.why",
        "Weights or experts in RAM are read over PCIe on every step, and so are the exchanges of GPUs without NVLink: "
        "the GPU waits for them, however sound the link is.",
    ),
    remedies=(CROSS_LESS, LOOK_AT_LINKS),
    behaviours=("pcie-bound",),
    price=LIFTED,
)
NARROW_LINK = Fault(
    id="narrow-link",
    title=sentence("registry.title", "The GPU's way to the host carries less than it should"),
    why=sentence(
        "check.pcie-width.why",
        "A card on 4 of 16 lanes loads a model four times slower, and tensor parallelism or "
        "experts streamed from RAM wait for the same lanes on every step.",
    ),
    remedies=(RESEAT_CARD, MOVE_TO_LANES),
    states=("pcie-width",),
    behaviours=("pcie-bound",),
)
SLOW_LINK = Fault(
    id="slow-link",
    title=sentence("fault.slow-link", "A link on the GPU's way runs below its generation"),
    why=sentence(
        "check.pcie-speed.why",
        "Each generation doubles the rate. A bad riser or a BIOS setting drops it silently, and "
        "copies take as much longer.",
    ),
    remedies=(LINK_SPEED,),
    states=("pcie-speed",),
    behaviours=("pcie-bound",),
)
BEHIND_CHIPSET = Fault(
    id="behind-chipset",
    title=sentence("fault.behind-chipset", "A GPU hangs behind the chipset"),
    why=sentence(
        "check.pcie-chipset.why",
        "A chipset slot has few lanes, and all of them go through one narrow uplink that disks "
        "and network use too; each copy takes a longer way.",
    ),
    remedies=(MOVE_TO_CPU,),
    states=("pcie-chipset",),
    behaviours=("pcie-bound",),
)
SHARED_UPLINK = Fault(
    id="shared-uplink",
    title=sentence("fault.shared-uplink", "Several GPUs share one link to the host"),
    why=sentence(
        "check.pcie-shared-uplink.why",
        "Two GPUs below one switch load weights and exchange data with RAM through one link, at "
        "half its rate each. Between themselves the switch is faster than two root ports.",
    ),
    remedies=(SPREAD,),
    states=("pcie-shared-uplink",),
    behaviours=("pcie-bound",),
)
REPEATED_PACKETS = Fault(
    id="repeated-packets",
    title=sentence("fault.repeated-packets", "A PCIe link repeats packets"),
    why=sentence(
        "check.pcie-replay.why",
        "Each damaged packet is sent again: bandwidth goes, latency jumps, and a link on the "
        "edge drops a generation or falls off the bus in the middle of the night.",
    ),
    remedies=(RESEAT_CABLE,),
    states=("pcie-replay",),
    behaviours=("gpu-errors",),
    price=no_price(
        message("pcie-replay.no-price", "how often packets are repeated at work is not told by a count since boot")
    ),
    hardware=True,
)
NO_PEER_ACCESS = Fault(
    id="no-peer-access",
    title=sentence("fault.no-peer-access", "GPUs without NVLink reach each other only through RAM"),
    why=sentence(
        "check.gpu-p2p.why",
        "Without peer access every all-reduce is copied to RAM and out again: half the "
        "bandwidth, several times the latency, and the CPU's memory is in it.",
    ),
    remedies=(SEE_PEERS, OPEN_PEERS),
    states=("gpu-p2p",),
)
ACS_REDIRECTS = Fault(
    id="acs-redirects",
    title=sentence("fault.acs-redirects", "PCIe access control sends peer traffic up to the CPU"),
    why=sentence(
        "check.acs.why",
        "Below one switch GPUs can copy to each other without the CPU. With ACS redirection "
        "every packet goes up to the root complex and down again, at a fraction of the rate, or "
        "not at all.",
    ),
    remedies=(ACS_OFF, ACS_FOR_GOOD),
    states=("acs",),
)
BAR_WINDOW = Fault(
    id="bar-window",
    title=sentence("fault.bar-window", "Only a window of a GPU's memory is on the bus"),
    why=sentence(
        "check.gpu-bar1.why",
        "Peer-to-peer over PCIe maps the other card's memory through its BAR. A 256 MiB window "
        "sends every all-reduce through RAM, twice.",
    ),
    remedies=(WHOLE_BAR,),
    states=("gpu-bar1",),
)
LINKS_DOWN = Fault(
    id="links-down",
    title=sentence("fault.links-down", "Links between GPUs are down"),
    why=sentence(
        "check.nvlink.why",
        "Each layer of a tensor-parallel model ends in an all-reduce; over PCIe it takes ten times as long.",
    ),
    remedies=(SEE_NVLINK, RESET_NVLINK),
    states=("nvlink",),
)
FABRIC_NOT_READY = Fault(
    id="fabric-not-ready",
    title=sentence("fault.fabric-not-ready", "The NVSwitch fabric is not configured"),
    why=sentence(
        "check.fabric-manager.why",
        "On HGX machines the GPUs cannot even start alone: a service programs the switches first.",
    ),
    remedies=(START_FABRIC, FABRIC_VERSION),
    states=("fabric-manager",),
)

ALL = (
    PCIE_TRAFFIC,
    NARROW_LINK,
    SLOW_LINK,
    BEHIND_CHIPSET,
    SHARED_UPLINK,
    REPEATED_PACKETS,
    NO_PEER_ACCESS,
    ACS_REDIRECTS,
    BAR_WINDOW,
    LINKS_DOWN,
    FABRIC_NOT_READY,
)
