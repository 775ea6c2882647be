"""Unsloth's dynamic GGUF mixes ("UD-"), approximated: they differ by model and by month.

Routed experts carry the named type with a wider down projection, everything else stays at four to six bits. Where a
published file's size is known, the catalogue scales these mixes to it. Source: file listings of huggingface.co/unsloth
as quoted in public logs (DeepSeek-R1, V3-0324, Qwen3-235B-A22B), read 2026-11-23.
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
    "UD-IQ1_S": _dynamic("IQ1_S", "eighth:IQ2_XXS", "eighth:IQ2_XXS"),
    "UD-IQ1_M": _dynamic("IQ1_M", "IQ2_XS", "IQ2_XS"),
    "UD-IQ2_XXS": _dynamic("IQ2_XXS", "Q2_K", "Q2_K"),
    "UD-IQ2_M": _dynamic("IQ2_S", "IQ3_XXS", "IQ3_XXS"),
    "UD-Q2_K_XL": _dynamic("Q2_K", "Q3_K", "Q3_K"),
    "UD-IQ3_XXS": _dynamic("IQ3_XXS", "eighth:IQ4_XS", "eighth:IQ4_XS"),
    "UD-Q3_K_XL": _dynamic("Q3_K", "eighth:Q5_K Q4_K", "eighth:Q4_K"),
    "UD-IQ4_XS": _dynamic("IQ4_XS", "", "", attention="Q5_K"),
    "UD-Q4_K_XL": _dynamic("Q4_K", "more:Q6_K", "eighth:Q5_K", attention="Q5_K"),
    "UD-Q5_K_XL": _dynamic("Q5_K", "more:Q6_K", "eighth:Q6_K", attention="Q6_K"),
    "UD-Q6_K_XL": _dynamic("Q6_K", "more:Q8_0", "eighth:Q8_0", attention="Q8_0", output="Q8_0"),
    "UD-Q8_K_XL": _dynamic("Q8_0", "eighth:BF16", "eighth:BF16", attention="Q8_0", output="Q8_0"),
}
