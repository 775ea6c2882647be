"""Traditional Chinese characters as the simplified ones in which the tables of names are written."""

from __future__ import annotations

import unicodedata

_TRADITIONAL = (
    "顯憶體張塊顆個條雙兩單線銳龍強騰賽揚鉑銀銅筆記動處內統節點網絡電沒無務檯臺機渦輪組帶礦裝預價約萬錢與蘋達爾華為"
    "鯤鵬飛開雲崙礪驍樹滿餾譜問義書語訊裡軟靈貓盤駝階躍億編碼數學視覺頻圖識別聲對話覽輕閃態參執緒輝風卻獨鋭裏儲購"
    "買總運專業練國產偉級實際測試"
)
_SIMPLIFIED = (
    "显忆体张块颗个条双两单线锐龙强腾赛扬铂银铜笔记动处内统节点网络电没无务台台机涡轮组带矿装预价约万钱与苹达尔华为"
    "鲲鹏飞开云仑砺骁树满馏谱问义书语讯里软灵猫盘驼阶跃亿编码数学视觉频图识别声对话览轻闪态参执绪辉风却独锐里储购"
    "买总运专业练国产伟级实际测试"
)
_TABLE = str.maketrans(_TRADITIONAL, _SIMPLIFIED)


def simplified(text: str) -> str:
    """The text in simplified characters and plain width: `一張　４０９０ 顯卡` is `一张 4090 显卡`."""
    return text if text.isascii() else unicodedata.normalize("NFKC", text).translate(_TABLE)


_DIGITS = {digit: value for value, digit in enumerate("零一二三四五六七八九")} | {"〇": 0, "两": 2}
_UNITS = {"亿": 10**8, "万": 10**4, "千": 1000, "百": 100, "十": 10}  # largest first
NUMERALS = "".join((*_DIGITS, *_UNITS))


def number(text: str) -> int | None:
    """A number in Chinese numerals: 三万二千, 一万万 (a hundred million), 二万五 (25,000); None for other text."""
    signs = set(text)
    return _value(text) if signs & set(_DIGITS) and signs & set(_UNITS) and not signs - set(NUMERALS) else None


def _value(text: str) -> int:
    for unit, size in _UNITS.items():
        before, sign, after = text.rpartition(unit)
        if sign:
            tail = _DIGITS[after] * size // 10 if len(after) == 1 and after not in "零〇" else _value(after)
            return (_value(before) if before else 1) * size + tail
    return int("".join(str(_DIGITS[digit]) for digit in text) or 0)
