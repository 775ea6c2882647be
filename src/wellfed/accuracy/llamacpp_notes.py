"""What the text columns of a row say of a run of llama.cpp on GPUs: back end, test, switches, link."""

from __future__ import annotations

import re

from wellfed.accuracy.case import Row
from wellfed.accuracy.hybrid_notes import note, number_note
from wellfed.frozen import dataclass
from wellfed.hardware.pcie import PcieLink
from wellfed.nouns.estimate import Estimate, Quantity
from wellfed.nouns.layout import BackEnd

SHORT_PROMPT = 32  # "short": a question of one line
_SHORT_ANSWER, _ANSWER = 512, 128
_BACK_ENDS = (
    (BackEnd.VULKAN, r"vulkan|\bradv\b|coopmat"),
    (BackEnd.SYCL, r"\bsycl\b|ipex|oneapi"),
    (BackEnd.ROCM, r"\brocm\b|\bhip\w*"),
    (BackEnd.METAL, r"\bmetal\b"),
    (BackEnd.CUDA, r"\bcuda\b"),
    (BackEnd.CANN, r"\bcann\b"),
)
_DECEMBER_2023 = "b1600"


@dataclass(frozen=True, slots=True)
class Timed:
    """What was timed: `prompt` tokens behind `depth` cached ones, then `output` tokens."""

    prompt: int
    output: int
    depth: int = 0
    whole_request: bool = False  # the rate of answers is output over the whole request's time


def back_end(row: Row) -> BackEnd | None:
    """The first back end that the notes, the version, the file's name or the placement tells; None where none does.

    Several words may be there: collectors write CUDA where llama-bench says so of its HIP build.
    """
    texts = (row.text("notes"), row.text("engine_version"), row.text("ngl_or_offload"), row.text("source"))
    for text in texts:
        for chosen, words in _BACK_ENDS:
            if re.search(words, text, re.IGNORECASE):
                return chosen
    return None


def timed(row: Row) -> Timed:
    """The test of a row: `512 @ depth 4096`, `depth 16384`, `short`, or plain counts."""
    prompt_cell, output_cell = row.text("prompt_len"), row.text("gen_len")
    depth = max((int(text) for text in re.findall(r"depth (\d+)", f"{prompt_cell} {output_cell}")), default=0)
    output = _first_number(output_cell)
    whole_request = over_the_request(row)
    if prompt_cell.startswith("depth"):
        return Timed(0, max(1, output or _ANSWER), depth)
    if prompt_cell.startswith("short"):
        return Timed(SHORT_PROMPT, output or _SHORT_ANSWER, depth, whole_request)
    return Timed(_first_number(prompt_cell) or 0, max(1, output or 0), depth, whole_request)


def over_the_request(row: Row) -> bool:
    """Whether a rate of answers is over the whole request's time, its prompt's included."""
    return bool(re.search(r"whole request|incl(?:uding|\.)? (?:the )?prompt", row.text("notes")))


def answers_rate(estimate: Estimate, output: int) -> Quantity:
    """Tokens of the answer over the whole time, its prompt's included."""
    ttft, tpot = estimate.ttft_s, estimate.tpot_s
    value, low, high = (
        output / (first_s + output * each_s)
        for first_s, each_s in ((ttft.value, tpot.value), (ttft.high, tpot.high), (ttft.low, tpot.low))
    )
    return Quantity(value, low, high)


def _first_number(cell: str) -> int | None:
    match = re.match(r"\s*(\d+)", cell)
    return int(match[1]) if match else None


def build(row: Row) -> str:
    """The number of the build (`b2824`), or what stands for the time of its table; empty where it is not old."""
    number = re.search(r"\bb(\d{4,5})\b", row.text("engine_version"))
    return number[0] if number else _DECEMBER_2023 if "Dec 2023" in row.text("source") else ""


def flash_attention(row: Row, old: bool) -> bool:
    """As told; untold, builds of today turn it on by themselves and old ones do not."""
    fa_note = note(row, "fa").lower()
    if fa_note in ("0", "off"):
        return False
    return not old or fa_note in ("1", "on") or bool(re.search(r"\bFA\b|flash", row.text("notes")))


def cache_type(row: Row) -> str:
    """llama.cpp's type of the KV cache; keys' and values' where they differ."""
    keys, values = note(row, "type_k").lower(), note(row, "type_v").lower()
    if not keys and not values:
        return "f16"
    keys, values = keys or "f16", values or keys
    return keys if keys == values else f"{keys}/{values}"


def micro_batch(row: Row) -> int:
    """Tokens of a micro-batch, as `-ub` in the row's notes says."""
    return number_note(row, "n_ubatch") or 512


def graphs(row: Row) -> bool:
    """Whether the build replays decode steps from CUDA graphs."""
    return not re.search(r"without CUDA graphs|no cuda graph", row.text("notes"), re.IGNORECASE)


def benched(row: Row) -> bool:
    """Whether `llama-bench` timed it, which neither samples nor serves: tables of tests, no server and no ollama."""
    text = f"{row.text('engine')} {row.text('notes')}".lower()
    return not re.search(r"ollama|server|llmfit|benchy|derived|streaming|full context|device gpu", text)


def split_by_rows(row: Row) -> bool:
    """`-sm row`, and the times when there was no other split."""
    return "row-split" in row.text("notes") or bool(re.search(r"-sm row\b", row.text("notes")))


def power_limit_w(row: Row) -> float | None:
    """A board held below, or told to be at, so many watts."""
    match = re.search(r"power limit (\d+) W|\b(\d{3}) W(?: limit)?\b", row.text("notes"))
    return float(match[1] or match[2]) if match else None


def told_link(row: Row) -> PcieLink | None:
    """`PCIe 4.0 x8`, `PCIe x1 riser` in the column of links; None where it tells none."""
    match = re.search(r"PCIe\s*(?:(\d)(?:\.0)?)?\s*x(\d{1,2})", row.text("interconnect"), re.IGNORECASE)
    return PcieLink(int(match[1] or 3), int(match[2])) if match else None
