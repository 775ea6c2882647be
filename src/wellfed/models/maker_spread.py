"""How far published GGUF files lie from llama.cpp's own mixes, by their maker and the kind of model.

Each row is the least and the most of (published bytes / bytes by the recipe), where the recipe is llama.cpp's or, for
"UD-", `recipes_unsloth`. Sources: 1,270 files of 60 models by bartowski, unsloth, mradermacher, lmstudio-community and
others as model_catalog_v2.json of janhq/model-catalog lists them (2026-05-05, sizes to 0.1 GiB). Makers who take
llama.cpp as it is are within 1 %; what follows is for those who widen. *Assumed*: a file without a maker may be
anyone's.
"""

from __future__ import annotations

from datetime import date
from typing import NamedTuple

from wellfed.models.model import Model
from wellfed.models.quantisation import Quantisation
from wellfed.models.recipes import OLD_Q2_K_UNTIL

MOST = 0.08  # a range is never wider, either way


class Spread(NamedTuple):
    """The middle against the recipe's own size, and the ends as shares of it."""

    centre: float
    low: float
    high: float


_EXACT = Spread(1.0, 1.0, 1.0)
_ONE_TYPE = frozenset({"F32", "F16", "BF16", "Q8_0"})
_PLAIN = frozenset({"Q4_0", "Q4_1", "Q5_0", "Q5_1", "MXFP4"})  # one type for all matrices
_OF_IK = ("_KS", "_KT", "_KL", "_KSS", "_R4", "_R8")
_IK_K = frozenset({"IQ2_K", "IQ3_K", "IQ4_K", "IQ5_K", "IQ6_K"})
_IK = (0.995, 1.165)  # by the cards of those who publish them: 23 files of five MoE models
_DYNAMIC = (0.925, 1.075)
_UPSTREAM = (0.975, 1.08)  # makers widen, they rarely narrow
_AS_IT_IS = frozenset({"mradermacher", "lmstudio-community", "ggml-org"})  # who take llama.cpp's mixes as they are
_FAITHFUL = (0.985, 1.015)
_LEGACY = (0.98, 1.045)

_OLD_OR_NEW = (0.955, 1.02)  # Q2_K of a model before 2024: made then, or later and smaller (2.72 for 2.83 GB)

_Ends = tuple[float, float]

