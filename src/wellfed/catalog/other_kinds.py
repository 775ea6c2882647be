"""What is no language model, told from the words of its name: speech, image, video, detection ...

Vision-language, omni, OCR, embedding and reranking models are understood and are none of these.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping
from functools import cache

from wellfed.errors import Unsupported
from wellfed.message import message, sentence
from wellfed.patterns import regex

_SAID = {
    str(kind): kind
    for kind in (
        sentence("term.image", "image"),
        sentence("term.video", "video"),
        sentence("term.3d", "3D"),
        sentence("term.speech-synthesis", "speech synthesis"),
        sentence("term.speech-recognition", "speech recognition"),
        sentence("term.music-and-sound", "music and sound"),
        sentence("term.detection-and-segmentation", "detection and segmentation"),
        sentence("term.image-classification-and-embedding", "image classification and embedding"),
        sentence("term.robot-action", "robot action"),
        sentence("term.world-model", "world model"),
        sentence("term.diffusion", "diffusion"),
        sentence("term.forecasting", "forecasting"),
        sentence("term.proteins", "proteins"),
    )
}


class NotALanguageModel(Unsupported):
    """A model that writes no text: what it is instead is `kind_of`."""

    kind = "not-a-language-model"

    def __init__(self, name: str, kind_of: str) -> None:
        problem = message(
            "resolve.not-a-language-model",
            "{name} is no language model but one of this kind: {kind_of}",
            name=name,
            kind_of=_SAID.get(kind_of, kind_of),
        )
        hint = message(
            "resolve.not-a-language-model.hint",
            "wellfed plans models that write text, vision-language, omni, OCR, embedding and reranking models included",
        )
        super().__init__(problem, hint)
        self.kind_of = kind_of


class DraftModel(Unsupported):
    """A head or small model that guesses ahead for another one: it is loaded beside that, not planned alone."""

    def __init__(self, name: str) -> None:
        problem = message(
            "resolve.draft", "{name} drafts for another model (speculative decoding) and runs beside it", name=name
        )
        super().__init__(problem, message("resolve.draft.hint", "plan the model that it drafts for"))


class Projector(Unsupported):
    """The file with which a GGUF model sees or hears: it is loaded beside that, not planned alone."""

    def __init__(self, name: str) -> None:
        problem = message(
            "resolve.projector", "{name} is the part with which a model sees or hears, and runs beside it", name=name
        )
        super().__init__(problem, message("resolve.projector.hint", "plan the model that it belongs to"))


_DRAFT_WORDS = "eagle eagle2 eagle3 dflash dspark medusa hydra pard speculator speculators draft drafter"
_DRAFTING = frozenset(_DRAFT_WORDS.split())


def is_draft(words: Collection[str]) -> bool:
    """Whether the words are those of a draft model; Gemma's are called assistants."""
    return any(word in _DRAFTING for word in words) or {"gemma", "assistant"} <= set(words)


# kind: its words; each a pattern of one whole word
_KINDS: Mapping[str, str] = {
    "speech synthesis": r"""\w*tts\d* tts\w* voicegenerator\w* voicedesign\w* customvoice voicesculptor vibevoice\w*
        kokoro\w* cosyvoice\d* chatterbox\w* sovits voxcpm\d* zonos\w* styletts\d* melotts bark vocoder bigvgan\w*
        hifigan vocos xcodec soundstorm orpheus omnivoice dramabox editx moshi\w* personaplex s3tokenizer\w*
        encodec\w* dacvae codec\d* vevo\w*(?:\.\d+)? piper \w*vits\d* voicechat matcha fastspeech\d*""",
    "speech recognition": r"""\w*asr\d* whisper\w* parakeet\w* canary wav2vec\d* hubert \w*paraformer\w* sensevoice\w*
        moonshine transcribe\w* stt diarization pyannote conformer speechbrain vad diarize\w* \w*sortformer diar
        titanet w2v unispeech mms wavlm data2vec eres2net\w* campplus ecapa\w*""",
    "video": r"""\w*video(?:gen|edit)? wan\d*(?:\.\d+)? wanx ltxv? cogvideox? mochi opensora animatediff skyreels t2v
        i2v ti2v s2v r2v vace text2video image2video text2world video2world seedance longvie svd sora mova ref2va
        dreamrelation""",
    "image": r"""\w*image(?:edit|gen)? sdxl sd\d(?:\.\d+)? sd flux(?:\.?\d+)? kolors pixart sana kandinsky\d* hidream
        auraflow chroma\d* hunyuandit dit text2image txt2img img2img t2i i2i controlnet inpainting inpaint lumina
        omnigen\d* seedream deepfloyd dreamshaper animagine cogview\d* lcm upscaler \w*esrgan vae \w*diffusers
        ideogram\d* krea realvis\w* juggernaut\w* epicrealism\w* openjourney\w* absolutereality\w*
        nextstep step1x glide imagen srpo visiontokenizer emu3""",
    "diffusion": r"\w*diffusion\w* llada\w* diffucoder",
    "music and sound": r"""musicgen audiogen audioldm\d* acestep songgen\w* riffusion music songbloom \w*sfx lyria
        deepfilternet\w* audiodit dac mimi tokenizer vggish yamnet \w*clap""",
    "3D": r"hunyuan3d hunyuanworld 3d trellis triposr triposg pointe",
    "detection and segmentation": r"""yolo\w* \w*detr sam\d*(?:\.\d+)? dinov?\d* \w*dino owlvit owlv\d segformer
        mask2former maskformer deeplab\w* detection detector segmentation depth midas det \w*doclayout\w* layout
        perception locateanything locate""",
    "image classification and embedding": r"""vit deit beit\w* mobilenet\w* mobilevit\w* regnet\w* maxvit\w* densenet\d*
        vgg\d* resnet\d* convnext\w* swin\w* efficientnet\w* \w*clip
        \w*siglip\d* webssl vjepa\d* tipsv\d videoprism radio""",
    "robot action": r"openvla smolvla gr00t vla pi0\d* alpamayo",
    "world model": r"cosmos\d*",
    "forecasting": r"chronos timesfm moirai",
    "proteins": r"esm\d* alphafold\d* esmfold boltz protein\w*",
}


@cache
def _patterns() -> tuple[tuple[str, re.Pattern[str]], ...]:
    """By kind; compiled when a name is no language model's that is known."""
    return tuple((kind, re.compile("|".join(words.split()))) for kind, words in _KINDS.items())


# words of models that read pictures, sound or film and write text
_UNDERSTANDING = regex(
    r"vl|vlm|llava|\w*llama\d*|chat|reason\d*|reasoner|ocr|embed\w*|embedding|rerank\w*|qa|captioner"
)
_SPEAKING = frozenset({"speech synthesis", "speech recognition"})


def kind_by_words(text: str) -> str | None:
    """The kind of a name whose words say that it is no language model; None where none does.

    A word of understanding (VL, LLaVA, chat, reason, OCR, embedding) outweighs all but speech.
    """
    words = re.findall(r"[a-z0-9]+(?:\.[0-9]+)?", text.lower())
    understands = any(_UNDERSTANDING.fullmatch(word) for word in words)
    for kind, pattern in _patterns():
        if any(pattern.fullmatch(word) for word in words) and (kind in _SPEAKING or not understands):
            return kind
    return None
