"""What can be wrong with NUMA nodes: memory, threads and GPUs on different sockets."""

from __future__ import annotations

from wellfed.faults.fault import LIFTED, Fault, no_price
from wellfed.faults.steps import by_hand, command, plain
from wellfed.message import message, sentence
from wellfed.nouns.finding import Reach

SHOW_NODES = by_hand(
    message(
        "numa-hidden.fix",
        "BIOS: switch node (memory) interleaving off / NPS to 1 or more; kernel command line: remove numa=off.",
    ),
    Reach.FIRMWARE,
)
FILL_NODES = by_hand(
    sentence(
        "check.numa-memory.fit-dimms-socket",
        "Fit DIMMs to the socket (or quadrant) that has none; equal memory on every node.",
    ),
    Reach.HARDWARE,
)
BALANCING_OFF = command("sysctl -w kernel.numa_balancing=0")
MOVE_GPUS = by_hand(
    message(
        "gpu-socket.move",
        "Move GPUs to slots of the other socket (the board's manual tells which slots belong to which CPU).",
    ),
    Reach.HARDWARE,
)
BIND = command("numactl --cpunodebind=0 --membind=0 COMMAND")
BOUND_BY_RUN = plain(
    sentence(
        "watch.numa-remote.fix-let-wellfed-run",
        "# or let `wellfed run` bind it; pages move with: migratepages PID all 0",
    )
)
INTERLEAVE = command("numactl --interleave=all COMMAND")
ONE_SOCKET = plain(
    sentence(
        "watch.numa-remote.one-socket-both",
        "# or one socket for both, or llama.cpp's --numa distribute with a cold page cache (first touch spreads them);",
    )
)
DROP_CACHE = plain(
    sentence(
        "watch.numa-remote.pages-page-cache",
        "# pages that are in the page cache already stay where they are: echo 1 | sudo tee /proc/sys/vm/drop_caches",
    )
)
RECLAIM_OFF = command("sysctl -w vm.zone_reclaim_mode=0")

MEMORY_FAR = Fault(
    id="memory-far",
    title=sentence("registry.title-11", "Threads and their memory are on different sockets"),
    why=sentence(
        "fault.memory-far.why",
        "Weights that lie on the other socket are read through the link between the sockets, which is slower than "
        "memory and shared by all threads.",
    ),
    remedies=(BIND, BOUND_BY_RUN, INTERLEAVE, ONE_SOCKET, DROP_CACHE),
    behaviours=("numa-remote",),
    price=LIFTED,
)
NODES_HIDDEN = Fault(
    id="nodes-hidden",
    title=sentence("fault.nodes-hidden", "The system does not see which memory belongs to which socket"),
    why=sentence(
        "check.numa-hidden.why",
        "With node interleaving on (or numa=off) half of all reads go to the other socket, and "
        "neither binding nor a copy of the weights per socket can help.",
    ),
    remedies=(SHOW_NODES,),
    states=("numa-hidden",),
    behaviours=("numa-remote",),
)
NODE_WITHOUT_MEMORY = Fault(
    id="node-without-memory",
    title=sentence("fault.node-without-memory", "A NUMA node with CPUs lacks memory"),
    why=sentence(
        "check.numa-memory.why", "Threads on a node without memory read all weights over the link to another one."
    ),
    remedies=(FILL_NODES,),
    states=("numa-memory",),
    behaviours=("numa-remote",),
    price=no_price(
        message("numa-memory.no-price", "which pages the kernel puts where, when a node runs short, is not told")
    ),
)
PAGES_MOVED = Fault(
    id="pages-moved",
    title=sentence("fault.pages-moved", "The kernel moves pages between nodes on its own"),
    why=sentence(
        "check.numa-balancing.why",
        "Engines bind threads and memory themselves. Balancing samples by unmapping pages: each "
        "sample is a page fault in the middle of a matrix product, and moved pages are moved "
        "again.",
    ),
    remedies=(BALANCING_OFF,),
    states=("numa-balancing",),
    behaviours=("numa-remote",),
    price=no_price(
        message("numa-balancing.no-price", "no published measurement tells what the sampling costs an engine")
    ),
)
GPUS_ON_ONE_SOCKET = Fault(
    id="gpus-on-one-socket",
    title=sentence("fault.gpus-on-one-socket", "The GPUs are not shared out between the sockets"),
    why=sentence(
        "check.gpu-socket.why",
        "A GPU on the other socket reads weights and experts from RAM through the link between "
        "the sockets, which is slower than memory and shared.",
    ),
    remedies=(MOVE_GPUS,),
    states=("gpu-socket",),
    behaviours=("numa-remote",),
    price=no_price(
        message("gpu-socket.no-price", "published copies across sockets go from a third of the rate to all of it")
    ),
)
CACHE_DROPPED = Fault(
    id="cache-dropped",
    title=sentence("fault.cache-dropped", "A full node drops its page cache while another one has room"),
    why=sentence(
        "check.zone-reclaim.why",
        "A memory-mapped model larger than one node is read from disk again and again while the other node is empty.",
    ),
    remedies=(RECLAIM_OFF,),
    states=("zone-reclaim",),
    behaviours=("paging",),
    price=no_price(
        message(
            "zone-reclaim.no-price", "how often pages are given up and read again depends on what else fills the nodes"
        )
    ),
)

ALL = (
    MEMORY_FAR,
    NODES_HIDDEN,
    NODE_WITHOUT_MEMORY,
    PAGES_MOVED,
    GPUS_ON_ONE_SOCKET,
    CACHE_DROPPED,
)
