"""The numbers that a replica's speed depends on: bytes, FLOPs and counts per GPU. No calibration here."""

from __future__ import annotations

from wellfed.frozen import dataclass


@dataclass(frozen=True, slots=True)
class Shape:
    """One replica: `ranks` GPUs per pipeline stage, `groups` of them with attention of their own.

    Bytes and FLOPs are those of one rank for all layers of the model; FLOPs are per token of the whole replica. The
    fields may also be arrays of many replicas: `step` and `load` are arithmetic that holds for both.
    """

    ranks: float
    stages: float
    groups: float
    # weights a rank reads per pass; routed experts: all it holds
    attention_bytes: float
    dense_bytes: float
    shared_bytes: float
    routed_bytes: float
    head_bytes: float
    # per token
    attention_flops: float
    dense_flops: float
    shared_flops: float
    routed_flops: float
    head_flops: float
    # peak rates for each part's format, FLOP/s, and memory bandwidth, bytes/s
    attention_peak: float
    dense_peak: float
    shared_peak: float
    routed_peak: float
    head_peak: float
    score_peak: float
    bandwidth: float
    # routed experts
    expert_share: float  # of the experts that one token chooses
    expert_ranks: float  # ranks that hold different experts
    expert_width: float  # columns of one expert that a rank multiplies by
    # attention over the cache
    cache_bytes: float  # read by one rank of the group per decode step and sequence
    score_flops: float  # by one rank, averaged over groups, per decode step and sequence of the replica
    prompt_score_flops: float  # the same for a whole prompt
    # fixed costs and communication of a pass
    kernels: float
    reduces: float  # all-reduces per pass
    exchanges: float  # expert dispatches and combines per pass
    reduce_bytes: float  # sent by a rank per token of the replica, all-reduces
    exchange_bytes: float  # the same, dispatch and combine
    link_bandwidth: float  # one direction, bytes/s
    link_factor: float  # latency of this kind of link, NVLink = 1
    link_direct: float  # 1: NVLink and its kin, 0: over PCIe or a network
    hops: float  # log2 of the ranks
    # load of one replica
    clients: float
    prompt: float
    output: float
    chunk: float  # prompt tokens that a pass takes at most
    slots: float  # sequences that may run, by memory and by the engine's limit
    start_slots: float  # the same while they hold no more than their prompts, where the engine lets them in on that
    interval: float  # passes between two looks for new requests
    mixed: float  # 1: prompts share passes with decodes, 0: they get their own
    drafts: float  # tokens a sequence brings to a decode pass: 1, or more with speculative decoding
    gain: float  # tokens it takes away from one, on average
    context_bytes: float  # KV cache of one prompt, all ranks of a group: what disaggregation moves
    draft_share: float  # what drafting costs, as a share of a pass over the active weights
    requests: float  # sent in all; infinity: the start does not count
    inverse: float  # mean of 1 / length of the answers
    spread: float  # of the lengths: 0 alike, 1 evenly between nothing and twice the mean
    # the host
    rounds: float  # host work of a pass against that of one rank's without drafts
    pace: float  # of its cores against the reference core, threads that wait for a core included
    overlapped: float  # 1: the next step is prepared while the GPU works
    launches: float  # kernels of a decode pass that no graph replays
    prompt_launches: float  # the same of a pass with prompts
    tower_flops: float = 0.0  # by one rank, for a prompt's pictures
    collected: float = 0.0  # passes that a prompt waits for others to share its pass with
    in_step: float = 0.0  # 1: answers of one length keep requests together that came together
