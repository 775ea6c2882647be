"""How well models are read: totals, bytes, formats and GGUF sizes against tables of known ones.

    python benchmarks/model_files.py FOLDER

FOLDER holds `configs/` with `configs.tsv`, `quant/` with `quant.tsv`, and `gguf_sizes.tsv`. Prints a line for every row
that is wrong, then the shares.
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator
from pathlib import Path

from wellfed.errors import WellfedError
from wellfed.modelfiles.hf_config import read_config
from wellfed.models.file_size import FileSize, file_size
from wellfed.models.quantisation import weights
from wellfed.models.quantisation_names import quantisation

GIB = 2**30
_COUNTED, _ROUNDED = 0.001, 0.03
_BYTES = 0.01


def main(folder: Path) -> int:
    """Print the figures; 0 where all are within their limits."""
    shares = [
        ("totals within 0.1 % (rounded ones within 3 %)", list(_totals(folder))),
        ("bytes within 1 %", list(_bytes(folder))),
        ("quantisation variants right", list(_formats(folder))),
        ("GGUF sizes within 1 % or in their range", list(_ggufs(folder))),
    ]
    for what, rows in shares:
        print(f"{what}: {sum(rows)} of {len(rows)}")
    return 0 if all(all(rows) for _, rows in shares) else 1


def _rows(file: Path) -> Iterator[dict[str, str]]:
    with file.open(encoding="utf-8") as text:
        yield from csv.DictReader(text, delimiter="\t")


def _said(good: bool, text: str) -> bool:
    if not good:
        print(text)
    return good


def _totals(folder: Path) -> Iterator[bool]:
    for row in _rows(folder / "configs.tsv"):
        name = row["folder"]
        try:
            count = read_config(folder / "configs" / name).parameters / 1e9
        except WellfedError as error:
            yield _said(False, f"{name}: {error}")
            continue
        wanted = float(row["total_b"] or 0)
        limit = _COUNTED if row["how_known"].startswith("counted") else _ROUNDED
        good = not wanted or abs(count / wanted - 1) <= limit
        yield _said(good, f"{name}: {count:.4f} B instead of {wanted} B")


def _bytes(folder: Path) -> Iterator[bool]:
    for row in _rows(folder / "configs.tsv"):
        if not row["bytes_gb"]:
            continue
        model = read_config(folder / "configs" / row["folder"])
        held = weights(model, quantisation(model.native_quantisation))
        wanted = float(row["bytes_gb"]) * 1e9
        near = min(abs(size / wanted - 1) for size in (held.total, held.total - held.towers))
        yield _said(near <= _BYTES, f"{row['folder']}: {held.total / 1e9:.2f} GB instead of {row['bytes_gb']} GB")


def _formats(folder: Path) -> Iterator[bool]:
    for row in _rows(folder / "quant.tsv"):
        model = read_config(folder / "quant" / row["folder"])
        good = not row["format"] or model.native_quantisation == row["format"]
        yield _said(good, f"{row['folder']}: {model.native_quantisation} instead of {row['format']}")


def _ggufs(folder: Path) -> Iterator[bool]:
    for row in _rows(folder / "gguf_sizes.tsv"):
        size = _size(folder, row["model"], row["quant"], row["source"])
        wanted = float(row["file_gib"]) * GIB
        good = size is not None and (size.low <= wanted <= size.high or abs(size.bytes / wanted - 1) <= _BYTES)
        told = "an unknown model" if size is None else f"{size.bytes / GIB:.3f} GiB"
        yield _said(good, f"{row['model']} {row['quant']}: {told} instead of {row['file_gib']} GiB")


def _size(folder: Path, name: str, kind: str, source: str) -> FileSize | None:
    from wellfed.identity import identify

    try:
        model = identify(name).planned()
    except WellfedError:
        return None
    chosen = quantisation("gguf-bf16" if kind == "BF16" else kind)
    return file_size(model, chosen.made_by("ollama") if "ollama" in source else chosen)


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(Path(sys.argv[1])))
