"""A value that a flag does not take leads to what it takes: kinds of values with samples, each of which is taken."""

from __future__ import annotations

import pytest

from wellfed.engines.flags import CONTEXT, SETTINGS
from wellfed.engines.pins import pins, pins_by_engine
from wellfed.engines.values import right_values, takes
from wellfed.errors import BadInput
from wellfed.message import Listing, Message
from wellfed.nouns.layout import Engine

_FLAGS = sorted({(engine, key) for engine, setters in SETTINGS.items() for key in setters})


def _samples(kinds: Message) -> list[str]:
    listed = kinds.params["kinds"]
    assert isinstance(listed, Listing)
    found = []
    for kind in listed.items:
        assert isinstance(kind, Message)
        samples = kind.params["samples"]
        assert isinstance(samples, Listing)
        found += [str(sample) for sample in samples.items]
    return found


def test_every_flag_that_refuses_a_value_tells_what_it_takes() -> None:
    for engine, key in _FLAGS:
        setter = SETTINGS[engine][key]
        if takes(setter, "?"):
            continue
        kinds = right_values(engine, key)
        assert kinds is not None, (engine, key)
        assert all(takes(setter, sample) for sample in _samples(kinds)), (engine, key, str(kinds))


@pytest.mark.parametrize(
    ("setting", "sample"),
    [
        ("rpc=abc", "10.0.0.2:50052"),
        ("rpc=0.5", "24GiB"),
        ("kv-transfer-config=nojson", '"kv_connector"'),
        ("speculative-config=3", '"method"'),
        ("gpu-memory-utilization=2", "0.9"),
        ("n-gpu-layers=many", "all"),
        ("tensor-split=a,b", "3,1"),
        ("enforce-eager=maybe", "on, off"),
        ("disaggregation-mode=both", "prefill"),
        ("kv-bits=3", "4, 8"),
        ("dtype=fp7", "bfloat16"),
        ("override-tensor=x", "exps=CPU"),
        ("max-model-len=long", "32k"),
    ],
)
def test_the_hint_of_a_wrong_value_shows_a_right_one(setting: str, sample: str) -> None:
    with pytest.raises(BadInput, match="cannot be") as error:
        pins_by_engine(Engine, [setting])
    assert sample in str(error.value.hint)


@pytest.mark.parametrize("key", sorted(CONTEXT))
def test_a_context_is_a_count(key: str) -> None:
    with pytest.raises(BadInput) as error:
        pins(Engine.VLLM, [f"{key}=long"])
    assert "32k" in str(error.value.hint)


@pytest.mark.parametrize(
    ("setting", "words"),
    [
        ("no-mmap=1", "leave it out"),
        ("kv-transfer-config={}", "settings of that name: vllm"),
        ("ubatch-sise=1", "ubatch-size"),
    ],
)
def test_a_setting_that_an_engine_lacks_leads_on(setting: str, words: str) -> None:
    with pytest.raises(BadInput, match="has no setting") as error:
        pins(Engine.LLAMA_CPP, [setting])
    assert words in str(error.value.hint)
