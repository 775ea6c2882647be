"""Engines in a compose file, a Kubernetes manifest, llama-swap's or TabbyAPI's settings: each as one command line.

Source: the Compose specification (services, environment, entrypoint, command, deploy.resources.reservations.devices).
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Mapping
from typing import Any

import yaml

from wellfed.engines.command_line import command
from wellfed.engines.service_files import container_lines, words_of
from wellfed.errors import BadInput
from wellfed.message import Listing, message


def engine_lines(text: str) -> dict[str, str]:
    """Service name -> command line, of services that run an engine. Raises BadInput for text that is no such file."""
    try:
        documents = [document for document in yaml.safe_load_all(text) if document is not None]
    except yaml.YAMLError as error:
        raise BadInput(message("compose.unread", "this is no compose file: its YAML cannot be read")) from error
    except RecursionError as error:
        raise BadInput(message("compose.unread", "this is no compose file: its YAML cannot be read")) from error
    document = documents[0] if documents else None
    manifests = [each for each in documents if isinstance(each, dict) and each.get("apiVersion") and each.get("kind")]
    if manifests:
        return _distinct(line for manifest in manifests for line in container_lines(manifest))
    if isinstance(document, dict) and (other := _of_other_files(document)):
        return other
    services = document.get("services") if isinstance(document, dict) else None
    if not isinstance(services, dict):
        raise BadInput(message("compose.services", "this is no compose file: it has no services"))
    lines = {str(name): _line(service) for name, service in services.items() if isinstance(service, dict)}
    return {name: line for name, line in lines.items() if _is_engine(line)}


def _distinct(lines: Iterable[tuple[str, str]]) -> dict[str, str]:
    """By container, those that run an engine; of two of one name the second is numbered."""
    named: dict[str, str] = {}
    for name, line in lines:
        if _is_engine(line):
            named[name if name not in named else f"{name}-{len(named) + 1}"] = line
    return named


def _of_other_files(settings: Mapping[str, Any]) -> dict[str, str]:
    """TabbyAPI's `config.yml`, of which every option is an argument too; the commands of llama-swap's `config.yaml`."""
    model, models = settings.get("model"), settings.get("models")
    if isinstance(model, dict) and model.get("model_name"):
        section = settings.get("draft_model")
        draft = section.get("draft_model_name") if isinstance(section, dict) else None
        options = {**model, **({"draft_model": draft} if draft else {})}
        return {str(model["model_name"]): shlex.join(["main.py", *_as_arguments(options)])}
    if isinstance(models, dict):
        macros = _macros(settings.get("macros"))
        lines = {
            str(name): _expanded(str(entry["cmd"]), {**macros, **_macros(entry.get("macros"))})
            for name, entry in models.items()
            if isinstance(entry, dict) and entry.get("cmd")
        }
        return {name: line for name, line in lines.items() if _is_engine(line)}
    return {}


def _macros(value: object) -> dict[str, str]:
    return {str(name): str(text) for name, text in value.items()} if isinstance(value, dict) else {}


_MACRO_ROUNDS = 4  # macros may stand in macros


def _expanded(line: str, macros: Mapping[str, str]) -> str:
    """A command of llama-swap with its `${macro}`s replaced; `${PORT}` is any."""
    for _ in range(_MACRO_ROUNDS):
        for name, text in macros.items():
            line = line.replace("${" + name + "}", text)
    return line.replace("${PORT}", "8080")


def _as_arguments(options: Mapping[str, Any]) -> list[str]:
    words = []
    for name, value in options.items():
        if isinstance(value, list):
            value = ",".join(map(str, value))
        if value not in (None, "", False) and not isinstance(value, dict):
            words += [f"--{name.replace('_', '-')}", str(value).lower() if value is True else str(value)]
    return words


def chosen_line(text: str, service: str = "") -> str:
    """The line of the named service, or of the only one. Raises BadInput where there is none, or more than one."""
    lines = engine_lines(text)
    if service and service in lines:
        return lines[service]
    if not lines or service:
        problem = message("compose.none", "no service here runs an engine that is read")
        hint = message("compose.none.hint", "services that do: {names}", names=Listing(tuple(lines))) if lines else None
        raise BadInput(problem, hint)
    if len(lines) > 1:
        problem = message("compose.several", "several services run engines: {names}", names=Listing(tuple(lines)))
        raise BadInput(problem, message("compose.several.hint", "name one: FILE#SERVICE"))
    return next(iter(lines.values()))


def _is_engine(line: str) -> bool:
    try:
        command(line)
    except BadInput:
        return False
    return True


def _line(service: Mapping[str, Any]) -> str:
    seen = _visible(service)
    environment = [f"{name}={value}" for name, value in {**_environment(service), **seen}.items()]
    words = [
        *environment,
        str(service.get("image", "")),
        *words_of(service.get("entrypoint")),
        *words_of(service.get("command")),
    ]
    return shlex.join(word for word in words if word)


def _environment(service: Mapping[str, Any]) -> dict[str, str]:
    variables = service.get("environment")
    if isinstance(variables, dict):
        return {str(name): str(value) for name, value in variables.items() if value is not None}
    pairs = [str(entry).partition("=") for entry in variables] if isinstance(variables, list) else []
    return {name: value for name, equals, value in pairs if equals}


def _visible(service: Mapping[str, Any]) -> dict[str, str]:
    """GPUs that are reserved, by number or count, as the variable that shows them."""
    node: object = service
    for key in ("deploy", "resources", "reservations", "devices"):
        node = node.get(key) if isinstance(node, dict) else None
    for device in node if isinstance(node, list) else ():
        if not isinstance(device, dict):
            continue
        numbers, count = device.get("device_ids"), device.get("count")
        if isinstance(numbers, list) and numbers:
            return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, numbers))}
        if isinstance(count, int):
            return {"CUDA_VISIBLE_DEVICES": ",".join(map(str, range(count)))}
    return {}
