"""Mutants: small lies put into a copy of the source; the tests that must notice each. All of them have to die.

    python scripts/mutants.py                    every mutant of tests/mutants/*.toml
    python scripts/mutants.py local quota        those whose file or name holds one of these words
    python scripts/mutants.py --list

A mutant is an entry `[[mutant]]`: `name`, `file` (under src/wellfed), `before` (text that occurs there exactly once),
`after`, `tests` (what pytest is to run, the fewest that notice). A text that is no longer there is an error too:
whoever changes a formula carries its mutants along. Exit code 1 where one survives or is stale.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
from dataclasses import dataclass
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
FOLDER = ROOT / "tests" / "mutants"
_PARTS = ("src", "tests", "scripts", "pyproject.toml", "README.md", "CHANGELOG.md", "docs")


@dataclass(frozen=True, slots=True)
class Mutant:
    """One edit of one file, and the tests that must fail with it."""

    group: str
    name: str
    file: str
    before: str
    after: str
    tests: tuple[str, ...]

    def applied(self, source: str) -> str:
        """The file's text with the lie in it. Raises ValueError where `before` does not occur exactly once."""
        count = source.count(self.before)
        if count != 1:
            raise ValueError(f"its text occurs {count} times in {self.file}")
        return source.replace(self.before, self.after)


def mutants() -> list[Mutant]:
    """All that are written down."""
    found = []
    for path in sorted(FOLDER.glob("*.toml")):
        for entry in tomllib.loads(path.read_text())["mutant"]:
            tests = tuple(entry.pop("tests"))
            found.append(Mutant(path.stem, tests=tests, **entry))
    return found


def verdict(mutant: Mutant, copy: Path) -> str:
    """`dead`, `survived` or why it could not be tried. The copy is left as it was."""
    path = copy / "src" / "wellfed" / mutant.file
    original = path.read_text() if path.exists() else ""
    try:
        path.write_text(mutant.applied(original))
    except (ValueError, OSError) as error:
        return f"stale: {error}"
    try:
        code = tested(mutant.tests, copy)
    finally:
        path.write_text(original)
    return {0: "survived", 1: "dead"}.get(code, f"broken: pytest ended with {code}")


def tested(tests: tuple[str, ...], copy: Path) -> int:
    """pytest's exit code for these tests in the copy."""
    command = [sys.executable, "-m", "pytest", "-q", "-x", "--no-header", "-p", "no:cacheprovider", *tests]
    environment = {**os.environ, "PYTHONPATH": str(copy / "src"), "PYTHONDONTWRITEBYTECODE": "1"}
    return subprocess.run(command, cwd=copy, env=environment, capture_output=True, check=False).returncode


def copied(folder: Path) -> Path:
    """A copy of what the tests need."""
    copy = folder / "copy"
    copy.mkdir()
    for name in _PARTS:
        source = ROOT / name
        if source.is_dir():
            shutil.copytree(source, copy / name, ignore=shutil.ignore_patterns("__pycache__"))
        elif source.exists():
            shutil.copy(source, copy / name)
    return copy


def main() -> int:
    """Try the mutants that were asked for and tell of each."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("words", nargs="*", help="only mutants whose file or name holds one of these")
    parser.add_argument("--list", action="store_true", help="tell their names and do nothing")
    args = parser.parse_args()
    words = args.words or [""]
    chosen = [one for one in mutants() if any(word in f"{one.group} {one.name}" for word in words)]
    if args.list:
        sys.stdout.write("".join(f"{one.group}: {one.name}\n" for one in chosen))
        return 0
    with tempfile.TemporaryDirectory() as folder:
        copy = copied(Path(folder))
        healthy = tuple(dict.fromkeys(test for one in chosen for test in one.tests))
        if tested(healthy, copy) != 0:
            sys.stderr.write("the tests fail without any mutant\n")
            return 2
        alive = 0
        for one in chosen:
            found = verdict(one, copy)
            alive += found != "dead"
            sys.stdout.write(f"{found:10} {one.group}: {one.name}\n")
            sys.stdout.flush()
    sys.stdout.write(f"{len(chosen) - alive} of {len(chosen)} mutants died\n")
    return 1 if alive else 0


if __name__ == "__main__":
    sys.exit(main())
