"""A model's name cut into typed words: what distinguishes it, its sizes, its format, who packed it.

"unsloth/Qwen3-30B-A3B-Instruct-2507-GGUF:UD-Q4_K_XL" is owner unsloth, format ud-q4_k_xl, and the distinguishing words
qwen, 3, 30b, a3b, 2507. Words that say nothing of which model it is (instruct, chat, gguf, latest) are neutral.
"""

from __future__ import annotations

import re
import unicodedata
from functools import lru_cache

from wellfed.catalog.chinese_names import in_latin
from wellfed.frozen import dataclass
from wellfed.patterns import regex


@dataclass(frozen=True, slots=True)
class Name:
    """A name's parts, in lower case. `core` is the name without owner, format, shard and extension, as written."""

    text: str
    owner: str | None
    core: str
    words: tuple[str, ...]  # in order, the neutral ones too
    format: str | None  # the format's words joined by hyphens: gptq-int4, ud-q4_k_xl, bnb-4bit
    is_gguf: bool = False  # a GGUF file's name, or one that says GGUF
    maker: str = ""  # who made the files, where the name tells
    predicts: bool = False  # it says that prediction layers (MTP) come along

    @property
    def distinguishing(self) -> frozenset[str]:
        """All words but the neutral ones."""
        return frozenset(word for word in self.words if word not in NEUTRAL)


_SAYING_NOTHING = (
    "instruct it chat hf gguf ggml safetensors model models latest cloud imatrix i1 quant quants quantized "
    "transformers weights the original flax jax pytorch keras mcore megatron"
)
NEUTRAL = frozenset(_SAYING_NOTHING.split())

# who publishes or packs models; as the first word of a name they say no more than the owner of a repository does
_BRAND_WORDS = (
    "nvidia meta google microsoft ibm openai mistralai moonshotai moonshot zai thudm zhipuai zhipu alibaba tencent "
    "baidu bytedance xai lgai ai21 tiiuae cohere amazon apple unsloth bartowski mradermacher ubergarm lmstudio "
    "thebloke arcee c4ai upstage databricks"
)
_OWNER_WORDS = (
    "qwen deepseek-ai meta-llama z-ai zai-org liquidai minimaxai stepfun-ai xiaomimimo ibm-granite inclusionai "
    "huggingfacetb cohereforai coherelabs lgai-exaone nousresearch allenai internlm opengvlab baai jinaai nomic-ai "
    "arcee-ai upstage bytedance-seed meituan-longcat tngtech redhatai neuralmagic cerebras mistral-community "
    "ggml-org 01-ai tokyotech-llm ai21labs"
)
_BRANDS = frozenset(_BRAND_WORDS.split())
_OWNERS = _BRANDS | frozenset(_OWNER_WORDS.split())


def _beyond_print(text: str) -> bool:
    return not text.isprintable()


_CONTROL = regex(
    r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u202a-\u202e\u2060-\u2069\ufeff]", of=lambda text: not text.isprintable()
)
_ADDRESS = regex(
    r"^(?:https?://)?(?:www\.)?(?:huggingface\.co|hf\.co|hf-mirror\.com|modelscope\.(?:cn|ai)/models|"
    r"(?:registry\.)?ollama\.(?:com|ai)(?:/library)?)/|^(?:hf|ollama|modelscope)://?|^ollama (?:run|pull) ",
    re.IGNORECASE,
    of=("/", "ollama"),
)
_INSIDE = regex(r"/(?:tree|blob|resolve|raw|summary|files)(?:/.*?)?(?=/[^/]+\.gguf$|$)", re.IGNORECASE, of=("/",))
_FILE = regex(r"(?:-\d{5}-of-\d{5})?\.(?:gguf|ggml|safetensors|bin)$|-\d{5}-of-\d{5}$", re.IGNORECASE, of=(".", "-of-"))