# label: of dense models, of mixtures of experts
_ANYBODY: dict[str, tuple[_Ends, _Ends]] = {
    "IQ1_S": ((0.99, 1.16), (0.945, 1.06)),
    "IQ1_M": ((0.99, 1.16), (0.945, 1.06)),
    "IQ2_XXS": ((0.99, 1.16), (0.925, 1.05)),
    "IQ2_XS": ((0.99, 1.16), (0.925, 1.05)),
    "IQ2_S": ((0.99, 1.16), (0.94, 1.05)),
    "IQ2_M": ((0.99, 1.16), (0.94, 1.05)),
    "IQ3_XXS": ((0.99, 1.125), (0.94, 1.095)),
    "IQ3_XS": ((0.99, 1.1), (0.975, 1.125)),
    "IQ3_S": ((0.99, 1.1), (0.95, 1.09)),
    "IQ3_M": ((0.985, 1.09), (0.95, 1.095)),
    "Q2_K": ((0.94, 1.09), (0.945, 1.045)),
    "Q2_K_S": ((0.92, 1.05), (0.945, 1.045)),
    "Q3_K_S": ((0.96, 1.125), (0.945, 1.045)),
    "Q3_K_M": ((0.96, 1.09), (0.945, 1.05)),
    "Q3_K_L": ((0.975, 1.06), (0.915, 1.01)),
    "Q4_0": (_LEGACY, (0.945, 1.03)),
    "Q4_1": (_LEGACY, (0.945, 1.02)),
    "Q5_0": ((0.985, 1.02), (0.985, 1.02)),
    "Q5_1": ((0.985, 1.02), (0.985, 1.02)),
    "IQ4_NL": ((0.975, 1.035), (0.945, 1.075)),
    "IQ4_XS": ((0.97, 1.035), (0.94, 1.075)),
    "MXFP4": ((0.98, 1.02), (0.98, 1.13)),
}
_BARTOWSKI: dict[str, tuple[_Ends, _Ends]] = {
    "IQ1_S": ((1.25, 1.42), (0.98, 1.06)),
    "IQ1_M": ((1.2, 1.34), (0.98, 1.06)),
    "IQ2_XXS": ((1.08, 1.26), (0.925, 1.05)),
    "IQ2_XS": ((1.07, 1.215), (0.945, 1.04)),
    "IQ2_S": ((1.0, 1.165), (0.94, 1.04)),
    "IQ2_M": ((1.01, 1.165), (0.96, 1.045)),
    "IQ3_XXS": ((1.03, 1.125), (1.025, 1.095)),
    "IQ3_XS": ((1.02, 1.1), (1.005, 1.125)),
    "IQ3_M": ((0.985, 1.09), (1.035, 1.095)),
    "Q2_K": ((1.015, 1.09), (0.965, 1.04)),
    "Q3_K_S": ((1.02, 1.125), (1.005, 1.035)),
    "Q3_K_M": ((1.025, 1.09), (0.955, 0.985)),
    "Q3_K_L": ((1.01, 1.06), (0.915, 0.96)),
    "Q4_0": ((1.01, 1.045), (1.01, 1.025)),
    "Q4_1": ((1.005, 1.035), (1.0, 1.015)),
    "IQ4_NL": ((1.005, 1.025), (1.0, 1.025)),
    "IQ4_XS": ((0.99, 1.03), (1.0, 1.025)),
    "Q4_K_S": ((1.005, 1.06), (1.025, 1.04)),
    "Q4_K_M": ((1.02, 1.065), (1.005, 1.02)),
    "Q5_K_S": ((1.0, 1.045), (0.995, 1.015)),
    "Q5_K_M": ((1.005, 1.07), (0.998, 1.015)),
    "Q6_K": ((1.01, 1.065), (0.995, 1.06)),
}
_SINCE_BARTOWSKI = date(2025, 9, 1)  # files of earlier models are llama.cpp's own mixes, or widened a little

# Unsloth's dynamic mixes of 2026 give fewer bits where they are few and more where they are many
_DYNAMIC_2026: dict[str, tuple[_Ends, _Ends]] = {
    "UD-IQ1_S": ((0.9, 1.02), (0.93, 1.02)),
    "UD-IQ1_M": ((0.865, 1.0), (0.89, 0.97)),
    "UD-IQ2_XXS": ((0.865, 1.015), (0.88, 1.005)),
    "UD-IQ2_M": ((0.865, 1.015), (0.88, 0.98)),
    "UD-IQ3_XXS": ((0.87, 1.01), (0.86, 0.975)),
    "UD-IQ3_S": ((0.87, 1.01), (0.855, 0.935)),
    "UD-IQ4_XS": ((0.95, 1.05), (0.95, 1.01)),
    "UD-IQ4_NL": ((0.9, 1.03), (0.855, 0.95)),
    "UD-Q2_K_XL": ((0.94, 1.055), (0.88, 0.97)),
    "UD-Q3_K_S": ((0.95, 1.07), (0.95, 1.01)),
    "UD-Q3_K_M": ((0.95, 1.08), (0.935, 1.035)),
    "UD-Q3_K_XL": ((0.985, 1.095), (1.0, 1.075)),
    "UD-Q4_K_S": ((0.98, 1.06), (1.0, 1.055)),
    "UD-Q4_K_M": ((0.98, 1.07), (0.985, 1.045)),
    "UD-Q4_K_XL": ((0.99, 1.085), (1.035, 1.11)),
    "UD-Q5_K_S": ((0.98, 1.06), (0.995, 1.03)),
    "UD-Q5_K_M": ((0.98, 1.07), (1.04, 1.135)),
    "UD-Q5_K_XL": ((0.99, 1.08), (1.04, 1.14)),
    "UD-Q6_K": ((0.98, 1.06), (0.99, 1.02)),
    "UD-Q6_K_XL": ((1.0, 1.135), (1.0, 1.115)),
    "UD-Q8_K_XL": ((1.0, 1.17), (0.97, 1.13)),
}
# Nemotron-H, whose experts' rows of 1,856 do not divide into blocks of 256: what is wide there gets wider
_DYNAMIC_NEMOTRON: dict[str, _Ends] = {
    "UD-Q2_K_XL": (0.99, 1.11), "UD-Q3_K_XL": (1.0, 1.1), "UD-Q5_K_M": (1.08, 1.2), "UD-Q5_K_XL": (1.08, 1.2),
    "UD-Q8_K_XL": (1.0, 1.16), "MXFP4": (0.98, 1.14),
}  # fmt: skip
_DYNAMIC_GEMMA_4 = {"UD-Q8_K_XL": (0.92, 0.98)}  # without experts
_SINCE_DYNAMIC, _SINCE_DYNAMIC_MOE = date(2025, 11, 1), date(2026, 2, 1)
_TERNARY = (0.94, 1.0)  # Q2_0 with a scale for 128 weights (PrismML) or for 64


