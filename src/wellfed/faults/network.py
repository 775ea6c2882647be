"""What can be wrong between machines: network cards and where they sit."""

from __future__ import annotations

from wellfed.faults.fault import Fault, no_price
from wellfed.faults.steps import by_hand
from wellfed.message import message, sentence
from wellfed.nouns.finding import Reach

MOVE_NIC = by_hand(
    message("nic-link.move", "Move the card to a slot with all its lanes and generation; see the board's manual."),
    Reach.HARDWARE,
)
ADD_NIC = by_hand(message("nic-link.add", "Add a network card."), Reach.HARDWARE)
NIC_FOR_SOCKET = by_hand(
    message(
        "nic-locality.move",
        "Move a network card to a slot of the socket that has none; or give each socket's ranks its own (NCCL_IB_HCA).",
    ),
    Reach.HARDWARE,
)
NIC_BESIDE_GPU = by_hand(
    message(
        "nic-per-gpu.fix",
        "Move network cards so that each shares a switch with a GPU; the chassis manual shows the slots.",
    ),
    Reach.HARDWARE,
)

NARROW_NIC = Fault(
    id="narrow-nic",
    title=sentence("fault.narrow-nic", "A network card's link, or the network, is too slow"),
    why=sentence(
        "check.nic-link.why",
        "Between machines the slowest part is the network; a card in the wrong slot makes it slower still.",
    ),
    remedies=(MOVE_NIC, ADD_NIC),
    states=("nic-link",),
)
NIC_FAR = Fault(
    id="nic-far",
    title=sentence("fault.nic-far", "GPUs of a socket have no network card beside them"),
    why=sentence(
        "check.nic-locality.why",
        "Ranks on the socket without a card send every all-reduce through the link between the sockets first.",
    ),
    remedies=(NIC_FOR_SOCKET,),
    states=("nic-locality",),
)
NIC_IN_WRONG_SLOT = Fault(
    id="nic-in-wrong-slot",
    title=sentence("fault.nic-in-wrong-slot", "A GPU reaches its network card only through the root complex"),
    why=sentence(
        "check.nic-per-gpu.why",
        "Machines with a network card per GPU are built so that each pair shares a switch: data "
        "goes from GPU to card without the CPU. A card in the wrong slot sends it through the "
        "root complex.",
    ),
    remedies=(NIC_BESIDE_GPU,),
    states=("nic-per-gpu",),
    price=no_price(
        message(
            "nic-per-gpu.no-price",
            "what the way through the root complex or RAM to a network card costs is not published",
        )
    ),
)

ALL = (NARROW_NIC, NIC_FAR, NIC_IN_WRONG_SLOT)
