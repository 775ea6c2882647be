"""Pages in other languages, from the sources of the English ones: `python scripts/translated_pages.py`; --check.

Claims, checks, diagnoses, terms and errors come from their declarations through the message catalogues; pages that are
written by hand are translated paragraph by paragraph (docs/LANGUAGE/paragraphs.po): a paragraph that changed, or that
has no translation, stops this script.
"""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po
from fault_pages import remedies_shown
from watch_page import HEAD

from wellfed.catalog.calibration import bundled
from wellfed.checks.registry import ALL as CHECKS
from wellfed.faults.fault import LIFTED, Fault
from wellfed.faults.registry import SYMPTOMS, of_behaviour, of_state
from wellfed.faults.steps import shown
from wellfed.messages.glossary import entries
from wellfed.messages.language import language
from wellfed.messages.words import phrase, tell, words
from wellfed.nouns.finding import Remedy
from wellfed.planner.claims import judged
from wellfed.watching.registry import ALL as RULES

DOCS = Path(__file__).resolve().parents[1] / "docs"
HAND_WRITTEN = {"run.md": lambda: (DOCS / "run.md").read_text(encoding="utf-8"), "watch.md": lambda: HEAD}


def blocks(text: str) -> Iterator[str]:
    """Paragraphs, lists, tables and pieces of code, each whole."""
    fenced: list[str] = []
    for part in text.strip().split("\n\n"):
        fenced.append(part)
        if sum(each.count("```") for each in fenced) % 2 == 0:
            yield "\n\n".join(fenced)
            fenced = []


def _is_code(block: str) -> bool:
    return block.startswith("```") and "watch" not in block


def paragraphs(name: str) -> list[str]:
    """What of a hand-written page is translated."""
    return [block for block in blocks(HAND_WRITTEN[name]()) if not _is_code(block)]


def _catalogue(target: str) -> Catalog:
    path = DOCS / target / "paragraphs.po"
    if not path.exists():
        return Catalog(locale=target)
    with path.open("rb") as file:
        return read_po(file, locale=target)


def update(target: str) -> None:
    """Bring the paragraphs of a language up to date; new ones are empty."""
    fresh, old = Catalog(locale=target, project="wellfed", charset="utf-8"), _catalogue(target)
    for name in HAND_WRITTEN:
        for block in paragraphs(name):
            known = old.get(block, name)
            fresh.add(block, known.string if known else "", context=name)
    (DOCS / target).mkdir(exist_ok=True)
    with (DOCS / target / "paragraphs.po").open("wb") as file:
        write_po(file, fresh, width=0, no_location=True)


def translated(name: str, target: str) -> str:
    """A hand-written page in a language. Exits where a paragraph has none."""
    catalogue, made = _catalogue(target), []
    for block in blocks(HAND_WRITTEN[name]()):
        found = catalogue.get(block, name)
        if not _is_code(block) and (found is None or not found.string):
            sys.exit(f"docs/{target}/paragraphs.po lacks a paragraph of {name}: {block[:80]!r}")
        made.append(block if _is_code(block) else str(found.string))  # type: ignore[union-attr]
    return "\n\n".join(made) + "\n"


def _note(source: str) -> str:
    return "<!-- scripts/translated_pages.py: " + source + " -->\n"


def claims_page() -> str:
    """The usual advice with its standing."""
    heads = [
        tell("docs.tier", "tier"), phrase("page.claim", "Claim"), tell("docs.standing", "standing"),
        phrase("page.figure", "Figures"),
    ]  # fmt: skip
    standing = {
        "right": phrase("page.right", "right"),
        "wrong": phrase("page.wrong", "wrong"),
        "misleading": phrase("page.misleading", "misleading"),
    }
    lines = [
        _note("wellfed.planner.claims"),
        f"# {phrase('page.claims-title', 'The usual advice, held against the figures')}\n",
        tell(
            "docs.claims",
            "Each claim is one that buying guides repeat; the figures come from the catalogue (with its sources) and "
            "from the same estimates as `wellfed plan`.",
        )
        + "\n",
        f"| {' | '.join(heads)} |",
        "|---|---|---|---|",
    ]
    lines += [
        f"| {claim.tier} | {words(claim.text)} | **{standing[found.standing.value]}** | {words(found.figures)} |"
        for claim, found in judged()
    ]
    return "\n".join(lines) + "\n"


def checks_page() -> str:
    """Every check: why, rule, what it reads, traps."""
    title = tell("docs.checks", "Checks: what `wellfed check` looks at")
    lines = [_note("wellfed.checks"), f"# {title}\n"]
    for check in CHECKS:
        lines.append(f"## `{check.id}` ({check.code})：{words(check.title)}\n")
        fault = of_state(check.id)[0]
        lines += [_fault(fault) + "\n"]
        lines.append(tell("docs.rule", "- rule: {text}", text=check.rule))
        lines.append(tell("docs.reads", "- reads: {text}", text=check.reads))
        lines += [tell("docs.trap", "- mind: {text}", text=trap) for trap in check.traps]
        lines += [_fix(remedy) for remedy in fault.remedies]
        lines.append(_price(fault))
        lines += [tell("docs.at-work", "- at work: {rule}", rule=f"[`{id}`](watch.md)") for id in fault.behaviours]
        lines.append("")
    return "\n".join(lines)


