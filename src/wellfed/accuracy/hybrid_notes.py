"""Facts told in the text columns of a row: lengths, threads, switches, what runs where."""

from __future__ import annotations

import re
from bisect import bisect
from datetime import date, timedelta

from wellfed.accuracy.case import Row
from wellfed.frozen import dataclass
from wellfed.nouns.layout import Engine, NumaPolicy

_ENGINES = {
    "llama.cpp": Engine.LLAMA_CPP,
    "ollama/llama.cpp": Engine.LLAMA_CPP,
    "ollama": Engine.LLAMA_CPP,
    "ik_llama.cpp": Engine.IK_LLAMA_CPP,
    "ik_llama": Engine.IK_LLAMA_CPP,
    "ktransformers": Engine.KTRANSFORMERS,
    "sglang+kt-kernel": Engine.KTRANSFORMERS,
}
_SHORT_PROMPT = 32  # "short": a question of one line
_DATE = re.compile(r"\b(20\d\d-\d\d-\d\d)\b")
_VERSION_DATE = re.compile(r"(20\d\d)-(\d\d)(?:-(\d\d))?$")
_BUILD_NUMBER = re.compile(r"\bb(\d{4,5})\b|\((\d{4,5})\)")
_FITS_BY_DEFAULT = date(2025, 12, 1)  # llama.cpp's -ngl -1 takes as many layers as fit since that month
_RELEASE = re.compile(r"\d+\.\d")
_COPIES_SINCE = date(2025, 10, 1)  # KTransformers keeps a copy of the experts on each socket: assumed from its guides
# Days of llama.cpp's builds. Source: dates of its releases on GitHub.
_BUILDS = (
    (1600, date(2023, 12, 3)), (2800, date(2024, 5, 6)), (4008, date(2024, 11, 1)), (4398, date(2024, 12, 30)),
    (5000, date(2025, 3, 31)), (5616, date(2025, 6, 9)), (6413, date(2025, 9, 7)), (7199, date(2025, 11, 29)),
    (8255, date(2026, 3, 9)), (9187, date(2026, 5, 16)), (10068, date(2026, 7, 19)), (10970, date(2026, 9, 14)),
    (11209, date(2026, 9, 26)),
)  # fmt: skip
_GPU_WORDS = re.compile(r"\b(cuda|gpu|vulkan|metal|mmq|cublas|hip|rocm)\b", re.IGNORECASE)
_CPU_WORDS = re.compile(r"\b(cpu|avx2|avx512|zen4|zen5|neon|arm_neon)\b", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Lengths:
    """Tokens of a measurement: `depth` are cached before it starts."""

    prompt: int | None
    output: int | None
    depth: int = 0


def engine_of(row: Row) -> Engine | None:
    """The engine that was measured; a section about mainline llama.cpp overrides the thread's engine."""
    engine = _ENGINES.get(row.text("engine").lower())
    section = note(row, "section")
    if engine is Engine.IK_LLAMA_CPP and re.search(r"mainline|(?<!ik_)llama\.cpp@", section):
        return Engine.LLAMA_CPP
    return engine


def note(row: Row, key: str) -> str:
    """What the notes say of `key`: `key=value`, `key = value` or `key: value`, up to the next delimiter."""
    stop = r"[^;]*" if key in ("section", "thread", "numa") else r"[^;,]*"
    match = re.search(rf"(?:^|[;,]\s*){re.escape(key)}\s*[=:]\s*({stop})", row.text("notes"))
    return match[1].strip() if match else ""


def offload_text(row: Row) -> str:
    """The offload column, in lower case."""
    return row.text("ngl_or_offload").lower()


def built(row: Row) -> date | None:
    """The day of the build: told (a month's middle), by llama.cpp's build number, or the day of the report."""
    version = row.text("engine_version")
    match = _VERSION_DATE.match(version)
    if match:
        return _day(f"{match[1]}-{match[2]}-{match[3] or '15'}")
    number = _BUILD_NUMBER.search(version) if engine_of(row) is Engine.LLAMA_CPP else None
    if number:
        return build_day(int(number[1] or number[2]))
    match = _DATE.search(row.text("source"))
    return _day(match[1]) if match else None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text)
    except ValueError:
        return None


def build_day(number: int) -> date:
    """The day of llama.cpp's build of this number, between the known ones around it: some ten builds a day."""
    numbers = [number for number, _ in _BUILDS]
    place = min(max(bisect(numbers, number), 1), len(_BUILDS) - 1)
    (low, first), (high, last) = _BUILDS[place - 1], _BUILDS[place]
    share = min(max((number - low) / (high - low), 0.0), 1.0)
    return first + timedelta(days=round((last - first).days * share))


