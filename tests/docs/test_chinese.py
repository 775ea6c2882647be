"""What is said in English is said in Chinese: the same sections, commands and pages."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
ENGLISH, CHINESE = (ROOT / name for name in ("README.md", "README.zh-CN.md"))


def _table(text: str) -> list[str]:
    return re.findall(r"^\| `(wellfed [^`]+)` \|", text, re.M)


def _block(text: str, kind: str) -> str:
    found = re.search(rf"```{kind}\n.*?```", text, re.S)
    return found[0] if found else ""


def test_the_same_sections_and_commands() -> None:
    english, chinese = ENGLISH.read_text(), CHINESE.read_text()
    levels = [re.findall(r"^(#+) ", re.sub(r"```.*?```", "", text, flags=re.S), re.M) for text in (english, chinese)]
    assert levels[0] == levels[1]
    assert _table(english) == _table(chinese)
    assert _block(english, "bash") == _block(chinese, "bash")
    assert re.findall(r"output: (.*?) -->", english) == re.findall(r"output: (.*?) -->", chinese)
    assert _block(english, "sh") == _block(chinese, "sh")


def test_a_reader_in_china_finds_mirrors() -> None:
    text = CHINESE.read_text()
    assert "PIP_INDEX_URL=" in text and "HF_ENDPOINT=" in text and "--hub modelscope" in text


def test_every_link_of_the_english_readme_is_in_the_chinese_one() -> None:
    english, chinese = (set(re.findall(r"\]\(([^)]+)\)", text)) for text in (ENGLISH.read_text(), CHINESE.read_text()))
    own = {link.replace("docs/zh/", "docs/") for link in chinese}
    assert english - own <= {"README.zh-CN.md"}


def test_chinese_pages_are_fresh() -> None:
    pytest.importorskip("babel")
    script = [sys.executable, str(ROOT / "scripts" / "translated_pages.py"), "--check"]
    done = subprocess.run(script, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("page", sorted((ROOT / "docs" / "zh").glob("*.md")), ids=lambda page: page.name)
def test_a_page_reads_in_chinese(page: Path) -> None:
    """No line of prose without a Chinese character."""
    text = re.sub(r"```.*?```|<!--.*?-->|`[^`]*`", "", page.read_text(encoding="utf-8"), flags=re.S)
    for line in text.splitlines():
        if re.search(r"\| \d+ \| ", line):  # figures of a class of rows, by its name
            continue
        plain = re.findall(r"(?<![\w/.-])[a-z]{4,}(?![\w/.-])", line)
        assert len(plain) < 5 or re.search(r"[\u4e00-\u9fff]", line), line
