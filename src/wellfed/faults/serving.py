"""What can be wrong with an engine and the load on it: seen only while it runs."""

from __future__ import annotations

from wellfed.faults.fault import LIFTED, AtWork, Fault
from wellfed.faults.steps import command, plain
from wellfed.message import sentence

READ_LOGS = plain(
    sentence(
        "watch.gone.fix-wellfed-logs-name",
        "# `wellfed logs NAME` tells what it said last; `dmesg` whether the kernel killed it.",
    )
)
CONTINUE = command("kill -CONT {pid}")
RESTART = plain(
    sentence(
        "watch.unresponsive.fix-restart-before-py",
        "# Restart it; before that, `py-spy dump` or gdb tells where its threads wait.",
    )
)
RIGHT_ADDRESS = plain(
    sentence(
        "watch.unresponsive.address-right-engine",
        "# Is the address right, and has the engine been started? `wellfed ps`; `ss -ltnp` shows who listens.",
    )
)
MORE_SEQUENCES = plain(
    sentence(
        "watch.queueing.fix-more-sequences-once",
        "# More sequences at once (llama.cpp --parallel, vLLM --max-num-seqs), where memory allows (`wellfed plan`);",
    )
)
SECOND_COPY = plain(
    sentence("watch.queueing.fix-second-copy-engine", "# or a second copy of the engine, or fewer clients.")
)
MORE_ROOM = plain(
    sentence(
        "watch.kv-pressure.fix-more-room-gpu",
        "# More room: --gpu-memory-utilization, an 8-bit KV cache, a smaller quantisation, tensor parallelism;",
    )
)
LESS_NEED = plain(sentence("watch.kv-pressure.fix-less-need-max", "# or less need: --max-model-len, --max-num-seqs."))
LARGER_CONTEXT = plain(
    sentence(
        "watch.context-full.fix-larger-ctx-size",
        "# A larger --ctx-size (it is shared by all slots of llama.cpp), fewer slots, or shorter histories.",
    )
)
LOOK_AT_CLIENT = plain(
    sentence(
        "watch.slow-client.fix-look-client-proxy",
        "# Look at the client, a proxy that buffers, or the network; the engine is not slow.",
    )
)
MORE_API = plain(
    sentence(
        "watch.tokeniser-bound.fix-more-api-processes",
        "# More API processes (vLLM --api-server-count), several tokenizer workers, shorter prompts, streaming off.",
    )
)

ENDED = Fault(
    id="engine-ended",
    title=sentence("watch.gone.title", "The engine has ended"),
    why=sentence(
        "fault.engine-ended.why",
        "Nothing is served until it is started again, and what ended it (memory, a driver's fault) may end it again.",
    ),
    remedies=(READ_LOGS,),
    behaviours=("gone",),
    price=LIFTED,
    at_work=AtWork.NOTHING,
)
STOPPED = Fault(
    id="engine-stopped",
    title=sentence("watch.stopped.title", "The engine is stopped (SIGSTOP, job control, debugger, frozen)"),
    why=sentence("fault.engine-stopped.why", "A stopped process holds its memory and its port, and answers nobody."),
    remedies=(CONTINUE,),
    behaviours=("stopped",),
    price=LIFTED,
    at_work=AtWork.NOTHING,
)
STUCK = Fault(
    id="engine-stuck",
    title=sentence("watch.unresponsive.title", "The engine does not answer and does not work"),
    why=sentence(
        "fault.engine-stuck.why",
        "An engine that hangs looks as if it ran: its process is there, its memory held, and requests wait for ever.",
    ),
    remedies=(RESTART, RIGHT_ADDRESS),
    behaviours=("unresponsive",),
    price=LIFTED,
    at_work=AtWork.NOTHING,
)
OVERLOADED = Fault(
    id="overloaded",
    title=sentence("watch.queueing.title", "Offered load above capacity: requests queue"),
    why=sentence(
        "fault.overloaded.why",
        "Those that wait add to every user's time to the first token, and a queue that grows never ends.",
    ),
    remedies=(MORE_SEQUENCES, SECOND_COPY),
    behaviours=("queueing",),
    price=LIFTED,
)
CACHE_SHORT = Fault(
    id="cache-short",
    title=sentence("watch.kv-pressure.title", "KV cache under pressure"),
    why=sentence(
        "fault.cache-short.why",
        "A sequence that is preempted is computed again from its first token, or waits until others are done.",
    ),
    remedies=(MORE_ROOM, LESS_NEED),
    behaviours=("kv-pressure",),
    price=LIFTED,
)
CONTEXT_FULL = Fault(
    id="context-full",
    title=sentence("watch.context-full.title", "Context nearly full"),
    why=sentence(
        "fault.context-full.why", "At the end of its context an answer is cut off, or its beginning is forgotten."
    ),
    remedies=(LARGER_CONTEXT,),
    behaviours=("context-full",),
    price=LIFTED,
    at_work=AtWork.AS_BEFORE,
)
SLOW_CLIENT = Fault(
    id="slow-client",
    title=sentence("watch.slow-client.title", "A client does not read its answers"),
    why=sentence(
        "fault.slow-client.why", "To the user it looks like a slow engine, and no change to the engine helps."
    ),
    remedies=(LOOK_AT_CLIENT,),
    behaviours=("slow-client",),
    price=LIFTED,
    at_work=AtWork.AS_BEFORE,
)
API_BOUND = Fault(
    id="api-bound",
    title=sentence("watch.tokeniser-bound.title", "Tokenisation or API server is the bottleneck"),
    why=sentence(
        "fault.api-bound.why",
        "One Python thread reads, tokenises and writes for all users; the GPU waits while it is busy.",
    ),
    remedies=(MORE_API,),
    behaviours=("tokeniser-bound",),
    price=LIFTED,
)

ALL = (ENDED, STOPPED, STUCK, OVERLOADED, CACHE_SHORT, CONTEXT_FULL, SLOW_CLIENT, API_BOUND)