def repository_in(text: str) -> str | None:
    """`owner/name` where the text is one, or the address of one on a hub; without a tag behind it."""
    bare = _INSIDE.sub("", _ADDRESS.sub("", text.strip())).partition("?")[0].rstrip("/")
    parts = bare.split("/")
    if len(parts) != 2 or bare.lower().endswith(".gguf"):
        return None
    owner, name = parts[0], parts[1].partition(":")[0].partition(" ")[0]
    return f"{owner}/{name}" if _PART.fullmatch(owner) and _PART.fullmatch(name) else None


_PART = regex(r"[A-Za-z0-9][\w.-]{0,95}")


def plain(text: str) -> str:
    """Without what must not reach a terminal, full-width signs as usual ones."""
    return re.sub(r"\s+", " ", _CONTROL.sub(" ", unicodedata.normalize("NFKC", text))).strip()


def parse(text: str) -> Name:
    """The parts of a name of any kind: hub id or address, Ollama tag, file name, or words."""
    bare = _INSIDE.sub("", _ADDRESS.sub("", plain(text)))
    bare = in_latin(bare.partition("?")[0].rstrip("/"))
    is_file = _FILE.search(bare) is not None
    folders = re.split(r"[\\/]", bare) if is_file else bare.split("/")
    owner = folders[-2].lower() if len(folders) > 1 and not is_file else None
    core, form = _without_format(_FILE.sub("", folders[-1]))
    core, packer = _without_packer(core)
    is_gguf = bool(_GGUF.search(folders[-1]))
    maker = owner or ("bartowski" if packer and is_gguf else "mradermacher" if _WEIGHTED.search(bare) else "")
    predicts = bool(_PREDICTS.search(folders[-1]))
    return Name(text, owner or packer, core, _without_brand(_words(core)), form, is_gguf, maker, predicts)


_PREDICTS = regex(r"(?<![a-z0-9])(?:float)?mtp(?![a-z0-9])", re.IGNORECASE, of=("mtp",))


_WEIGHTED = regex(r"[-.]i1-(?=I?Q\d)", re.IGNORECASE, of=("i1-",))  # mradermacher's files with an importance matrix


def _without_packer(core: str) -> tuple[str, str | None]:
    """Files are also called OWNER_NAME: 'Qwen_Qwen3-8B'."""
    owner, separator, rest = core.partition("_")
    packed = separator and owner.lower() in _OWNERS and rest
    return (rest, owner.lower()) if packed else (core, None)


def _without_brand(words: tuple[str, ...]) -> tuple[str, ...]:
    return words[1:] if len(words) > 1 and words[0] in _BRANDS else words


_FORMAT = regex(
    r"(?<![A-Za-z0-9])(?:"
    r"(?:UD-|i1-|smol-|mix-)?(?:I?Q[1-8]_[A-Z0-9]+(?:_[A-Z0-9]+)*|Q[2-6][ -]?K(?:[ _-]?(?:XL|[SML]))?|"
    r"IQ[1-4][ -]?(?:XXS|XS|NL|[SM])|Q[458][ -]?[01]|I?Q[1-8]|TQ[12]_0|I2_S)"
    r"|(?:MX|NV)FP[468](?:A16)?(?:[_-]MOE)?|BF16|FP(?:32|16|8|4)(?:[_-](?:dynamic|block|static|per-?tensor))*|F(?:32|16)|E4M3"
    r"|GPTQ(?:Model)?|AWQ|HQQ|AQLM|VPTQ|torchao|Quark|autoround|auto-round|bnb|bitsandbytes|NF4"
    r"|EXL[23]|MLX|DWQ|QAT|OptiQ|oQ[2-8](?:\.\d)?e?|PARO|GSQ(?:-RCO)?"
    r"|compressed-tensors|HIGGS|SINQ|QuIP(?:-?sharp)?|EETQ|Quanto|ParoQuant|SpinQuant|FP6|v\d+-k\d+-\d+-woft"
    r"|U?INT[2348](?:[_-]mixed)?|W[48]A(?:16|[48])(?:FP8)?(?:S?C8|SC)?|(?<!\d\.)\d(?:\.\d+)?[ -]?(?:bits?|bpw)"
    r"|ONNX(?:[-_](?:ryzenai|1\.\d|hybrid|npu|cpu|gpu|cuda|dml|directml|web|genai|mobile))*"
    r"|OpenVINO|CoreML|TensorRT|TRT-?LLM|LiteRT"
    r")(?![A-Za-z0-9])(?!\.\d)",
    re.IGNORECASE,
    of=(
        *(f"q{bits}" for bits in range(1, 9)), *(f"oq{bits}" for bits in range(2, 9)), "i2_s", "fp", "f16", "f32",
        "e4m3", "nf4", "int", "w4a", "w8a", "bit", "bpw", "paro", "gsq", "ptq", "awq", "hqq", "aqlm", "torchao",
        "quark", "autoround", "auto-round", "bnb", "exl", "mlx", "dwq", "qat", "optiq", "compressed-tensors", "higgs",
        "sinq", "quip", "eetq", "quant", "woft", "onnx", "openvino", "coreml", "tensorrt", "trt", "litert",
    ),
)  # fmt: skip


