"""How far five ways through the house are: files and functions passed, and the rooms, by a profiler.

python benchmarks/walks.py [SRC]     SRC: the `src` folder of another version, to compare with; default: this one

A line to an estimate, a GGUF to a ledger, a machine to a priced finding, a plan to a launch, metrics to a diagnosis.
Counted is each function of wellfed that is called at least once, and the files that these are in; imports count not.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
LINE = "rtx 4090, ryzen 9 7950x, 2x32gb ddr5-5600"
TRACER = """
import contextlib, io, sys
seen, depth = set(), 0
def note(frame, event, arg):
    code = frame.f_code
    if event == "call" and "/wellfed/" in code.co_filename and code.co_name[0] != "<":
        seen.add((code.co_filename, code.co_qualname))
from wellfed.cli.main import cli
sys.setprofile(note)
quiet = contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO())
with quiet[0], quiet[1], contextlib.suppress(SystemExit):
    cli.main(args=sys.argv[1:], standalone_mode=False)
sys.setprofile(None)
files = {file for file, _ in seen}
rooms = {file.rpartition("/wellfed/")[2].partition("/")[0].removesuffix(".py") for file in files}
print(len(files), len(seen), len(rooms))
"""


def passed(source: Path, *words: str) -> tuple[str, ...]:
    """Files, functions and rooms that a command passes."""
    environment = {**os.environ, "PYTHONPATH": f"{source}{os.pathsep}{ROOT / 'tests'}"}
    done = subprocess.run(
        [sys.executable, "-c", TRACER, *words], env=environment, capture_output=True, text=True, check=False
    )
    return tuple(done.stdout.split()) or ("?", "?", done.stderr.strip()[-60:])


def main(source: Path) -> None:
    """A line a walk."""
    sys.path.insert(0, str(ROOT / "tests"))
    from make_gguf import write

    with tempfile.TemporaryDirectory() as folder:
        gguf = write(Path(folder) / "tiny.gguf", "tiny", "q4_k_m")
        walks = {
            "a line to an estimate": ("plan", "qwen3-8b", "--on", LINE, "-e", "llama.cpp", "--quant", "q4_k_m"),
            "a GGUF to a ledger": ("plan", str(gguf), "--on", LINE, "--explain"),
            "a machine to a priced finding": ("check", "--on", LINE.replace("2x32gb", "1x32gb"), "--model", "qwen3-8b"),
            "a plan to a launch": ("run", str(gguf), "--dry-run"),
            "metrics to a diagnosis": (
                "watch",
                "--replay",
                str(ROOT / "tests" / "watch" / "traces" / "cpu-quota.jsonl"),
            ),
        }
        print(f"{'walk':32}{'files':>7}{'functions':>11}{'rooms':>7}")
        for name, words in walks.items():
            files, functions, rooms = passed(source, *words)
            print(f"{name:32}{files:>7}{functions:>11}{rooms:>7}")


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else ROOT / "src")
