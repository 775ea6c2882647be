"""A message is a value: its text comes from the template and the parameters, and from nothing else."""

from __future__ import annotations

import json

import pytest

from wellfed.errors import BadInput, UnknownName
from wellfed.message import Amount, Listing, Message, counted, message, message_of, render, sentence, told_by
from wellfed.messages.words import words


def spare() -> Message:
    return message("plan.spare", "{device} has {spare} to spare", device="gpu0", spare=Amount(3 * 2**30, "B"))


def test_english_is_the_template_with_its_parameters() -> None:
    assert str(spare()) == "gpu0 has 3.00 GiB to spare"


def test_a_translation_may_order_the_parameters_its_own_way() -> None:
    assert render(spare(), "剩余 {spare}({device})") == "剩余 3.00 GiB(gpu0)"


def test_plural_forms() -> None:
    texts = [str(counted("n.gpus", "{count} GPU idles", "{count} GPUs idle", n)) for n in (1, 2, 1200)]
    assert texts == ["1 GPU idles", "2 GPUs idle", "1,200 GPUs idle"]


@pytest.mark.parametrize(
    ("amount", "text"),
    [
        (Amount(None, "B"), "?"),
        (Amount(0.412, "s"), "412 ms"),
        (Amount(17.12, "tok/s"), "17.1 tok/s"),
        (Amount(0.12, "%"), "12 %"),
        (Amount(1.03, "x"), "x1.03"),
        (Amount(55e9, "B/s"), "55 GB/s"),
        (Amount(12, ""), "12"),
    ],
)
def test_amounts(amount: Amount, text: str) -> None:
    assert str(message("a", "{a}", a=amount)) == text


def test_messages_nest_and_list() -> None:
    outer = message("why", "{first}; also {rest}", first=spare(), rest=Listing(("a", 2, spare())))
    assert str(outer) == "gpu0 has 3.00 GiB to spare; also a, 2, gpu0 has 3.00 GiB to spare"


def test_json_keeps_quantities() -> None:
    document = json.loads(json.dumps(spare().to_dict()))
    assert document["params"] == {"device": "gpu0", "spare": {"value": 3 * 2**30, "unit": "B"}}
    assert document["text"] == str(spare())


def test_equal_messages_are_one_key() -> None:
    assert len({spare(), spare()}) == 1


def test_errors_keep_the_message_and_read_in_english() -> None:
    error = BadInput(message("x.y", "no {name}", name="a{b}"), message("x.hint", "try {n}", n=3))
    assert (error.message, error.hint, str(error)) == ("no a{b}", "try 3", "no a{b}")
    assert message_of(error.message) == message("x.y", "no {name}", name="a{b}")
    assert error.kind == "bad-input"
    assert UnknownName("model", "x").kind == "unknown"


def test_an_error_inside_a_sentence_stays_a_sentence() -> None:
    """Ours with its parameters, a stranger's as it is."""
    inner = BadInput(message("limit.disk", "disk"))
    assert words(sentence("x.outer", "not this: {why}", why=inner), "zh").endswith("硬盘")
    assert str(sentence("x.outer", "not this: {why}", why=inner)) == "not this: disk"
    assert told_by(OSError("no such thing")) == "no such thing"
