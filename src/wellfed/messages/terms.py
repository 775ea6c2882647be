"""Names that values carry (what limits a step, its parts, traits, states), in the language of whoever reads them."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache

from wellfed.message import Message, message
from wellfed.messages.words import words

_NAMES = (
    message("limit.memory-bandwidth", "memory bandwidth"),
    message("term.compute", "compute"),
    message("limit.latency", "latency"),
    message("limit.launches", "launches"),
    message("limit.launch-latency", "launch latency"),
    message("limit.host", "host"),
    message("limit.link", "link"),
    message("limit.link-bandwidth", "link bandwidth"),
    message("limit.link-latency", "link latency"),
    message("limit.communication", "communication"),
    message("limit.prefill-workers", "prefill workers"),
    message("limit.cache-handed-over", "cache handed over"),
    message("limit.network", "network"),
    message("limit.queue", "queue"),
    message("limit.batching", "batching"),
    message("limit.disk", "disk"),
    message("term.weights", "weights"),
    message("term.kv", "kv"),
    message("term.output", "output"),
    message("term.activations", "activations"),
    message("term.graphs", "cuda graphs"),
    message("term.context", "engine context"),
    message("term.processes", "engine processes"),
    message("term.engine", "engine"),
    message("term.system", "system"),
    message("term.kept", "kept free"),
    message("term.copies", "weight copies"),
    message("term.attention", "attention"),
    message("term.adapters", "adapters"),
    message("term.kv-offload", "kv offload"),
    message("term.one-buffer", "one buffer too large"),
    message("term.experts-from-disk", "experts from disk"),
    message("term.cache", "cache"),
    message("term.experts", "experts"),
    message("term.shared-experts", "shared experts"),
    message("term.head", "head"),
    message("term.gpu-to-gpu", "GPU to GPU"),
    message("term.activations-and-logits", "activations and logits"),
    message("term.attention-projections", "attention projections"),
    message("term.attention-weights", "attention weights"),
    message("term.barriers", "barriers"),
    message("term.buffers", "buffers"),
    message("term.cache-expansion", "cache expansion"),
    message("term.checkpoints", "checkpoints"),
    message("term.compile", "compile"),
    message("term.copy", "copy"),
    message("term.dense-ffn", "dense ffn"),
    message("term.draft-compute", "draft compute"),
    message("term.draft-kv", "draft kv"),
    message("term.draft-weights", "draft weights"),
    message("term.drafting", "drafting"),
    message("term.picture-tower", "picture tower"),
    message("term.pictures", "pictures"),
    message("term.engine-start", "engine start"),
    message("term.exchange", "exchange"),
    message("term.fragments", "fragments"),
    message("term.unpacked-weights", "unpacked weights"),
    message("term.reference", "reference"),
    message("term.gradients", "gradients"),
    message("term.graph-capture", "graph capture"),
    message("term.handovers", "handovers"),
    message("term.kernel-launches", "kernel launches"),
    message("term.kv-cache", "kv cache"),
    message("term.kv-cache-and-scores", "kv cache and scores"),
    message("term.launches-by-the-host", "launches by the host"),
    message("term.launching", "launching"),
    message("term.optimizer-state", "optimizer state"),
    message("term.output-head", "output head"),
    message("term.page-cache", "page cache"),
    message("term.read", "read"),
    message("term.recurrent-state", "recurrent state"),
    message("term.repack", "repack"),
    message("term.request-handling", "request handling"),
    message("term.routed-experts", "routed experts"),
    message("term.scheduler", "scheduler"),
    message("term.tensors", "tensors"),
    message("term.tokenising-and-loading", "tokenising and loading"),
    message("term.update", "update"),
    message("term.update-on-the-cpu", "update on the CPU"),
    message("term.weights-over-pcie", "weights over PCIe"),
    message("term.ram", "ram"),
    message("term.tower-compute", "tower compute"),
    message("term.prompt-cache-at-most", "prompt cache (at most)"),
    message("term.unified-memory", "unified memory"),
    message("term.other-prompts", "other prompts"),
    message("term.prompts-of-others", "prompts of others"),
    message("term.queue-for-a-slot", "queue for a slot"),
    message("term.queue-for-a-worker", "queue for a worker"),
    message("term.wait-for-a-pass", "wait for a pass"),
    message("term.row-split", "row split"),
    message("term.running-sequences", "running sequences"),
    message("term.offload-over-pcie", "offload over PCIe"),
    message("term.optimizer-step", "optimizer step"),
    message("term.matrix-units", "matrix units"),
    message("term.links-between-gpus", "links between GPUs"),
    message("term.gpu-links", "GPU links"),
    message("term.host-cpu", "host CPU"),
    message("term.host-link", "host link"),
    message("term.thread-synchronisation", "thread synchronisation"),
    message("term.loading-workers", "loading workers"),
    message("term.one-thread", "one thread"),
    message("term.the-disk", "the disk"),
    message("term.logits", "logits"),
    message("term.the-server-s-slots", "the server's slots"),
    message("term.memory-for-the-kv-cache", "memory for the KV cache"),
    message("term.the-engine-s-limit-of-running-sequences", "the engine's limit of running sequences"),
    message("term.gpu-memory-bandwidth", "GPU memory bandwidth"),
    message("term.dram-bandwidth", "DRAM bandwidth"),
    message("term.gpu-compute", "GPU compute"),
    message("term.pcie-link", "PCIe link"),
    message("term.cpu-clock", "CPU clock"),
    message("term.starting", "starting"),
    message("term.loading", "loading"),
    message("term.serving", "serving"),
    message("term.stopping", "stopping"),
    message("term.ended", "ended"),
    message("term.lost", "lost"),
    message("term.memory", "memory"),
    message("term.gpus", "gpus"),
    message("term.sockets", "sockets"),
    message("term.numa-nodes", "numa nodes"),
    message("term.cpu", "cpu"),
    message("term.cores", "cores"),
    message("term.threads", "threads"),
    message("term.memory-channels", "memory channels"),
    message("term.memory-speed", "memory speed"),
    message("term.gpu", "gpu"),
    message("term.numa-node", "numa node"),
    message("term.power-limit", "power limit"),
    message("term.driver", "driver"),
    message("term.firmware", "firmware"),
    message("term.gpu-links-2", "gpu links"),
    message("term.kind", "kind"),
    message("term.rate", "rate"),
    message("term.image", "image"),
    message("term.video", "video"),
    message("term.diffusion", "diffusion"),
    message("term.3d", "3D"),
    message("term.forecasting", "forecasting"),
    message("term.proteins", "proteins"),
    message("kind.unknown", "unknown"),
    message("kind.unsupported", "unsupported"),
    message("kind.bad-input", "bad-input"),
    message("kind.not-a-language-model", "not-a-language-model"),
    message("term.ocr", "ocr"),
    message("term.up", "up"),
    message("term.kernel", "kernel"),
    message("term.nvidia-driver", "NVIDIA driver"),
    message("term.governor", "governor"),
    message("term.boost", "boost"),
    message("term.numa-balancing", "NUMA balancing"),
    message("term.transparent-huge-pages", "transparent huge pages"),
    message("term.huge-pages", "huge pages"),
    message("term.offline-cpus", "offline CPUs"),
    message("term.isolated-cpus", "isolated CPUs"),
    message("term.time-to-first-token", "time to first token"),
    message("term.resident-memory", "resident memory"),
    message("term.frequency-governor", "frequency governor"),
    message("term.boost-is-off", "boost is off"),
    message("term.clock-below-the-part-s-boost-clock", "clock below the part's boost clock"),
    message("term.cpu-quota", "CPU quota"),
    message("term.cpus-this-process-may-use", "CPUs this process may use"),
    message("term.missing-channels", "missing channels"),
    message("term.text-generation", "text generation"),
    message("term.speech-synthesis", "speech synthesis"),
    message("term.speech-recognition", "speech recognition"),
    message("term.video-generation", "video generation"),
    message("term.image-generation", "image generation"),
    message("term.matching-pictures-and-words", "matching pictures and words"),
    message("term.sound-synthesis", "sound synthesis"),
    message("term.picture-classification", "picture classification"),
    message("term.picture-synthesis", "picture synthesis"),
    message("term.music-and-sound", "music and sound"),
    message("term.detection-and-segmentation", "detection and segmentation"),
    message("term.image-classification-and-embedding", "image classification and embedding"),
    message("term.robot-action", "robot action"),
    message("term.world-model", "world model"),
    message("term.host-to-device", "host to device"),
    message("term.device-to-host", "device to host"),
    message("term.device-to-device", "device to device"),
    message("term.data-sheet", "the data sheet's"),
    message("term.prefill", "prefill"),
    message("term.decode", "decode"),
    message("term.streamed", "experts from disk"),
    message("term.path", "path"),
    message("term.exact", "exact"),
    message("term.loose", "loose"),
    message("term.sizes", "sizes"),
    message("term.hub", "hub"),
    message("term.text", "text"),
    message("term.vision-language", "vision-language"),
    message("term.omni", "omni"),
    message("term.embedding", "embedding"),
    message("term.reranker", "reranker"),
)


@cache
def _by_name() -> Mapping[str, Message]:
    """The messages by the English names that values carry."""
    return {name.template: name for name in _NAMES}


@cache
def _values() -> Mapping[str, Message]:
    """Settings and states that checks measure, by the words that they are kept in."""
    states = (
        message("value.none", "none"),
        message("value.on", "on"),
        message("value.off", "off"),
        message("value.pending", "pending"),
        message("value.unlimited", "unlimited"),
        message("value.without", "without"),
        message("value.all", "all"),
        message("value.completed", "completed"),
    )
    return {state.template: state for state in states}


def value_words(value: str) -> str:
    """A measured or wanted value in words; figures and names stay as they are."""
    return words(_values().get(value, value))


@cache
def _verdicts() -> Mapping[str, Message]:
    verdicts = (
        message("verdict.fail", "FAIL"),
        message("verdict.warn", "WARN"),
        message("verdict.pass", "pass"),
        message("verdict.skip", "skip"),
        message("verdict.unknown", "unknown"),
    )
    return {verdict.id.removeprefix("verdict."): verdict for verdict in verdicts}


def verdict_words(verdict: str) -> str:
    """A check's verdict as the word that stands before it; programs read `pass`, `warn`, `fail`, `skip`, `unknown`."""
    return words(_verdicts()[verdict])


def term(name: str) -> Message | str:
    """The message of a name; one that is not known here stays as it is."""
    return _by_name().get(name, name)


def term_words(name: str) -> str:
    """A name in words."""
    return words(term(name))


def limit_words(limited_by: str) -> str:
    """What limits, in words: of a step, computing is a limit, not a part of it."""
    if limited_by == "compute":
        return words(message("limit.compute", "compute"))
    return term_words(limited_by)
