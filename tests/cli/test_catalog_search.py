"""The catalogue is searched in Chinese as in English."""

from __future__ import annotations

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli


@pytest.mark.parametrize(
    ("kind", "chinese", "english"),
    [("gpus", "昇腾 910B3", "ascend 910b3"), ("cpus", "锐龙 9", "ryzen 9"), ("models", "通义千问3", "qwen3"),
     ("cpus", "線程撕裂者", "threadripper"), ("gpus", "ＲＴＸ　４０９０", "rtx 4090")],
)  # fmt: skip
def test_a_search_in_chinese_finds_the_same(kind: str, chinese: str, english: str) -> None:
    found, wanted = (CliRunner().invoke(cli, ["catalog", kind, text]).output for text in (chinese, english))
    assert found == wanted and found
