"""`wellfed accuracy`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

import click

from wellfed.message import sentence
from wellfed.messages.words import tell

if TYPE_CHECKING:
    from rich.table import Table

    from wellfed.accuracy.report import FitReport, Report


@click.command()
@click.argument("tables", nargs=-1, type=click.Path(path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print the report with every row as JSON.")
@click.option("--calibration", type=click.Path(path_type=Path), help="Use this calibration instead of the bundled one.")
@click.option("--refit", type=click.Path(path_type=Path, file_okay=False), metavar="FOLDER",
              help="Refit the bundled calibration from the tables in FOLDER and write it.")  # fmt: skip
@click.option("--worst", default=0, metavar="N", help="Also show the N rows that are furthest off in each class.")
def command(tables: tuple[Path, ...], as_json: bool, calibration: Path | None, refit: Path | None, worst: int) -> None:
    """Predict every row of measurement TABLES (CSV) and report the errors by class.

    A table has the columns model, quant, gpu, gpu_count, cpu ... and prefill_tok_s, decode_tok_s, ttft_ms, tpot_ms or
    oom; or item, value and unit for logged memory.
    """
    from wellfed.verbs import predicting

    if refit is not None:
        for name, text in predicting.refit(refit, lambda line: click.echo(line, err=True)):
            click.echo(f"{name}: {text}")
        return
    if not tables:
        raise click.UsageError(
            sentence("accuracy.give-least-one", "give at least one table"), click.get_current_context()
        )
    reports = [predicting.accuracy(table, calibration) for table in tables]
    if as_json:
        from wellfed.accuracy.report import to_json

        documents = [to_json(report) for report in reports]
        click.echo(json.dumps(documents[0] if len(documents) == 1 else documents, indent=1))
        return
    for report in reports:
        _print(report, worst)


def _print(report: Report, worst: int) -> None:
    from wellfed.cli.console import console

    out = console()
    resolved = "?" if report.resolved is None else f"{report.resolved:.1%}"
    out.print(
        tell(
            "accuracy.rows-names",
            "[bold]{table}[/]: {table_rows} rows, names understood in {resolved}",
            table=report.table,
            table_rows=report.table_rows,
            resolved=resolved,
        )
    )
    out.print(_classes(report))
    if report.fit is not None:
        out.print(_fits(report.fit))
    for reason, count in sorted(report.reasons.items(), key=lambda item: -item[1])[:8]:
        out.print(tell("accuracy.predicted-x", "[dim]not predicted: {count} x {reason}[/]", count=count, reason=reason))
    if worst:
        _print_worst(report, worst)


def _classes(report: Report) -> Table:
    from rich.table import Table

    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in (
        tell("head.class", "class"),
        tell("head.rows", "rows"),
        tell("accuracy.median-error", "median error"),
        tell("head.mean", "mean"),
        tell("head.percentile", "90th pct."),
        tell("head.bias", "bias"),
        tell("accuracy.80-interval", "in 80 % interval"),
        tell("head.outliers", "outliers"),
    ):
        table.add_column(name, justify="right" if table.columns else "left")
    for family in report.classes:
        table.add_row(
            family.cls, str(family.rows), f"{family.median_ape:.1%}", f"{family.mape:.1%}", f"{family.p90_ape:.1%}",
            f"{family.median_ratio - 1:+.1%}", f"{family.coverage:.0%}", str(family.outliers or ""),
        )  # fmt: skip
    return table


def _fits(fit: FitReport) -> str:
    return tell(
        "accuracy.fits-right",
        "fits or not: {right:.1%} of {rows} right; {oom_wrong} overflowed though said to fit, "
        "{fits_wrong} fitted though said to overflow",
        right=fit.right,
        rows=fit.rows,
        oom_wrong=fit.oom_wrong,
        fits_wrong=fit.fits_wrong,
    )


def _print_worst(report: Report, count: int) -> None:
    from wellfed.cli.console import console

    for family in report.classes:
        rows = [scored for scored in report.scored if scored.case.cls == family.cls]
        for scored in sorted(rows, key=lambda scored: -abs(scored.error))[:count]:
            case = scored.case
            console().print(
                tell(
                    "accuracy.row-measured",
                    "  {value} row {row} {metric} [{group}]: measured {measured:g}, predicted {predicted:g} "
                    "({error:+.0%}) {outlier}",
                    value=family.cls,
                    row=case.row,
                    metric=case.metric,
                    group=case.group,
                    measured=case.measured,
                    predicted=scored.predicted.value,
                    error=scored.error,
                    outlier=case.outlier,
                ),
                markup=False,
                highlight=False,
            )
