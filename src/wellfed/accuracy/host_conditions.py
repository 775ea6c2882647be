"""What a condition of a pair of measurements says: parts, model and switches, from a line of prose."""

from __future__ import annotations

import re
from dataclasses import replace
from typing import Any

from wellfed.accuracy.hybrid_machine import Ram, find_cpu, parse_ram
from wellfed.accuracy.names import resolve
from wellfed.catalog.hardware import gpu as gpu_spec
from wellfed.errors import WellfedError
from wellfed.frozen import dataclass
from wellfed.hardware.parts import CpuSpec, GpuSpec
from wellfed.hardware.pcie import PcieLink
from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation
from wellfed.nouns.layout import Engine, NumaPolicy

_MODEL = re.compile(
    r"\b(?!llama\.cpp|llama-bench|llama-swap)((?:DeepSeek|Qwen|QwQ|Llama|Mixtral|Mistral|Kimi|GLM|gpt-oss|Gemma|MiniMax|Ling|deepseek-r1|llama3)[\w.:/-]*"
    r"(?: (?:Maverick|Scout|Medium|Small|Large|V3|R1|\d+(?:\.\d+)?B(?!pw)))*"
    r"(?:[ -]A\d+B)?(?: (?:UD-)?(?:I?Q\d\w*|INT[48]|FP[48]|F16|BF16|FP16|MXFP4|NVFP4|AWQ|GPTQ|AutoRound))?)",
    re.IGNORECASE,
)
_QUANT = re.compile(r"\b((?:UD-)?I?Q\d(?:_[A-Z0-9]+)+|Q4|INT[48]|FP[48]|F16|BF16|FP16|MXFP4|NVFP4|AWQ|GPTQ)\b")
_CPU = re.compile(
    r"\b((?:Xeon )?(?:Gold|Silver|Platinum) \d{4}\w*|Xeon E\d[ -]?\d{4}\s?v\d|Xeon P-?\d{4}|EPYC \w{4,5}|69\d0P|8480\+"
    r"|Ryzen (?:\d )?\d{4}\w*|\d{4}X3D|[5-9]\d[05]0X|5700X|5800X|Threadripper PRO \w+|TR (?:Pro )?\w{5,6}|7965WX"
    r"|i\d-\w{5,7}|Core Ultra \d{3}K?|Raspberry Pi (?:CM)?5|Xeon 6\d{3}|9575F|9374F|7302P|7F52)",
    re.IGNORECASE,
)
_GPU = re.compile(
    r"(?:\b(\d)\s*x\s*)?((?:RTX |GTX )?(?:PRO 6000(?: Blackwell)?(?: Server)?(?: Max-Q)?|[345]0[6789]0(?: Ti)?"
    r"|\b2080(?: Ti)?|\bA[46]000\b|A5000)|GTX 1080|R9700|A100|A6000|A800|H100|H200|L40|MI300X|MI210|4090D)\b",
    re.IGNORECASE,
)
_ENGINES = (
    (r"ktransformers|kt-kernel", Engine.KTRANSFORMERS), (r"ik_llama|iqk", Engine.IK_LLAMA_CPP),
    (r"sglang", Engine.SGLANG),
    (r"tensorrt", Engine.TENSORRT_LLM), (r"vllm|tp=\d|\bTP\d|dflash|club-3090", Engine.VLLM),
    (r"llama\.cpp|llama-bench|ollama|ngl", Engine.LLAMA_CPP),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Condition:
    """One side of a pair; None is what it does not tell."""

    model: Model | None = None
    quantisation: Quantisation | None = None
    cpu: CpuSpec | None = None
    sockets: int | None = None
    ram: Ram | None = None
    gpu: GpuSpec | None = None
    gpus: int | None = None
    watts: float | None = None
    link: PcieLink | None = None
    engine: Engine | None = None
    numa: NumaPolicy | None = None
    threads: int | None = None
    huge_pages: bool | None = None
    graphs: bool | None = None
    nvlink: bool | None = None
    peers: bool | None = None
    by_rows: bool | None = None
    experts_on_cpu: int | None = None
    ubatch: int | None = None
    users: int | None = None
    unknown: str = ""  # a model that was named and is not known


def read(text: str, before: Condition) -> Condition:
    """`before` with all that `text` says in place of its own; a model that no catalogue knows is kept by its name."""
    conditions: dict[str, Any] = {
        **_model(text), **_cpu(text), **_gpu(text), **_numa(text), **_switches(text),
        **_number(text, "watts", r"\b(\d{3}) W\b", float),
        **_number(text, "threads", r"(?:\b(\d+) threads|-t (\d+))", int),
        **_number(text, "experts_on_cpu", r"n_?-?cpu_?-?moe (\d+)", int),
        **_number(text, "ubatch", r"(?:\bub |pp)(\d{3,5})\b", int),
        **_number(text, "users", r"(?:\bconc[= ]|\bc=|@|\bN=)(\d+)|\b(\d+) (?:slots?|concurrent|requests?)\b", int),
    }  # fmt: skip
    ram = parse_ram(text)
    if ram.mt_s or ram.modules or ram.channels:
        conditions["ram"] = ram
    if link := re.search(r"(?:PCIe|Gen)\s*([1-6])(?:\.0)?\s*(?:x(16|8|4|1))?\b", text):
        conditions["link"] = PcieLink(int(link[1]), int(link[2] or 16))
    elif width := re.search(r"\bx(16|8|4|1)\b", text):
        conditions["link"] = PcieLink(before.link.generation if before.link else 4, int(width[1]))
    return replace(before, **conditions)


def _number(text: str, name: str, pattern: str, kind: type) -> dict[str, Any]:
    match = re.search(pattern, text)
    value = next((group for group in match.groups() if group), None) if match else None
    return {name: kind(value)} if value else {}


def _model(text: str) -> dict[str, Any]:
    for match in _MODEL.finditer(text):
        quant = _QUANT.search(text)
        name = re.sub(r"\bQ4$", "Q4_K_M", match[1])
        try:
            resolved = resolve(name, None, quant[1].replace("Q4", "Q4_K_M") if quant and quant[1] == "Q4" else None, "")
        except WellfedError:
            return {"model": None, "unknown": match[1]}
        return {"model": resolved.model, "unknown": ""} | (
            {"quantisation": resolved.quantisation} if resolved.quantisation else _quant(text)
        )
    return _quant(text)


def _quant(text: str) -> dict[str, Any]:
    from wellfed.models.quantisation_names import quantisation

    for match in _QUANT.finditer(text):
        try:
            return {"quantisation": quantisation("Q4_K_M" if match[1] == "Q4" else match[1])}
        except WellfedError:
            continue
    return {}


def _cpu(text: str) -> dict[str, Any]:
    sockets = re.search(r"\b(?:dual|2x|2 sockets|both sockets)\b", text, re.IGNORECASE)
    count: dict[str, Any] = {"sockets": 2} if sockets else {}
    for match in _CPU.finditer(text):
        for name in (match[1], f"Xeon {match[1]}", f"Ryzen {match[1]}", f"EPYC {match[1]}", f"Threadripper {match[1]}"):
            try:
                spec = find_cpu(name.replace("TR ", "Threadripper "))
            except WellfedError:
                continue
            return {"cpu": spec, "sockets": 2 if sockets else 1}
    if not count.get("sockets") and "cpu only" not in text.lower() and "AMX" not in text:
        return count
    if usual := next((name for word, name in _USUAL.items() if word in text), None):
        return {"cpu": find_cpu(usual), "sockets": count.get("sockets", 1)}
    return count


_USUAL = {"AMX": "Xeon Platinum 8480+", "dual-socket": "Xeon Gold 6248", "CPU only": "EPYC 7543"}


def _gpu(text: str) -> dict[str, Any]:
    match = _GPU.search(text)
    if match is None:
        return {}
    for name in (match[2], f"RTX {match[2]}"):
        try:
            spec = gpu_spec(name)
        except WellfedError:
            continue
        ranks = re.search(r"\bTP[= ]?(\d)", text)
        return {"gpu": spec, "gpus": int(ranks[1]) if ranks else int(match[1] or 1)}
    return {}


def _numa(text: str) -> dict[str, Any]:
    words = text.lower()
    if re.search(r"isolate|memory unbound|remote access", words):
        return {"numa": NumaPolicy.UNBOUND_MEMORY}
    if re.search(r"duplicat|mirror|replicat|use_numa=1", words):
        return {"numa": NumaPolicy.DUPLICATE}
    if re.search(r"distribute|interleave|both sockets|2 sockets|shared weights|numa build off|unset|two nodes", words):
        return {"numa": NumaPolicy.INTERLEAVE}
    if re.search(r"one socket bound|1 socket bound|membind|numactl|bound", words):
        return {"numa": NumaPolicy.ONE_SOCKET}
    return {}


def _switches(text: str) -> dict[str, Any]:
    conditions: dict[str, Any] = {}
    words = text.lower()
    for pattern, engine in _ENGINES:
        if re.search(pattern, text, re.IGNORECASE):
            conditions["engine"] = engine
            break
    if re.search(r"no cuda graph|graphs? off|eager|no graph", words):
        conditions["graphs"] = False
    elif "graph" in words and "nccl" not in words:
        conditions["graphs"] = True
    if re.search(r"p2p_disable|\bpcie\b", words) and "nvlink" not in words:
        conditions["nvlink"] = False
    elif "nvlink" in words:
        conditions["nvlink"] = not re.search(r"p2p_disable", words)
    if re.search(r"p2p_disable|no p2p|p2p (?:off|disabled)", words):
        conditions["peers"] = False
    elif re.search(r"p2p (?:on|enabled)|patched p2p|\d, p2p\b|^p2p ", words):
        conditions["peers"] = True
    if re.search(r"row\)?[- ]split", words):
        conditions["by_rows"] = True
    if re.search(r"4 kib pages|no huge pages", words):
        conditions["huge_pages"] = False
    elif re.search(r"2 mib|huge pages", words):
        conditions["huge_pages"] = True
    return conditions
