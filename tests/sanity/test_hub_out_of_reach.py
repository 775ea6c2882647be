"""Repository ids where no hub can be reached: said at once, without the client's retries."""

from __future__ import annotations

import socket

import pytest

from wellfed.errors import BadInput
from wellfed.modelfiles import hub
from wellfed.modelfiles.hub import fetch_config
from wellfed.modelfiles.hub_card import fetch_base_model


def test_a_closed_port_is_not_tried_again(monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, not listening: connections are refused
        monkeypatch.setenv("HF_ENDPOINT", f"http://127.0.0.1:{taken.getsockname()[1]}")
        for name in ("http_proxy", "HTTP_PROXY", "all_proxy", "ALL_PROXY"):
            monkeypatch.delenv(name, raising=False)
        with pytest.raises(BadInput, match="cannot reach"):
            fetch_config("nobody/nothing-of-the-kind")
    assert "Retry" not in capfd.readouterr().err


def test_an_endpoint_that_is_none(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "hub.example")
    with pytest.raises(BadInput, match="HF_ENDPOINT"):
        fetch_config("nobody/nothing-of-the-kind")


def test_a_transport_s_own_error_is_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hub's client lets errors of its transport through, which are neither OSError nor ValueError."""
    import huggingface_hub

    class ReadError(Exception):
        pass

    def reset(*words: object, **options: object) -> str:
        raise ReadError("connection reset by peer")

    monkeypatch.setattr(huggingface_hub, "hf_hub_download", reset)
    monkeypatch.setattr(hub, "reachable", lambda endpoint: True)
    with pytest.raises(BadInput, match="connection reset"):
        fetch_config("nobody/nothing-of-the-kind")
    assert fetch_base_model("nobody/nothing-of-the-kind") is None