def _fault(fault: Fault) -> str:
    return tell(
        "docs.fault", "Fault `{id}`: {title}. {why}", id=fault.id, title=words(fault.title), why=words(fault.why)
    )


def _fix(remedy: Remedy) -> str:
    step = shown(remedy)
    text = words(step.message or step.text)
    by_hand = step.text.startswith("#")
    return tell("docs.fix", "- fix: {text}", text=text.removeprefix("# ") if by_hand else f"`{text}`")


def _price(fault: Fault) -> str:
    if fault.price.is_estimated:
        return tell("docs.price", "- price: {how}", how=fault.price.how)
    return tell("docs.no-price", "- price: none: {why}", why=fault.price.how)


def watch_page(target: str) -> str:
    """The page of `watch`, and every diagnosis."""
    parts = [_note("scripts/watch_page.py, wellfed.watching") + "\n" + translated("watch.md", target).rstrip()]
    for rule in RULES:
        lines = [f"### `{rule.id}`：{words(rule.title)}", ""]
        lines.append(tell("docs.reads", "- reads: {text}", text=rule.reads))
        lines.append(tell("docs.rule", "- rule: {text}", text=rule.rule))
        lines += [_fix(remedy) for remedy in remedies_shown(rule)]
        if rule.then:
            lines.append(tell("docs.next", "- next: {text}", text=rule.then))
        for fault in of_behaviour(rule.id):
            lines.append(f"- {_fault(fault)}")
            seen = ", ".join(f"[`{id}`](checks.md)" for id in fault.states)
            if seen:
                lines.append("  " + tell("docs.at-rest", "- at rest: {checks}", checks=seen))
            if fault.price is not LIFTED:
                lines.append(f"  {_price(fault)}")
        if rule.id in SYMPTOMS:
            lines.append(tell("docs.symptom", "- no fault of its own: {why}", why=SYMPTOMS[rule.id]))
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def glossary_page(target: str) -> str:
    """Every term, with its other names."""
    lines = [_note("wellfed/messages/glossary.toml"), f"# {tell('docs.glossary', 'Terms')}\n"]
    for entry in entries():
        others = [name for name in (entry.name("en"), *entry.also) if name != entry.name(target)]
        lines.append(f"**{entry.name(target)}**（{'、'.join(dict.fromkeys(others))}）\n\n{entry.text(target)}\n")
    return "\n".join(lines)


def accuracy_page() -> str:
    """Errors with whole sources left out, by class."""
    heads = [
        tell("head.class", "class"), tell("head.rows", "rows"), tell("accuracy.median-error", "median error"),
        tell("head.bias", "bias"), tell("docs.factor", "80 % interval is a factor of"),
    ]  # fmt: skip
    lines = [
        _note("wellfed.catalog.calibration"),
        f"# {tell('docs.accuracy', 'How far the predictions can be trusted')}\n",
        tell(
            "docs.left-out",
            "Fitted without any row of the row's own source (a repository, a thread, a machine of a community). On "
            "fewer than 30 rows an error says little, and nothing is promised there.",
        )
        + "\n",
        f"| {' | '.join(heads)} |",
        "|---|---:|---:|---:|---:|",
    ]
    for name, residual in sorted(bundled().residuals.items()):
        median = "?" if residual.median_ape is None else f"{residual.median_ape:.1%}"
        factor = f"{2.718281828 ** (1.2815515655446004 * residual.sigma):.2f}"
        lines.append(f"| {name} | {residual.rows} | {median} | {residual.bias:+.1%} | {factor} |")
    return "\n".join(lines) + "\n"


def pages(target: str) -> dict[str, str]:
    """Name -> text."""
    os.environ["WELLFED_LANG"] = target
    language.cache_clear()
    return {
        "claims.md": claims_page(),
        "checks.md": checks_page(),
        "watch.md": watch_page(target),
        "run.md": translated("run.md", target),
        "glossary.md": glossary_page(target),
        "accuracy.md": accuracy_page(),
    }


def main(arguments: list[str]) -> int:
    """Write, check, or bring the paragraphs up to date."""
    target = "zh"
    if "update" in arguments:
        update(target)
        return 0
    made = pages(target)
    folder = DOCS / target
    stale = [name for name, text in made.items() if not (folder / name).exists() or (folder / name).read_text() != text]
    if "--check" in arguments:
        print(f"stale: {', '.join(stale)}" if stale else "pages are fresh")
        return 1 if stale else 0
    for name in stale:
        (folder / name).write_text(made[name], encoding="utf-8")
        print(f"wrote docs/{target}/{name}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
