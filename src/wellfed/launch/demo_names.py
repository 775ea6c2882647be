"""What the demo model is called."""

from __future__ import annotations

MODEL_ID = "smollm2-135m"
CATALOGUE_NAME = f"{MODEL_ID} q4_1"  # the same model, planned without its file
DEMO_NAMES = frozenset({"demo", MODEL_ID})
