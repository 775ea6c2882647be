"""Configs from a model hub: Hugging Face (or a mirror, by HF_ENDPOINT) or ModelScope, imported only when asked."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

from wellfed.errors import BadInput, WellfedError
from wellfed.message import listed, sentence
from wellfed.modelfiles.hf_config import read_config
from wellfed.modelfiles.safe_file import read_json
from wellfed.models.model import Model

_REPOSITORY = re.compile(r"^[A-Za-z0-9][\w.-]{0,95}/[A-Za-z0-9][\w.-]{0,95}$")


def is_repository(text: str) -> bool:
    """Whether `text` has the form owner/name."""
    return bool(_REPOSITORY.match(text)) and ".." not in text


def fetch_config(repository: str, hub: str = "huggingface") -> Model:
    """The model of a repository, by its config.json from `hub` ("huggingface" or "modelscope") or the local cache.

    Where Hugging Face answers, its files' headers tell the exact counts, and the layers of an unknown architecture;
    a config alone is the fallback, and `notes` say so. HF_ENDPOINT, HF_HUB_OFFLINE and HF_TOKEN are honoured. Raises
    BadInput when it cannot be had.
    """
    if not is_repository(repository):
        raise BadInput(
            sentence("modelfiles.hub.repository", "{repository!r} is no repository", repository=repository[:80]),
            sentence("modelfiles.hub.write-owner-name", "write it as owner/name"),
        )
    fetchers: dict[str, Callable[[str], Path]] = {"huggingface": _huggingface, "modelscope": _modelscope}
    if hub not in fetchers:
        raise BadInput(
            sentence("modelfiles.hub.no-such-hub", "no such hub: {hub!r}", hub=hub),
            sentence("modelfiles.hub.known", "known: {fetchers}", fetchers=listed(fetchers)),
        )
    config = fetchers[hub](repository)
    model = _by_tensors(repository, config) if hub == "huggingface" else _by_config(config)
    name = repository.rpartition("/")[2]
    return replace(model, id=name.lower(), name=name)


CONFIG_ALONE = sentence(
    "modelfiles.hub.counted-from-config", "counted from its config alone: its files' own tables were not to be had"
)


def _by_config(config: Path) -> Model:
    model = read_config(config)
    return replace(model, notes=(*model.notes, CONFIG_ALONE))


def _by_tensors(repository: str, config: Path) -> Model:
    """The model with the counts of its files' headers, where the hub gives them in time."""
    from wellfed.modelfiles.hub_tensors import fetch_checkpoint

    if os.environ.get("HF_HUB_OFFLINE"):
        return _by_config(config)
    checkpoint = fetch_checkpoint(repository, config)
    return _by_config(config) if checkpoint is None else checkpoint.model


def _huggingface(repository: str) -> Path:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

    endpoint = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    offline = not reachable(endpoint)
    try:
        config = Path(hf_hub_download(repository, "config.json", etag_timeout=10, local_files_only=offline))
        _file_beside(repository, config, offline)
        return config
    except LocalEntryNotFoundError as error:
        hint = sentence(
            "modelfiles.hub.set-hf-endpoint",
            "set HF_ENDPOINT to a mirror, use ModelScope, or give a config.json or a catalogue name",
        )
        raise BadInput(
            sentence(
                "modelfiles.hub.cannot-reach-local",
                "cannot reach {where}, and {repository} is not in the local cache",
                where=endpoint,
                repository=repository,
            ),
            hint,
        ) from error
    except HfHubHTTPError as error:
        raise BadInput(
            sentence(
                "modelfiles.hub.no-config-json",
                "no config.json of {repository}: {error}",
                repository=repository,
                error=str(error).splitlines()[0][:120],
            ),
            _REFUSED,
        ) from error
    except WellfedError:
        raise
    except Exception as error:  # transports raise errors of their own
        raise BadInput(
            sentence(
                "modelfiles.hub.no-config-json",
                "no config.json of {repository}: {error}",
                repository=repository,
                error=str(error)[:120],
            ),
            _REFUSED,
        ) from error


def _file_beside(repository: str, config: Path, offline: bool) -> None:
    """ModelOpt's own file beside a config that says nothing of how its weights are stored, where there is one."""
    from huggingface_hub import hf_hub_download

    if offline or "quantization_config" in read_json(config):
        return
    with suppress(Exception):  # most repositories have none, and transports raise errors of their own
        hf_hub_download(repository, "hf_quant_config.json", etag_timeout=10)


def reachable(endpoint: str) -> bool:
    """Whether something listens there: the client would try for half a minute. Behind a proxy it is asked instead."""
    import socket
    from urllib.parse import urlsplit
    from urllib.request import getproxies

    address = urlsplit(endpoint)
    if address.scheme not in ("http", "https"):
        raise BadInput(f"HF_ENDPOINT is {endpoint!r}", sentence("modelfiles.hub.write-https", "write it with https://"))
    if address.hostname is None or getproxies().get(address.scheme):
        return True
    try:
        port = address.port or (80 if address.scheme == "http" else 443)
        socket.create_connection((address.hostname, port), _CONNECT_S).close()
    except (OSError, ValueError):
        return False
    return True


_CONNECT_S = 5.0
_REFUSED = sentence("modelfiles.hub.check-name-gated", "check the name; gated models need HF_TOKEN")


def _modelscope(repository: str) -> Path:
    try:
        from modelscope.hub.file_download import model_file_download
    except ImportError as error:
        raise BadInput(
            sentence("modelfiles.hub.modelscope-client", "ModelScope's client is not installed"),
            "pip install 'wellfed[modelscope]'",
        ) from error
    try:
        return Path(model_file_download(model_id=repository, file_path="config.json"))
    except Exception as error:  # the client raises bare exceptions of many kinds
        raise BadInput(
            sentence(
                "modelfiles.hub.no-config-json-2",
                "no config.json of {repository} on ModelScope: {error}",
                repository=repository,
                error=str(error)[:120],
            )
        ) from error
