"""The model card of a repository, for the model that it was made from."""

from __future__ import annotations

import os
from pathlib import Path

from wellfed.modelfiles.hub import reachable
from wellfed.modelfiles.local_caches import base_in_file


def fetch_base_model(repository: str, hub: str = "huggingface") -> str | None:
    """The base model that the repository's card names; None where it names none or cannot be had."""
    if hub != "huggingface":
        return None
    from huggingface_hub import hf_hub_download

    offline = not reachable(os.environ.get("HF_ENDPOINT") or "https://huggingface.co")
    try:
        card = Path(hf_hub_download(repository, "README.md", etag_timeout=3, local_files_only=offline))
        return base_in_file(card)
    except Exception:  # noqa: BLE001  absent, gated, unreachable; and transports raise errors of their own
        return None