def lengths(row: Row, decode: bool) -> Lengths:
    """Prompt, output and depth, from cells such as `512 @ depth 4096`, `0/128`, `short`."""
    prompt_cell, output_cell = row.text("prompt_len"), row.text("gen_len")
    prompt, output = _count(prompt_cell, last=decode), _count(output_cell, last=True)
    cells = f"{prompt_cell} {output_cell}" if decode else prompt_cell
    noted = re.search(r"(?:^|;\s*)depth (\d+)", row.text("notes"))
    depth = max((int(text) for text in re.findall(r"depth (\d+)", cells)), default=int(noted[1]) if noted else 0)
    if prompt_cell.startswith("depth"):
        prompt = 0
    elif prompt is None and prompt_cell and decode:
        prompt = _SHORT_PROMPT  # matters little there; what it prefills at depends on it
    if prompt_cell and "/" in prompt_cell and decode:
        prompt = 0
    same_test = "@ depth" not in output_cell or "+pp" in output_cell
    if prompt and decode and not same_test:
        prompt = 0  # generation at a depth that holds the prompt already
    return Lengths(prompt, output, depth)


def _count(cell: str, last: bool) -> int | None:
    """The cell's number; of `512/128` the last or the first."""
    bare = re.sub(r"@?\s*depth \d+(\+pp)?", "", cell)
    numbers = [int(text) for text in re.findall(r"\d+", bare) if "prompt" not in bare]
    if not numbers:
        return None
    return numbers[-1] if "/" in bare and last else numbers[0]


def threads(row: Row) -> int | None:
    """Threads of decode."""
    for key in ("threads", "n_threads"):
        value = note(row, key)
        if value.isdecimal():
            return int(value)
    match = re.search(r"(\d+) threads", row.text("cpu")) or re.search(r"-t (\d+)", row.text("ngl_or_offload"))
    return int(match[1]) if match else None


def numa_policy(row: Row, sockets: int, engine: Engine) -> NumaPolicy:
    """What the row says of binding; several sockets without a word are interleaved.

    KTransformers divides experts over the sockets' memories by itself since kt-kernel (late in 2025).
    """
    text = f"{offload_text(row)} {row.text('cpu').lower()} {note(row, 'numa').lower()} {_binding(row)}"
    if re.search(r"isolate", text):
        return NumaPolicy.UNBOUND_MEMORY
    if re.search(r"duplicat|use_numa=1|mirror|over numa|instances", text) or (
        engine is Engine.KTRANSFORMERS and "dual socket" in text
    ):
        return NumaPolicy.DUPLICATE
    if re.search(r"distribute|interleave", text):
        return NumaPolicy.INTERLEAVE
    if re.search(r"membind|numactl|bound|\(of \d\)|-m ?0", text) or sockets < 2:
        return NumaPolicy.ONE_SOCKET
    if engine is Engine.KTRANSFORMERS and _is_recent(row):
        return NumaPolicy.DUPLICATE
    return NumaPolicy.INTERLEAVE


def _is_recent(row: Row) -> bool:
    """Whether a build of KTransformers keeps a copy of the experts on each socket by itself: numbered releases up to
    0.3 do not; a build that a commit, a branch or a year names is taken for one that does.
    """
    version, day = row.text("engine_version"), built(row)
    if version:
        dated = _VERSION_DATE.match(version) is not None
        return day is not None and day >= _COPIES_SINCE if dated else _RELEASE.match(version) is None
    return day is not None and day >= _COPIES_SINCE


def _binding(row: Row) -> str:
    """What the notes say of binding, in numactl's words."""
    parts = re.split(r"\s*;\s*", row.text("notes").lower())
    return " ".join(part for part in parts if re.search(r"numactl|membind|cpunodebind|cpubind|interleave", part))


def bound_nodes(row: Row) -> int:
    """To how many NUMA nodes the memory is bound, by number; 0 where the row binds it to none."""
    match = re.search(r"(?:-m|membind)[= ]*(?:nodes? )?(\d+(?:\s*[,-]\s*\d+)*)", _binding(row))
    if match is None:
        return 0
    first_last = re.fullmatch(r"(\d+)\s*-\s*(\d+)", match[1])
    if first_last:
        return int(first_last[2]) - int(first_last[1]) + 1
    return len(re.findall(r"\d+", match[1]))


def cores_bound(row: Row) -> bool:
    """Whether the threads are bound to nodes too, not the memory alone."""
    return bool(re.search(r"cpunodebind|cpubind|-n\b", _binding(row)))


def nodes_told(row: Row) -> int:
    """NUMA nodes of the whole machine, 0 where not told."""
    match = re.search(r"(\d+) numa nodes?", f"{row.text('cpu')} {row.text('notes')}".lower())
    return int(match[1]) if match else 0


