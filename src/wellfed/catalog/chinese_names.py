"""Chinese names of models and their variants, and what they are called in Latin letters."""

from __future__ import annotations

import re
from collections.abc import Mapping

from wellfed.catalog.han import simplified
from wellfed.patterns import regex

_NAMES: Mapping[str, str] = {
    "通义千问": "qwen", "千问": "qwen", "通义": "qwen",
    "深度求索": "deepseek", "深度探索": "deepseek",
    "智谱清言": "glm", "智谱": "glm", "清言": "",
    "月之暗面": "kimi", "文心一言": "ernie", "文心": "ernie", "混元": "hunyuan", "混元翻译": "hy",
    "书生浦语": "internlm", "书生·浦语": "internlm", "书生万象": "internvl", "书生": "intern",
    "百川": "baichuan", "零一万物": "yi", "阶跃星辰": "step", "面壁": "minicpm", "龙猫": "longcat",
    "百灵": "ling", "盘古": "pangu", "豆包": "seed", "小米": "mimo", "羊驼": "llama", "星火": "spark",
    "阶跃": "step", "面壁小钢炮": "minicpm", "小钢炮": "minicpm",
    "天工": "skywork", "元象": "xverse", "讯飞星火": "spark", "智脑": "360zhinao", "悟道": "aquila",
    "稀宇科技": "minimax", "稀宇": "minimax", "蚂蚁": "", "美团": "", "快手": "", "小红书": "", "商汤": "", "华为": "",
    "智源": "", "魔搭": "", "昆仑万维": "", "科大讯飞": "", "清华": "", "京东": "", "百川智能": "baichuan",
    "谷歌": "", "英伟达": "nvidia", "微软": "", "阿里": "", "腾讯": "", "百度": "", "字节": "",
}  # fmt: skip
_WORDS: Mapping[str, str] = {
    "满血版": "full", "满血": "full", "完整版": "full",
    "蒸馏版": "distill", "蒸馏": "distill",
    "量化版": "", "量化": "", "指令版": "instruct", "指令": "instruct", "对话版": "chat", "对话": "chat",
    "聊天": "chat", "基座": "base", "基础版": "base", "预览版": "preview", "预览": "preview",
    "思考版": "thinking", "思考": "thinking", "推理版": "reasoning", "视觉": "vl", "多模态": "vl",
    "全模态": "omni", "编程": "coder", "代码": "coder", "数学": "math", "嵌入": "embedding",
    "向量": "embedding", "重排序": "reranker", "重排": "reranker", "闪速版": "flash", "轻量版": "lite", "迷你": "mini",
    "语音合成": "tts", "语音识别": "asr", "文生图": "image", "图像": "image", "文生视频": "video", "视频": "video",
    "大语言模型": "", "大模型": "", "模型": "", "开源": "", "参数": "", "版本": "", "版": "", "的": "",
}  # fmt: skip
_TABLE = {**_NAMES, **_WORDS}
_ANY = regex("|".join(map(re.escape, sorted(_TABLE, key=len, reverse=True))))
_COUNT = regex(r"(\d+(?:\.\d+)?)\s*(万亿|亿)")
_BILLIONS = {"万亿": 1000.0, "亿": 0.1}
_BITS = regex(r"([2-8二三四五六八])\s*(?:比特|位)")
_DIGITS = {"二": "2", "三": "3", "四": "4", "五": "5", "六": "6", "八": "8"}
# 满血版 came up with DeepSeek-R1, for the model that its distilled ones are not: without a number, that is meant
_FULL_DEEPSEEK = regex(
    r"(?:deepseek(?:[\s-]*671b)?\s+full(?:\s+671b)?)|(?:full\s+deepseek(?:[\s-]*671b)?)", re.IGNORECASE
)
_R1 = "deepseek r1 full"


def in_latin(text: str) -> str:
    """The text with Chinese names and words in Latin letters: '通义千问3 32B' is 'qwen3 32B', '70亿' is '7b'.

    满血版 (undiminished: the whole model, not a distilled one) is `full`. Other texts come back unchanged.
    """
    if text.isascii():
        return text
    text = simplified(text)
    text = _COUNT.sub(lambda match: f" {float(match[1]) * _BILLIONS[match[2]]:g}b ", text)
    text = _BITS.sub(lambda match: f" {_DIGITS.get(match[1], match[1])}bit ", text)
    latin = re.sub(r" {2,}", " ", _ANY.sub(_word, text)).strip()
    return _R1 if _FULL_DEEPSEEK.fullmatch(latin) else latin


def _word(match: re.Match[str]) -> str:
    """Apart from what stands before it; a generation may follow a family at once (千问3), another name may not."""
    latin, after = _TABLE[match[0]], match.string[match.end() :]
    if match[0] in _NAMES and latin and after.lstrip(" -·").lower().startswith(latin):
        return " "  # 月之暗面 Kimi K2 names the family twice
    behind = after[:1]
    return f" {latin}" if latin in _FAMILIES and not behind.isalpha() else f" {latin} "


_FAMILIES = frozenset(_NAMES.values())