def spread(model: Model, quantisation: Quantisation) -> Spread:
    """Where files of `quantisation` lie against the size that the recipe gives."""
    label, maker = quantisation.recipe, quantisation.maker
    if label in _ONE_TYPE or maker == "ollama":
        return _EXACT
    if maker in _AS_IT_IS and not label.startswith("UD-") and label not in _IK_K:
        return _between(*_FAITHFUL)
    if label == "MXFP4" and model.architecture == "gpt_oss":
        return _EXACT
    if label == "Q2_0":
        return _between(*_TERNARY)
    label_range = _of_family(model).get(label)
    if label_range is not None:
        return _between(*label_range)
    released = model.released
    if label.startswith("UD-"):
        since = _SINCE_DYNAMIC_MOE if model.is_moe else _SINCE_DYNAMIC
        is_recent = released is not None and released >= since
        return _range_of(_DYNAMIC_2026 if is_recent else {}, label, model, _DYNAMIC)
    if label in _IK_K or label.endswith(_OF_IK):
        return _between(*_IK)
    if released is not None and released < _SINCE_BARTOWSKI:
        return _EXACT if label in _PLAIN else _between(*(_OLD_OR_NEW if _may_be_old(model, label) else _UPSTREAM))
    table = _BARTOWSKI if maker == "bartowski" else _ANYBODY
    return _range_of(table, _WIDENED.get(label, label), model, _UPSTREAM)


def _may_be_old(model: Model, label: str) -> bool:
    is_early = model.released is None or model.released < OLD_Q2_K_UNTIL
    return label == "Q2_K" and not model.is_moe and is_early


# the mix that a file with a wider embedding and head is otherwise
_WIDENED = {"Q2_K_L": "Q2_K", "Q3_K_XL": "Q3_K_L", "Q4_K_L": "Q4_K_M", "Q5_K_L": "Q5_K_M", "Q6_K_L": "Q6_K"}


def _of_family(model: Model) -> dict[str, _Ends]:
    """Ends that only this family has."""
    if model.architecture == "nemotron_h" and model.is_moe:
        return _DYNAMIC_NEMOTRON
    return _DYNAMIC_GEMMA_4 if model.architecture.startswith("gemma4") and not model.is_moe else {}


def _range_of(table: dict[str, tuple[_Ends, _Ends]], label: str, model: Model, otherwise: _Ends) -> Spread:
    dense, mixture = table.get(label, (otherwise, otherwise))
    return _between(*(mixture if model.is_moe else dense))


def _between(low: float, high: float) -> Spread:
    """The recipe's own size as the middle where it lies between near ends, else half way between them."""
    is_its_recipes = 1 - MOST <= low <= 1.0 <= high <= 1 + MOST
    centre = 1.0 if is_its_recipes else (low + high) / 2
    return Spread(centre, max(1 - MOST, low / centre), min(1 + MOST, high / centre))
