"""Unsloth's dynamic GGUF mixes ("UD-"), approximated: they differ by model and by month.

Dense models: the named type with a wider down projection, attention values and the first layers wider. MoE models:
everything but the routed experts at six to eight bits, and the experts at as many bits as published files have on
average (`ROUTED_BITS`), which hardly differs between models. Source: sizes that unsloth publishes for DeepSeek-R1-0528,
Kimi-K2, GLM-4.6 and Qwen3-30B-A3B. *Assumed*: recalled, not looked up, but for two of GLM-4.6 (135 and 204 GB).
"""

from __future__ import annotations

from wellfed.models.recipes import Mix


def _dynamic(base: str, down: str, routed_down: str, attention: str = "Q4_K", output: str = "Q6_K") -> Mix:
    """`down` is for dense models, `routed_down` for experts; `attention` for all else of a MoE."""
    return Mix(
        base,
        output=output,
        embedding="moe8:Q4_K Q6_K",
        v="moe8:Q6_K more:Q6_K",
        k=f"moe8:{attention}",
        q=f"moe8:{attention}",
        o=f"moe8:{attention}",
        down=down,
        shared="eighth:Q6_K Q5_K" if attention == "Q4_K" else attention,
        routed=base,
        routed_down=routed_down,
        resident=attention,
    )


UNSLOTH: dict[str, Mix] = {
    "UD-TQ1_0": _dynamic("TQ1_0", "eighth:IQ2_XXS", "IQ2_XXS"),
    "UD-IQ1_S": _dynamic("IQ1_S", "eighth:IQ2_XXS", "IQ2_XXS"),
    "UD-IQ1_M": _dynamic("IQ1_M", "IQ2_XS", "IQ2_XS"),
    "UD-IQ2_XXS": _dynamic("IQ2_XXS", "eighth:Q2_K", "Q2_K"),
    "UD-IQ2_M": _dynamic("IQ2_S", "IQ3_XXS", "IQ3_XXS"),
    "UD-Q2_K_XL": _dynamic("Q2_K", "Q3_K", "Q3_K"),
    "UD-IQ3_XXS": _dynamic("IQ3_XXS", "eighth:IQ4_XS", "eighth:IQ4_XS"),
    "UD-IQ3_S": _dynamic("IQ3_S", "eighth:IQ4_XS", "eighth:IQ4_XS"),
    "UD-Q3_K_S": _dynamic("Q3_K", "eighth:Q4_K", "eighth:Q4_K"),
    "UD-Q3_K_M": _dynamic("Q3_K", "eighth:Q5_K Q4_K", "eighth:Q5_K Q4_K"),
    "UD-Q3_K_XL": _dynamic("Q3_K", "eighth:Q5_K Q4_K", "eighth:Q4_K", attention="Q5_K"),
    "UD-IQ4_XS": _dynamic("IQ4_XS", "", "", attention="Q5_K"),
    "UD-IQ4_NL": _dynamic("IQ4_NL", "", "", attention="Q6_K"),
    "UD-Q4_K_S": _dynamic("Q4_K", "eighth:Q5_K", "eighth:Q5_K", attention="Q6_K"),
    "UD-Q4_K_M": _dynamic("Q4_K", "more:Q6_K", "eighth:Q6_K Q5_K", attention="Q8_0", output="Q8_0"),
    "UD-Q4_K_XL": _dynamic("Q4_K", "more:Q6_K", "eighth:Q5_K", attention="Q8_0"),
    "UD-Q5_K_S": _dynamic("Q5_K", "eighth:Q6_K", "eighth:Q6_K", attention="Q8_0"),
    "UD-Q5_K_M": _dynamic("Q5_K", "more:Q6_K", "eighth:Q6_K", attention="Q8_0"),
    "UD-Q5_K_XL": _dynamic("Q5_K", "more:Q6_K", "eighth:Q6_K", attention="Q8_0"),
    "UD-Q6_K": _dynamic("Q6_K", "more:Q8_0", "eighth:Q8_0", attention="Q8_0", output="Q8_0"),
    "UD-Q6_K_XL": _dynamic("Q6_K", "more:Q8_0", "eighth:Q8_0", attention="Q8_0", output="Q8_0"),
    "UD-Q8_K_XL": _dynamic("Q8_0", "more:BF16", "eighth:BF16", attention="Q8_0", output="BF16"),
}

# Bits of a routed expert's weights on average, over a published file.
ROUTED_BITS: dict[str, float] = {
    "UD-TQ1_0": 1.83, "UD-IQ1_S": 2.12, "UD-IQ1_M": 2.30, "UD-IQ2_XXS": 2.53, "UD-IQ2_M": 2.72, "UD-Q2_K_XL": 2.94,
    "UD-IQ3_XXS": 3.21, "UD-IQ3_S": 3.40, "UD-Q3_K_S": 3.40, "UD-Q3_K_M": 3.60, "UD-Q3_K_XL": 3.49, "UD-IQ4_XS": 3.95,
    "UD-IQ4_NL": 4.45, "UD-Q4_K_S": 4.50, "UD-Q4_K_M": 4.75, "UD-Q4_K_XL": 4.50, "UD-Q5_K_S": 5.55, "UD-Q5_K_M": 5.65,
    "UD-Q5_K_XL": 5.68, "UD-Q6_K": 6.60, "UD-Q6_K_XL": 6.80, "UD-Q8_K_XL": 9.0,
}  # fmt: skip
