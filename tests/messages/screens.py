"""Screens to read in a language: nearly everything that commands print, on machines that are written down.

python tests/messages/screens.py LANGUAGE [--width 100] [NAME...]     prints them; LANGUAGE `qps` is the disguised one
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from tempfile import mkdtemp

TESTS = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(TESTS), str(TESTS / "checks"), str(TESTS / "topology"), str(TESTS / "fleet")]

DESKTOP = "rtx 4090, ryzen 9 7950x, 64gb"
SMALL = "rtx 3060 12gb, core i5-13600k, 32gb"
EIGHT = "8x h200, 2x xeon platinum 8480+, 2tb"
GROUPS = ("bench", "fleet")
HELP = ("", "plan", "fit", "compare", "check", "topology", "snapshot", "run", "up", "bench", "bench calibrate",
        "bench compare", "bench engine", "bench link", "bench memory", "watch", "ps", "logs", "stop", "fleet", "fleet check",
        "fleet export", "fleet history", "fleet plan", "fleet snapshot", "fleet watch", "accuracy", "resolve", "catalog",
        "explain", "serve", "mcp", "completion")  # fmt: skip
DUMPS = ("arcs", "journal-of-a-bad-link", "no-peer-access", "server-memory", "card-behind-lspci", "built-narrow-link",
         "built-switch", "built-container")  # fmt: skip
TRACES = ("healthy", "paging", "queueing", "cpu-quota", "numa-remote", "slow-client", "stopped", "no-demand",
          "context-full", "busy-neighbour")  # fmt: skip
EXPORTS = ("script", "systemd", "compose", "kubernetes", "slurm", "ray", "ollama", "lmstudio", "llama-swap")

LINES: dict[str, list[str]] = {
    "plan-desktop": ["plan", "qwen3-32b", "--on", DESKTOP],
    "plan-hybrid": ["plan", "deepseek-r1", "--on", "rtx 4090, 2x xeon platinum 8480+, 1tb"],
    "plan-hybrid-explained": ["plan", "deepseek-r1", "--on", "rtx 4090, 2x xeon platinum 8480+, 1tb", "--explain"],
    "plan-eight": ["plan", "deepseek-v3", "--on", EIGHT, "-c", "32"],
    "plan-eight-explained": ["plan", "deepseek-v3", "--on", EIGHT, "-c", "32", "-e", "sglang", "--explain"],
    "plan-cpu": ["plan", "qwen3-30b-a3b", "--on", "2x epyc 9654, 24x64gb ddr5-4800"],
    "plan-mac": ["plan", "llama-3.3-70b", "--on", "mac studio m3 ultra 256gb"],
    "plan-igpu": ["plan", "qwen3-14b", "--on", "ryzen ai max+ 395, 128gb"],
    "plan-none": ["plan", "llama-3.1-405b", "--on", SMALL],
    "plan-targets": ["plan", "qwen3-32b", "--on", DESKTOP, "-c", "16", "--ttft", "0.3", "--tpot", "10"],
    "plan-near": ["plan", "llama-3.3-70b", "--on", "rtx 4090, ryzen 9 7950x, 48gb", "--quality", "at-least-q4"],
    "plan-rate": ["plan", "qwen3-8b", "--on", DESKTOP, "--rate", "30"],
    "plan-users": ["plan", "qwen3-8b", "--on", DESKTOP, "--max-users", "--ttft", "2", "--tpot", "50"],
    "plan-buy": ["plan", "qwen3-235b-a22b", "--buy", "--prices", "example:cny", "--budget", "200000"],
    "plan-buy-no-prices": ["plan", "qwen3-32b", "--buy"],
    "plan-cpus": ["plan", "qwen3-32b", "--on", "2x rtx 4090, ryzen 9 7950x, 64gb", "--cpus", "--prices", "example:cny"],
    "plan-money": ["plan", "qwen3-32b", "--on", DESKTOP, "--machine-price", "30000", "--electricity", "0.6", "--currency",
                   "CNY", "--api-price", "4"],
    "plan-command": ["plan", "--from-command", "llama-server -m Qwen3-32B-Q4_K_M.gguf -c 8192 -ngl 40", "--on", DESKTOP],
    "plan-command-vllm": ["plan", "--from-command",
                          "vllm serve Qwen/Qwen3-32B-FP8 --tensor-parallel-size 2 --max-model-len 16384", "--on",
                          "2x rtx 4090, ryzen 9 7950x, 128gb"],
    "plan-train": ["plan", "qwen3-8b", "--train", "lora", "--on", DESKTOP],
    "plan-train-none": ["plan", "llama-3.3-70b", "--train", "full", "--on", DESKTOP],
    "plan-speculate": ["plan", "qwen3-32b", "--on", DESKTOP, "--speculate", "draft:qwen3-0.6b", "--explain"],
    "plan-stream": ["plan", "deepseek-r1", "--on", SMALL, "--stream"],
    "plan-chart": ["plan", "qwen3-8b", "--on", DESKTOP, "--chart"],
    "plan-image": ["plan", "flux.1-dev", "--on", SMALL],
    "plan-whisper": ["plan", "whisper-large-v3", "--on", SMALL],
    "plan-embedding": ["plan", "bge-m3", "--on", SMALL],
    "plan-windows": ["plan", "qwen3-14b", "--on", SMALL, "--os", "windows"],
    "plan-old": ["plan", "qwen3-32b", "--on", "4x tesla p40, 2x xeon e5-2690 v4, 256gb"],
    "plan-ascend": ["plan", "deepseek-r1", "--on", "8x ascend 910b, 2x kunpeng 920, 1tb"],
    "plan-nodes": ["plan", "deepseek-v3", "--on", EIGHT, "--nodes", "2", "--network", "400Gb", "-c", "64"],
    "plan-deferred": ["plan", "qwen3-32b", "--on", DESKTOP, "--vram-free", "8gb", "--ram-free", "10gb"],
    "fit-small": ["fit", "--on", SMALL, "--top", "8"],
    "fit-code": ["fit", "--on", DESKTOP, "--for", "code"],
    "fit-none": ["fit", "--on", "celeron n5105, 4gb"],
    "compare": ["compare", DESKTOP, "2x rtx 3090, ryzen 9 5950x, 64gb", "mac studio m3 ultra 256gb", "-m", "qwen3-32b"],
    "compare-none": ["compare", SMALL, DESKTOP, "-m", "llama-3.1-405b"],
    "check": ["check", "--on", "4x rtx 4090, 2x xeon platinum 8480+, 8x32GB ddr5", "-m", "qwen3-32b"],
    "check-all": ["check", "--on", DESKTOP, "--all"],
    "check-list": ["check", "--list"],
    "topology-eight": ["topology", "--on", EIGHT],
    "topology-desktop": ["topology", "--on", DESKTOP],
    "resolve": ["resolve", "qwen3-32b", "r1:70b", "unsloth/GLM-4.5-Air-GGUF:UD-Q4_K_XL", "gpt-5", "qwen3-33b", "r1"],
    "explain": ["explain", "TTFT", "NUMA"],
    "explain-none": ["explain", "tfft"],
    "explain-all": ["explain"],
    "catalog-gpus": ["catalog", "gpus", "4090"],
    "catalog-cpus": ["catalog", "cpus", "9654"],
    "catalog-models": ["catalog", "models", "glm"],
    "catalog-builds": ["catalog", "builds"],
    "run-dry": ["run", "qwen3-8b", "--on", DESKTOP, "--dry-run"],
    "run-dry-vllm": ["run", "qwen3-32b", "--on", "2x a100 80gb, epyc 7543, 256gb", "-e", "vllm", "--dry-run"],
    "ps": ["ps"],
    "logs-none": ["logs", "nothing-there"],
    "stop-none": ["stop", "nothing-there"],
    "watch-none": ["watch", "--pid", "4194304", "--once"],
    "fleet-plan": ["fleet", "plan", "deepseek-v3", "--machines", "4=" + EIGHT, "--rate", "30", "--ttft", "2", "--spare", "1"],
    "fleet-plan-none": ["fleet", "plan", "qwen3-32b", "--machines", "1=rtx 4090, ryzen 9 7950x, 64gb", "--rate", "300"],
    "fleet-plan-disaggregated": ["fleet", "plan", "deepseek-v3", "--machines", "8=" + EIGHT, "--rate", "20", "--disaggregate"],
    "bench-compare": ["bench", "compare"],
    "snapshot-bad": ["snapshot", "/tmp/no-such-folder-here/x.zip"],
    "error-command": ["plann"],
    "error-option": ["plan", "qwen3-8b", "--onn", "rtx 4090"],
    "error-value": ["plan", "qwen3-8b", "-c", "zero"],
    "error-range": ["plan", "qwen3-8b", "--on", DESKTOP, "-c", "0"],
    "error-choice": ["plan", "qwen3-8b", "--for", "speed"],
    "error-missing": ["compare", DESKTOP],
    "error-no-model": ["plan"],
    "error-model": ["plan", "qwen9-900b", "--on", DESKTOP],
    "error-model-near": ["plan", "qwen3-33b", "--on", DESKTOP],
    "error-gpu": ["plan", "qwen3-8b", "--on", "rtx 4095, ryzen 9 7950x, 64gb"],
    "error-cpu": ["plan", "qwen3-8b", "--on", "rtx 4090, ryzen 9 7999x, 64gb"],
    "error-memory": ["plan", "qwen3-8b", "--on", "rtx 4090, ryzen 9 7950x, 64 apples"],
    "error-empty": ["plan", "qwen3-8b", "--on", ""],
    "error-file": ["check", "--from", "/no/such/file"],
    "error-quant": ["plan", "qwen3-8b", "-q", "Q9_Z", "--on", DESKTOP],
    "error-engine": ["plan", "qwen3-8b", "-e", "vlm", "--on", DESKTOP],
    "error-set": ["plan", "qwen3-8b", "--set", "ubatch-sise=3", "--on", DESKTOP],
    "error-budget": ["plan", "qwen3-8b", "--on", DESKTOP, "--budget", "100"],
    "error-prices": ["plan", "qwen3-8b", "--buy", "--prices", "/no/such/prices.toml"],
    "error-check-id": ["check", "--on", DESKTOP, "-s", "pci-speed"],
    "error-use": ["plan", "qwen3-8b", "--use", "home"],
    "error-speculate": ["plan", "qwen3-8b", "--speculate", "magic", "--on", DESKTOP],
    "error-network": ["plan", "qwen3-8b", "--nodes", "2", "--network", "fast", "--on", DESKTOP],
    "error-gguf": ["plan", "/etc/hostname", "--on", DESKTOP],
    "error-run": ["run", "qwen3-8b", "--host", "0.0.0.0"],
    "error-bench": ["bench", "engine", "http://127.0.0.1:1", "--requests", "1"],
    "error-history": ["fleet", "history", "--db", "/no/such/history.sqlite"],
    "error-trace": ["watch", "--replay", "/etc/hostname"],
    "error-kv": ["plan", "qwen3-8b", "--kv-type", "q3_9", "--on", DESKTOP],
}  # fmt: skip


@cache
def folder() -> Path:
    """Where machines, fleets and histories are laid down."""
    return Path(mkdtemp(prefix="screens-"))


@cache
def _dump(name: str) -> str:
    from golden_machines import MACHINES

    place = folder() / name
    place.mkdir(exist_ok=True)
    return str(MACHINES[name](place))


@cache
def fleet_folder() -> str:
    """Snapshots of nodes, some with a fault."""
    from emulated_fleet import FAULTS, fleet

    from wellfed.topology.snapshot_io import save

    place = folder() / "fleet"
    place.mkdir()
    for label, node in fleet(14, dict(enumerate(list(FAULTS)[:6]))):
        save(node, place / f"{label}.tar.gz")
    return str(place)


@cache
def history_file() -> str:
    """A week of four nodes: one loses lanes, a driver slows another."""
    from written_exporters import Clock, nodes

    from wellfed.verbs.fleet_watching import KeepOptions, keep

    clock, noise, place = Clock(), random.Random(4), folder() / "history.sqlite"
    with nodes(4) as fleet:
        rounds = keep([node.where for node in fleet], KeepOptions(place, every_s=300.0, rounds=110), clock, clock.sleep)
        for number, _ in enumerate(rounds):
            if number == 60:
                fleet[1].tok_s *= 0.8
                fleet[1].facts["gpu0", "link"] = "Gen4 x8"
            if number == 80:
                fleet[2].tok_s *= 0.8
                fleet[2].causes = ("gpu-throttled",)
            for node in fleet:
                node.tell(noise)
    return str(place)


def screens() -> Iterator[tuple[str, list[str]]]:
    """Name and command line of each; what it needs is laid down on the way."""
    for command in HELP:
        yield f"help-{command.replace(' ', '-') or 'all'}", [*command.split(), "--help"]
    yield from LINES.items()
    for name in DUMPS:
        yield f"check-{name}", ["check", "--from", _dump(name)]
        yield f"topology-{name}", ["topology", "--from", _dump(name)]
    yield "check-fix", ["check", "--from", _dump("built-narrow-link"), "--fix"]
    for name in TRACES:
        yield f"watch-{name}", ["watch", "--replay", str(TESTS / "watch" / "traces" / f"{name}.jsonl")]
    for kind in EXPORTS:
        engine = ["-e", "vllm"] if kind == "ray" else ["-e", "llama.cpp"]
        yield f"export-{kind}", ["run", "qwen3-8b", "--on", DESKTOP, *engine, "--export", kind]
    yield "fleet-check", ["fleet", "check", fleet_folder(), "-m", "qwen3-32b"]
    yield "fleet-history", ["fleet", "history", "--db", history_file(), "--since", "3650d", "--all"]
    yield "report", ["plan", "qwen3-32b", "--on", DESKTOP, "--report", str(folder() / "report.md")]


def shown(arguments: list[str], width: int) -> str:
    """What it prints on a terminal, both streams, and its exit code where that is not 0."""
    from wellfed.cli import main  # the child has it loaded

    place = folder() / "shown.txt"
    child = os.fork()
    if child == 0:
        file = os.open(place, os.O_WRONLY | os.O_CREAT | os.O_TRUNC)
        os.dup2(file, 1)
        os.dup2(file, 2)
        sys.stdout, sys.stderr = (open(number, "w", encoding="utf-8", closefd=False) for number in (1, 2))  # noqa: SIM115
        os.environ |= {"COLUMNS": str(width), "NO_COLOR": "1"}
        sys.argv = ["wellfed", *arguments]
        code = 0
        try:
            main.main()
        except SystemExit as left:
            code = int(left.code or 0)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)
    _, status = os.waitpid(child, 0)
    code = os.waitstatus_to_exitcode(status)
    text = "\n".join(line.rstrip() for line in place.read_text(encoding="utf-8").splitlines())
    return f"{text}\n" + (f"[exit {code}]\n" if code else "")


def disguise() -> None:
    """The language `qps`: every message lengthened and accented, so that what stays plain was not reached."""
    sys.path.append(str(TESTS.parent / "scripts"))
    import messages as tool  # scripts/messages.py
    from wellfed.messages import language

    tool.pseudo(folder())
    language.LOCALE = folder()
    language.languages.cache_clear()
    language.language.cache_clear()


def main() -> None:
    """Print them."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("language")
    parser.add_argument("names", nargs="*")
    parser.add_argument("--width", type=int, default=100)
    settings = parser.parse_args()
    os.environ["WELLFED_LANG"] = settings.language
    if settings.language == "qps":
        disguise()
    for name, arguments in screens():
        if not settings.names or any(name.startswith(each) for each in settings.names):
            print(f"##### {name}: wellfed {' '.join(arguments)}\n{shown(arguments, settings.width)}", flush=True)
            if name == "report":
                print((folder() / "report.md").read_text(encoding="utf-8"))


if __name__ == "__main__":
    main()