def _without_format(text: str) -> tuple[str, str | None]:
    """The name without the words of its format, and these."""
    written = [_written(match) for match in _FORMAT.findall(text)]
    rest = _RELEASE.sub(" ", _FORMAT.sub(" \x01", text)).replace("\x01", " ")
    if written or _GGUF.search(text):
        rest = _DETAIL.sub(" ", rest)
    if _UNQUANTISED.search(rest):  # the full weights of a quantisation-aware training
        rest, written = _UNQUANTISED.sub(" ", rest), ["bf16"]
    words = dict.fromkeys(_BITS.sub(r"\1bit", word) for word in written)
    return re.sub(r"\s+", " ", rest).strip(" -_.:,()"), "-".join(words) or None


def _written(words: str) -> str:
    plain_words = re.sub(r"[ _]?-[ _]?|\s", "-", words).lower()
    if plain_words.startswith("onnx"):  # what runs it is no part of the format
        return "onnx"
    spoken = _SPOKEN_TYPE.fullmatch(plain_words)
    if spoken:
        return "_".join(part for part in spoken.groups() if part)
    return _CALLED.get(plain_words, plain_words)


_SPOKEN_TYPE = regex(r"((?:ud-|i1-|smol-|mix-)?i?q[1-8])[_-]?(k|xxs|xs|nl|s|m|0|1)(?:[_-]?(xl|s|m|l))?")  # q4km, Q4 K M
_CALLED = {"gptqmodel": "gptq", "compressed-tensors": "ct"}

_BITS = regex(r"^(\d(?:\.\d+)?)-?bits?$", of=("bit",))
_GGUF = regex(r"(?<![a-z])gguf(?![a-z])", re.IGNORECASE, of=("gguf",))
_UNQUANTISED = regex(r"(?<![A-Za-z])unquantized(?![A-Za-z])", re.IGNORECASE, of=("unquantized",))
# of the packing: NVFP4-v2, MXFP4-Preview
_RELEASE = regex(r"\x01[-_](?:v[2-9]|preview)(?![\w.])", re.IGNORECASE, of=("\x01",))
# beside a format: bits of the head, group sizes, kernels, calibration, rotation, the type of the cache (FP8-KV), what
# it runs on, that prediction layers come along, and APEX (mixes of GGUF types by importance)
_DETAIL = regex(
    r"(?<![A-Za-z0-9.])(?:h[68]|(?:32|64|128|1024)g|g(?:s|roup)?_?(?:32|64|128)|marlin|actorder|a?sym|unsloth|dynamic|"
    r"quantized|calibrated|ud|imat|quarot|mtp|floatmtp|kv|inc|vortex-v\d|pv|[12]x\d{1,2}|lmhead|"
    r"apex(?:[-_]mtp)?(?:[-_](?:i[-_])?(?:mini|nano|compact|balanced|quality))?|float16|cpu|npu|"
    r"310p?|vllm|pure|compact|hb16|tp\d{1,2}|int8mix|fp16mix|(?:un)?compressed)(?![A-Za-z0-9.])",
    re.IGNORECASE,
)
_TOKEN = regex(r"[a-z0-9]+(?:(?<=\d)\.(?=\d)[0-9a-z]+)*|[^\W\d_a-z]+")  # letters of other scripts are words too
_APART = regex(r"(?<![\w.])(\d+(?:\.\d+)?)\s*(?:billion|bn|b)\b(?! ?/s)")
_FIRST_R1 = regex(r"^r1(?=[ _-])", of=("r1",))  # R1-0528, r1 70b: DeepSeek's, where nothing stands before it
_SIZE = regex(r"(\d+(?:\.\d+)?)([bmt])")
_ACTIVE = regex(r"a(\d+(?:\.\d+)?)([bm])")
_NUMBER = regex(r"v?(\d+(?:\.\d+)*)")
_GENERATION = regex(r"([a-z]{3,}|yi|ds|hy)(\d+(?:\.\d+)*)([a-z]*)")
_BEHIND = regex(r"(\d+(?:\.\d+)*)(vl|coder|omni|math|ocr|moe)")
_LEAST_PARAMETERS_M = 20  # 1m and 10m are contexts


