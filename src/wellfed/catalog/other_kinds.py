"""What is no language model, told from the words of its name: speech, image, video, detection ...

Vision-language, omni, OCR, embedding and reranking models are understood and are none of these.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

from wellfed.errors import Unsupported
from wellfed.message import message


class NotALanguageModel(Unsupported):
    """A model that writes no text: what it is instead is `kind_of`."""

    kind = "not-a-language-model"

    def __init__(self, name: str, kind_of: str) -> None:
        said = message(
            "resolve.not-a-language-model",
            "{name} is no language model but one of this kind: {kind_of}",
            name=name,
            kind_of=kind_of,
        )
        hint = message(
            "resolve.not-a-language-model.hint",
            "wellfed plans models that write text, vision-language, omni, OCR, embedding and reranking models included",
        )
        super().__init__(said, hint)
        self.kind_of = kind_of


# kind: its words; each a pattern of one whole word
_KINDS: Mapping[str, str] = {
    "speech synthesis": r"""\w*tts\d* tts\w* voicegenerator\w* voicedesign\w* customvoice voicesculptor vibevoice\w*
        kokoro\w* cosyvoice\d* chatterbox\w* sovits voxcpm\d* zonos\w* styletts\d* melotts bark vocoder bigvgan\w*
        hifigan vocos xcodec soundstorm""",
    "speech recognition": r"""\w*asr\d* whisper\w* parakeet\w* canary wav2vec\d* hubert \w*paraformer\w* sensevoice\w*
        moonshine transcribe\w* stt diarization pyannote conformer speechbrain vad diarize\w*""",
    "video": r"""\w*video(?:gen|edit)? wan\d*(?:\.\d+)? wanx ltxv? cogvideox? mochi opensora animatediff skyreels t2v
        i2v ti2v s2v vace text2video image2video text2world video2world seedance longvie""",
    "image": r"""\w*image(?:edit|gen)? sdxl sd\d(?:\.\d+)? sd flux(?:\.?\d+)? kolors pixart sana kandinsky\d* hidream
        auraflow chroma\d* hunyuandit dit text2image txt2img img2img t2i i2i controlnet inpainting inpaint lumina
        omnigen\d* seedream deepfloyd dreamshaper animagine cogview\d* lcm upscaler \w*esrgan vae \w*diffusers""",
    "diffusion": r"\w*diffusion\w* llada\w* diffucoder",
    "music and sound": r"musicgen audiogen audioldm\d* acestep songgen\w* riffusion music songbloom \w*sfx",
    "3D": r"hunyuan3d 3d trellis triposr triposg pointe",
    "detection and segmentation": r"""yolo\w* \w*detr sam\d*(?:\.\d+)? dinov?\d* \w*dino owlvit owlv\d segformer
        mask2former maskformer deeplab\w* detection detector segmentation depth midas""",
    "image classification and embedding": r"vit resnet\d* convnext\w* swin\w* efficientnet\w* clip siglip\d*",
    "robot action": r"openvla smolvla gr00t vla pi0",
    "world model": r"cosmos\d*",
    "forecasting": r"chronos timesfm moirai",
    "proteins": r"esm\d* alphafold\d* esmfold boltz protein\w*",
}
_PATTERNS = tuple((kind, re.compile("|".join(words.split()))) for kind, words in _KINDS.items())
# words of models that read pictures, sound or film and write text
_UNDERSTANDING = re.compile(
    r"vl|vlm|llava|\w*llama\d*|chat|reason\d*|reasoner|ocr|embed\w*|embedding|rerank\w*|qa|captioner"
)
_SPEAKING = frozenset({"speech synthesis", "speech recognition"})


def kind_by_words(text: str) -> str | None:
    """The kind of a name whose words say that it is no language model; None where none does.

    A word of understanding (VL, LLaVA, chat, reason, OCR, embedding) outweighs all but speech.
    """
    words = re.findall(r"[a-z0-9]+(?:\.[0-9]+)?", text.lower())
    understands = any(_UNDERSTANDING.fullmatch(word) for word in words)
    for kind, pattern in _PATTERNS:
        if any(pattern.fullmatch(word) for word in words) and (kind in _SPEAKING or not understands):
            return kind
    return None
