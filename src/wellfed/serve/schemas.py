"""The published JSON Schemas: one for each `schema` that an answer names, made of the answers' types when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from importlib import import_module
from typing import Any

# schema: module of this room and type
DOCUMENTS: Mapping[str, str] = {
    "wellfed.plan/1": "shapes:PlanDocument",
    "wellfed.from-command/1": "shapes:FromCommandDocument",
    "wellfed.market/1": "shapes:MarketDocument",
    "wellfed.train/1": "shapes:TrainDocument",
    "wellfed.fit/1": "shapes:FitDocument",
    "wellfed.compare/1": "shapes:CompareDocument",
    "wellfed.check/1": "shapes_machine:CheckDocument",
    "wellfed.topology/1": "shapes_machine:TopologyDocument",
    "wellfed.catalog/1": "shapes_machine:CatalogDocument",
    "wellfed.fleet/1": "shapes_machine:FleetDocument",
    "wellfed.fleet-plan/1": "shapes_machine:FleetPlanDocument",
    "wellfed.resolve/1": "shapes:ResolveDocument",
    "wellfed.watch/1": "shapes:WatchDocument",
    "wellfed.glossary/1": "shapes_glossary:GlossaryDocument",
    "wellfed.error/1": "shapes:ErrorDocument",
}
OF_COMMANDS: Mapping[str, tuple[str, ...]] = {
    "plan": ("wellfed.plan/1", "wellfed.market/1", "wellfed.from-command/1", "wellfed.train/1"),
    "fit": ("wellfed.fit/1",),
    "compare": ("wellfed.compare/1",),
    "check": ("wellfed.check/1",),
    "topology": ("wellfed.topology/1",),
    "catalog": ("wellfed.catalog/1",),
    "fleet check": ("wellfed.fleet/1",),
    "fleet plan": ("wellfed.fleet-plan/1",),
    "resolve": ("wellfed.resolve/1",),
    "explain": ("wellfed.glossary/1",),
}


def file_name(schema: str) -> str:
    """wellfed.plan/1 is wellfed.plan.1.json: additions keep the number, all else makes the next."""
    return schema.replace("/", ".") + ".json"


def links(command: str) -> dict[str, Any]:
    """What a command answers, for OpenAPI: a link to its published schema, or to each that it may be."""
    references = [{"$ref": f"/api/v1/schemas/{file_name(schema)}"} for schema in OF_COMMANDS.get(command, ())]
    return references[0] if len(references) == 1 else {"anyOf": references} if references else {"type": "object"}


@cache
def json_schema(schema: str) -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of a document. Raises KeyError for one that there is not."""
    from pydantic import TypeAdapter

    module, _, name = DOCUMENTS[schema].partition(":")
    described = TypeAdapter(getattr(import_module(f"wellfed.serve.{module}"), name)).json_schema(mode="serialization")
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **described, "title": schema}
