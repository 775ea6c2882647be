"""The client most programs use streams from what `run` starts."""

from __future__ import annotations

from pathlib import Path

import pytest

from launch.conftest import Wellfed

pytestmark = pytest.mark.engine


def test_openai_client_streams(wellfed: Wellfed, tiny: Path) -> None:
    openai = pytest.importorskip("openai")
    done = wellfed(*wellfed.run(tiny, "-d"), WELLFED_API_KEY="sk-of-the-test")
    assert done.returncode == 0, done.stderr
    client = openai.OpenAI(base_url=done.stdout.strip(), api_key="sk-of-the-test")
    name = client.models.list().data[0].id
    stream = client.chat.completions.create(
        model=name, messages=[{"role": "user", "content": "time"}], max_tokens=8, stream=True
    )
    chunks = list(stream)
    assert len(chunks) >= 3  # tokens that are half a character come with the next
    assert any(choice.finish_reason for chunk in chunks for choice in chunk.choices)
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=done.stdout.strip(), api_key="another", max_retries=0).completions.create(
            model=name, prompt="time", max_tokens=1
        )
