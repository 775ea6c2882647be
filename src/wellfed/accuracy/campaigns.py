"""What the scripts of large benchmark campaigns tell engines and load generators, where their tables leave it out.

The scripts of InferenceX: github.com/SemiAnalysisAI/InferenceX, folder benchmarks/, at the commits named below. What is
read from them are flags; how fast anything was is in the tables alone.
"""

from __future__ import annotations

import re

from wellfed.accuracy.serving_notes import Degrees
from wellfed.frozen import dataclass
from wellfed.models.model import Model
from wellfed.nouns.layout import Engine

CAMPAIGN = "origin="  # rows of campaigns that set an engine's limits to the load, and send ten rounds
TUNED = (("tuned", "1"),)  # whose engines vendors set up and tune: as with MLPerf's submissions
_SCRIPTED = re.compile(r"origin=InferenceX")
_ROUNDS = 10
_LENGTH = 1024  # tokens of the prompts and answers for which Llama's prompts are collected
_COLLECTED = ("batch_wait_iters", "20")  # 70b_fp8_b200_trt_slurm.sh@a267b4bd, 70b_fp8_h200_trt_slurm.sh@73ef9225
_LARGEST_GROUP = 8  # GPUs at which they are not
_LLAMA_PASS, _GPT_OSS_PASS = 16_384, 20_000  # tokens; gptoss_fp4_b200_trt.sh@6be4ee36
_ROOM = 64  # tokens beside a prompt and one for each client: dsr1_fp8_b200_trt_slurm.sh@2e46dba0
_FP4_PASS = 8192  # at least, with FP4 weights: dsr1_fp4_b200_trt.sh@111f0312
_SGLANG_PASS, _SGLANG_FP4_PASS = 32_768, 16_384  # dsr1_fp8_b200.sh@1fc5d73c, dsr1_fp4_b200_slurm.sh@1f1088b1
_OUTPUT_TOO = "nvfp4-ffn-output"
_RARELY, _MORE_RARELY, _CROWD = "10", "30", 16  # passes between two looks for new requests, from so many clients on
# Builds that only its drafting configurations had, or only the others; one that both had drafted from a day on, when
# those were added (perf-changelog.yaml@843c6254: pulls 392, 594, 620, 632, 642). With a single attention group three
# tokens are drafted, else one (dsr1_fp8_b200_trt_mtp.sh@843c6254).
_DRAFTING_BUILD, _PLAIN_BUILD, _FORMER_BUILD, _DRAFTING_SINCE = (
    "1.2.0rc6.post3", "1.2.0rc6.post2", "1.1.0rc2.post2", "2026-01-14",
)  # fmt: skip
_SUPERCHIP = re.compile(r"\bGB\d")
_MEASURED = re.compile(r"measured=([\d-]+)")
_ONE_ROUND = ("B300",)  # single_node/{dsr1_fp4,dsr1_fp8,glm5_fp8}_b300.sh@56324839 send as many requests as clients


@dataclass(frozen=True, slots=True)
class Setting:
    """How a campaign's row was run: engine options, tokens of a pass (None: the default), requests for each client."""

    options: tuple[tuple[str, str], ...] = TUNED
    pass_tokens: int | None = None
    rounds: int = _ROUNDS
    equal_lengths: bool = False


@dataclass(frozen=True, slots=True)
class Run:
    """What a campaign's row tells of itself. Lengths are the nominal ones."""

    engine: Engine
    model: Model
    weights: str  # the quantisation's id
    gpu: str
    blackwell: bool
    tensor: int
    clients: int
    prompt: int
    output: int


def setting(notes: str, run: Run) -> Setting | None:
    """The setting of a campaign's row; None for any other row."""
    if CAMPAIGN not in notes:
        return None
    if not _SCRIPTED.search(notes):
        return Setting(equal_lengths=True)
    rounds = 1 if any(name in run.gpu for name in _ONE_ROUND) else _ROUNDS
    if run.engine is Engine.TENSORRT_LLM:
        return Setting(_tensorrt_options(run), _tensorrt_pass(run), rounds)
    if run.engine is Engine.SGLANG and run.blackwell:
        return Setting(_sglang_options(run), _SGLANG_FP4_PASS if _is_fp4(run) else _SGLANG_PASS, rounds)
    return Setting(rounds=rounds)


def drafted(notes: str, build: str, gpu: str, engine: Engine, model: str, spread: Degrees) -> int | None:
    """Tokens that a campaign's DeepSeek drafted, 0 where it did not; None where nothing tells."""
    measured = _MEASURED.search(notes)
    if not _SCRIPTED.search(notes) or "DeepSeek-R1" not in model or measured is None or _SUPERCHIP.search(gpu):
        return None
    if engine is not Engine.TENSORRT_LLM or build not in {_DRAFTING_BUILD, _PLAIN_BUILD, _FORMER_BUILD}:
        return None
    if build == _PLAIN_BUILD or (build == _FORMER_BUILD and measured[1] < _DRAFTING_SINCE):
        return 0
    return 1 if spread.groups > 1 else 3


def campaign_weights(notes: str, model: Model, weights: str) -> str:
    """The quantisation of a campaign's row: its FP4 files of DeepSeek have attention's output in FP4, too.

    DeepSeek-R1-0528-FP4-v2 (the model's card: "quantizes the wo module"), named in runners/ of InferenceX.
    """
    scripted = _SCRIPTED.search(notes) is not None and model.family == "deepseek"
    return _OUTPUT_TOO if scripted and weights == "nvfp4-ffn" else weights


def _tensorrt_options(run: Run) -> tuple[tuple[str, str], ...]:
    short = run.prompt == run.output == _LENGTH
    collects = run.model.family == "llama" and short and run.tensor < _LARGEST_GROUP
    return (*TUNED, _COLLECTED) if collects else TUNED


def _tensorrt_pass(run: Run) -> int | None:
    """Tokens of a pass: chunks are off, so that it takes whole prompts."""
    if run.model.family == "llama":
        return _LLAMA_PASS
    if run.model.family == "deepseek":
        one_prompt = run.clients + run.prompt + _ROOM
        return max(one_prompt, _FP4_PASS) if _is_fp4(run) else one_prompt
    return _GPT_OSS_PASS if run.model.family == "gpt-oss" else None


def _sglang_options(run: Run) -> tuple[tuple[str, str], ...]:
    """DeepSeek's scripts look for requests every 10 or 30 passes, GLM's at every pass."""
    if run.model.family != "deepseek":
        return TUNED
    return (*TUNED, ("recv_interval", _MORE_RARELY if run.clients >= _CROWD else _RARELY))


def _is_fp4(run: Run) -> bool:
    return "fp4" in run.weights