def backend(row: Row) -> str | None:
    """cpu, cuda, metal or vulkan; None when the row leaves it open."""
    offload = offload_text(row)
    backend_note = note(row, "backend").lower()
    for word in ("vulkan", "metal"):
        if word in backend_note or offload.startswith(word):
            return word
    if (
        offload.startswith("cpu")
        or backend_note in ("cpu", "blas")
        or row.text("gpu").lower().startswith(("cpu", "none"))
    ):
        return "cpu"
    if gpu_layers(row) == 0 and not row.text("gpu"):
        return "cpu"
    if re.match(r"ngl\s*=\s*-?\d+", offload) or "cuda" in backend_note or "cuda" in offload or "n-cpu-moe" in offload:
        return "cuda"
    if re.search(r"gpu|experts|rest on cpu|ngl", offload) and "unknown" not in offload:
        return "cuda"
    return _backend_by_context(row)


def _backend_by_context(row: Row) -> str | None:
    section, title = note(row, "section"), note(row, "thread")
    has_cpu, has_gpu = bool(certain(row.text("cpu"))), bool(certain(row.text("gpu")))
    for text in (section, title):
        if re.search("vulkan", text, re.IGNORECASE):
            return "vulkan"
        if _CPU_WORDS.search(text) and not _GPU_WORDS.search(text):
            return "cpu"
        if _GPU_WORDS.search(text) and not _CPU_WORDS.search(text):
            return "cuda"
    if has_cpu and not has_gpu:
        return "cpu"
    if has_gpu and not has_cpu:
        return "cuda"
    if has_cpu and has_gpu:
        return "cpu" if note(row, "threads") else "cuda"
    return None


def certain(name: str) -> str:
    """A hardware cell without what its collector took over from elsewhere in the thread."""
    return "" if "other posts" in name else name


def gpu_layers(row: Row) -> int | None:
    """-ngl; None when not told. A log's -1 is the default: none before December 2025, then all that fit."""
    match = re.search(r"ngl\s*=\s*(-?\d+)", offload_text(row)) or re.search(
        r"n_gpu_layers = (-?\d+)", row.text("notes")
    )
    value = int(match[1]) if match else None
    if value is not None and value < 0:
        day = built(row)
        return 0 if day is not None and day < _FITS_BY_DEFAULT else None
    return value


def expert_layers_in_ram(row: Row) -> int | None:
    """`--n-cpu-moe 36`: of how many layers the routed experts stay in RAM."""
    match = re.search(r"--?n-cpu-moe\s+(\d+)", f"{offload_text(row)} {row.text('notes')}")
    return int(match[1]) if match else None


def experts_on_cpu(row: Row) -> bool:
    """Whether the routed experts were told to stay on the CPU."""
    text = f"{offload_text(row)} {row.text('notes')}".lower()
    if "unknown" in offload_text(row) and certain(row.text("cpu")) and certain(row.text("gpu")):
        return True  # a CPU that is named beside the GPU, and nothing said of layers: it has a part
    return bool(re.search(r"experts? on cpu|exps?=cpu|exps\.?=cpu|expert layers? on gpu|exps offload", text))


def expert_layers_on_gpu(row: Row) -> int:
    """How many layers' routed experts the GPUs hold beside the rest."""
    text = f"{offload_text(row)} {note(row, 'section')}".lower()
    match = re.search(r"(\d+) expert layers? on gpu", text) or re.search(r"\+?(\d+) exps offload", text)
    return int(match[1]) if match else 0


def active_experts(row: Row) -> int | None:
    """An expert count lower than the model's own."""
    match = re.search(r"(\d+) (?:active )?experts", offload_text(row))
    return int(match[1]) if match else None


def allocated_context(row: Row) -> int | None:
    """The context that the cache was made for: `ctx 65536 allocated`, `n_kv_max = 32768`."""
    match = re.search(r"\bctx (\d+)", offload_text(row)) or re.search(r"n_kv_max = (\d+)", row.text("notes"))
    return int(match[1]) if match else None


def concurrency(row: Row) -> int:
    """Sequences at a time."""
    return int(row.number("concurrency_or_batch") or 1)


def switches(row: Row) -> dict[str, str]:
    """llama.cpp's own switches, from the notes."""
    values = {key: note(row, key) for key in ("fa", "mla", "rtr", "type_k", "fmoe", "amb")}
    if note(row, "flash_attn"):
        values["fa"] = note(row, "flash_attn")
    text = offload_text(row)
    if "standard" in text or ("flash" in text and "mla" not in text):
        values["mla"] = "0"
    if "flash" in text:
        values["fa"] = "1"
    if re.search(r"\bmla\b", text):
        values["mla"] = "1"
    if cache := re.search(r"\b(q\d_\d|f16) kv\b", row.text("notes").lower()):
        values["type_k"] = cache[1]
    return {key: value for key, value in values.items() if value and value not in ("N/A", "-")}


def number_note(row: Row, *keys: str) -> int | None:
    """The first of `keys` that the notes give a whole number for."""
    for key in keys:
        value = note(row, key)
        if value.isdecimal():
            return int(value)
    return None
