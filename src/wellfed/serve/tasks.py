"""What workers compute: requests as their commands take them, answers as `--json` prints them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeAlias

from wellfed.errors import Misuse
from wellfed.message import message

Told: TypeAlias = Callable[[Any], None]


def plan(told: Told, **fields: Any) -> dict[str, Any]:
    """As `wellfed plan --json`: plans, whole machines (`buy`) or a command line as it is (`from_command`)."""
    from wellfed.library import planning

    line, buy = fields.pop("from_command", None), fields.pop("buy", False)
    limits = {name: fields.pop(name, None) for name in ("budget", "power")}
    model = fields.pop("model", None)
    _rename(fields)
    if line is not None:
        return _from_command(line, model, fields)
    if model is None:
        raise Misuse(message("ask.model", "a model is missing"))
    if buy:
        return _buy(model, limits, fields)
    if any(limits.values()):
        raise Misuse(message("ask.buy", "--prices, --budget and --power go with --buy"))
    return planning.plan(model, **fields).to_dict()


def _rename(fields: dict[str, Any]) -> None:
    if "for" in fields:
        fields["for_"] = fields.pop("for")


def _from_command(line: str, model: str | None, fields: dict[str, Any]) -> dict[str, Any]:
    from wellfed.documents.answers import as_it_is_json
    from wellfed.library import planning
    from wellfed.verbs.from_command import from_command

    if model is not None:
        raise Misuse(message("ask.from-command", "--from-command names the model: leave MODEL out"))
    return as_it_is_json(from_command(line, _request(planning, fields)))


def _buy(model: str, limits: dict[str, Any], fields: dict[str, Any]) -> dict[str, Any]:
    from wellfed.documents.market import market_json
    from wellfed.library import planning
    from wellfed.verbs import buying

    top = fields.get("top", 6)
    if fields.get("on"):
        raise Misuse(message("ask.buy-on", "--buy designs a machine: leave --on out, or use `wellfed compare`"))
    if limits["budget"]:
        raise Misuse(message("ask.budget", "--budget needs --prices: wellfed has no prices of its own"))
    return market_json(buying.buy(model, _request(planning, fields), None, None, limits["power"], keep=top))


def _request(planning: Any, fields: dict[str, Any]) -> Any:
    return planning.plan_request(**{name: value for name, value in fields.items() if name not in ("top", "max_users")})
