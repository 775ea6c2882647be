"""Every term once, in both languages, found under every spelling."""

from __future__ import annotations

import json

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.errors import UnknownName
from wellfed.messages.glossary import entries, look_up
from wellfed.messages.language import chosen, complaint, language


def test_every_term_is_whole_in_both_languages() -> None:
    for entry in entries():
        assert set(entry.names) == set(entry.texts) == {"en", "zh"}, entry.id
        assert entry.texts["zh"].endswith(("。", "）")) and entry.texts["en"].endswith("."), entry.id


def test_no_spelling_means_two_things() -> None:
    seen: dict[str, str] = {}
    for entry in entries():
        for name in {name.lower() for name in (*entry.also, *entry.names.values(), entry.id)}:
            assert seen.setdefault(name, entry.id) == entry.id, name


@pytest.mark.parametrize("term", ["TTFT", "首字延迟", "kv-cache", "张量并行（TP）", "time to first token", "NUMA"])
def test_terms_are_found_in_any_spelling(term: str) -> None:
    assert look_up(term).text("zh")


def test_an_unknown_term_has_neighbours() -> None:
    with pytest.raises(UnknownName) as caught:
        look_up("quantisatoin")
    assert caught.value.near


@pytest.mark.parametrize(
    ("text", "code"),
    [("zh", "zh"), ("zh_CN", "zh"), ("zh-CN", "zh"), ("zh_CN.UTF-8", "zh"), ("zh_TW", "zh"), ("zh_HK.utf8", "zh"),
     ("en_GB.UTF-8", "en"), ("C", "en"), ("C.UTF-8", "en"), ("POSIX", "en"), ("tlh", None), ("", None)],
)  # fmt: skip
def test_languages(text: str, code: str | None) -> None:
    assert chosen(text) == code


def test_wellfed_lang_comes_first_and_a_strange_one_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    language.cache_clear()
    monkeypatch.setenv("LANG", "en_US.UTF-8")
    monkeypatch.setenv("WELLFED_LANG", "zh-CN")
    assert language() == "zh" and complaint() is None
    language.cache_clear()
    monkeypatch.setenv("WELLFED_LANG", "klingon")
    monkeypatch.delenv("LC_ALL", raising=False)
    assert language() == "en" and "klingon" in str(complaint())
    language.cache_clear()


def test_explain_by_the_door() -> None:
    done = CliRunner().invoke(cli, ["explain", "TTFT", "--json"])
    assert json.loads(done.output)["terms"][0]["names"]["zh"] == "首字延迟"
    assert len(json.loads(CliRunner().invoke(cli, ["explain", "--json"]).output)["terms"]) == len(entries())