def _words(core: str) -> tuple[str, ...]:
    text = re.sub(r"(?<=\d)_(?=\d)", ".", core.lower()).replace("+", " plus ")
    text = _FIRST_R1.sub("deepseek-r1", _APART.sub(r"\1b", text))
    words: list[str] = []
    for token in _TOKEN.findall(text):
        words += _typed(token)
    return tuple(words)


def _typed(token: str) -> list[str]:
    """A token as canonical words: sizes in billions, versions without v, generations apart from their family."""
    if size := _SIZE.fullmatch(token):
        small = size[2] == "m" and float(size[1]) < _LEAST_PARAMETERS_M
        return [token] if small else [size_word(float(size[1]) * _BILLIONS[size[2]])]
    if active := _ACTIVE.fullmatch(token):
        return ["a" + size_word(float(active[1]) * _BILLIONS[active[2]])]
    if number := _NUMBER.fullmatch(token):
        return [re.sub(r"(?:\.0)+$", "", number[1])]
    if behind := _BEHIND.fullmatch(token):
        return [*_typed(behind[1]), behind[2]]
    if (split := _GENERATION.fullmatch(token)) and split[1] not in _WHOLE:
        family = _SHORT.get(split[1], split[1])
        rest = split[2] + split[3]
        return [family, *_typed(rest)] if len(split[3]) != 1 else [family, rest]
    return [_SHORT.get(token, token)]


_BILLIONS = {"m": 0.001, "b": 1.0, "t": 1000.0}
_WHOLE = frozenset({"utf", "sha", "int", "mxfp", "nvfp", "bit"})
_SHORT = {"ds": "deepseek", "dsv": "deepseek", "dsr": "deepseek"}


def size_word(billions: float) -> str:
    """7.0 is '7b', 0.27 is '0.27b', 1000 is '1000b'."""
    return f"{billions:.6g}b"


@lru_cache(maxsize=8192)
def billions(word: str) -> float | None:
    """The number of a size word, '7b' or 'a3b'; None for other words."""
    match = re.fullmatch(r"a?(\d+(?:\.\d+)?)b", word)
    return float(match[1]) if match else None


@lru_cache(maxsize=8192)
def is_active(word: str) -> bool:
    """Whether the word tells the parameters a token passes through: 'a3b'."""
    return bool(_ACTIVE.fullmatch(word))


@lru_cache(maxsize=8192)
def is_size(word: str) -> bool:
    """Whether the word tells a size: '7b', 'a3b', '8x7b', '16e'."""
    return billions(word) is not None or bool(re.fullmatch(r"\d+x\d+(?:\.\d+)?b|\d+e", word))


def is_month(word: str) -> bool:
    """Whether the word is a release written YYMM: '2507'."""
    return bool(re.fullmatch(r"2[3-9](?:0[1-9]|1[0-2])", word))
