"""Bad input over all commands: one clear error, exit 2 (never a traceback, never silence), JSON where it was asked for."""

from __future__ import annotations

import json
import shlex

import click
import pytest
from click.testing import CliRunner

from samples import few
from wellfed.cli.main import COMMANDS, cli
from wellfed.errors import WellfedError

CARD = "'rtx 4090, ryzen 9 7950x'"
_MACHINES = ("''", "' '", "1000x", "'xyzzy 9000'", "/nonexistent.json", "/etc/hostname", "build:nothing", "'rtx 4090 plumbus'",
             "'rtx 4090, 64 parsecs'")  # fmt: skip
_NUMBERS = ("abc", "0", "-1", "nan", "inf", "1e99", "''", "١٢x", "0x10", "1,5")
_CHOICES = ("xyz", "''", "--")
_COUNTED = ("--concurrency", "--prompt", "--output", "--context", "--nodes", "--top")
_MEASURED = ("--ttft", "--tpot", "--rate", "--price-hour", "--electricity", "--machine-price", "--api-price")

# Options that mean nothing beside the others, or without one that is missing.
_TOGETHER = (
    "--rate 2 -c 4", "--batch 8", "--micro-batch 2", "--sequence 512", "--rank 8", "--gpus 2", "--chunked-loss",
    "--train lora --ttft 3", "--train lora -e vllm", "--train full -c 4", "--train qlora --report a.html",
    "--train lora --budget 5", "--power 500", "--prices example:usd", "--json --chart", "--years 5", "--api-price 2",
    "--network 400Gb", "--os macos", "--cpus --budget 5",
)  # fmt: skip
# Slips of units and of files, sizes beyond the machine, names of other things, words in Chinese.
_SLIPS = (
    "--ttft 3parsecs", "--ttft 3k", "--tpot 50mb", "--rate 6/furlong", "--context 32q", "--context 1.5.2k", "--prompt 4秒",
    "--vram-free 100gb", "--vram-free 10gb,10gb", "--vram-free -3gb", "--ram-free lots", "--ram-free 900gb",
    "--carve-out 8gb", "--nodes 2 --network fast", "--nodes 2 --network 0Gb", "-e vlm", "-e vllm@", "-e llama.cpp@tomorrow",
    "-q 4bit", "--kv-type q4_0/fp8/f16", "--speculate eagle@0", "--speculate draft:", "--speculate magic",
    "--speculate draft:deepseek-r1", "--acceptance 70", "--lora 0", "--lora 4@", "--train lora --batch 4 --micro-batch 8",
    "--train lora --gpus 4", "--chart x.png", "--chart /nonexistent/x.svg", "--report /usr", "--report x.pdf",
    "--price-hour free", "--machine-price 2000 --years 0", "--save a/b", "--save ''", "--use nosuch", "llama3-8b",
    "--prompt 4000 --context 1000", "--shared-prefix 5000 --prompt 1000", "--from-command 'vllm serve x'", "--for 便宜",
    "--workload 聊天", "--currency 人民币元角分 --budget 3",
)  # fmt: skip
# Settings by the engines' own flags with values of another type; counts that contradict; names of paths that are not there.
_SETTINGS = (
    "''", "=1", "ubatch-size", "rpc=abc", "rpc=0.5", "kv-transfer-config=nojson", "speculative-config=[]", "tp=two",
    "gpu-memory-utilization=2", "n-gpu-layers=many", "tensor-split=a,b", "enforce-eager=maybe", "override-tensor=x",
    "disaggregation-mode=both", "kv-bits=3", "dtype=fp7", "max-model-len=long", "cache-type-k=q99", "no-mmap=1", "foo=1",
)  # fmt: skip
_COUNTS = ("'2x rtx 4090 x3'", "'1e3x rtx 4090'", "'1.5x rtx 4090'", "/dev/null", "'m4 ultra'", "'a100 sxm 48gb'")
_PATHS = ("./nofile.gguf", "../nofolder", "nosuchmodel.gguf", "/nonexistent/folder", "/etc/hostname")
_CLOSED = "http://127.0.0.1:1"

LINES = [
    *(f"plan qwen3-8b --on {CARD} --set {setting}" for setting in _SETTINGS),
    *(f"fit --on {on}" for on in _COUNTS),
    *(f"plan {path}" for path in _PATHS),
    *(f"plan qwen3-8b --on {CARD} {words}" for words in (*_TOGETHER, *_SLIPS)),
    *(f"plan qwen3-8b --buy --prices example:usd {words}"
      for words in ("--report a.html", "--chart", "--max-users", "--explain", "--budget 8000eur")),
    *(f"plan qwen3-8b --on {on}" for on in ("'-2x rtx 4090'", "'0x rtx 4090'", "'rtx 4090, 3x ryzen 9 7950x'", "没有这个显卡",
                                            "'rtx 4090, 64gb, 128gb'", "'rtx 4090, ryzen 9 7950x, ddr3-1600 64gb'",
                                            "http://example.com/x.toml", "build:")),
    *(f"plan --from-command {line} --on {CARD}"
      for line in ("''", "'rm -rf /'", "llama-server", "'llama-server -m'", "pid:999999999", "pid:abc", "'vllm serve -c'")),
    *(f"plan {name} --on {CARD}" for name in ("whisper-large-v3", "gpt-4o", "claude", "不存在的模型", "'qwen3-8b q4_k_m q8_0'")),
    "fit qwen3-8b", f"fit --on {CARD} --for 聊天", f"fit --on {CARD} --top 1e3",
    *(f"compare {CARD} -m qwen3-8b {words}" for words in ("--svg x.png", "--png x.svg", "--svg /nonexistent/a.svg", "xyzzy")),
    *(f"check --on {CARD} {words}" for words in ("--users 5", "--workload rag", "--network 400Gb", "--load",
                                                 "--junit /nonexistent/a.xml", "--select ''")),
    *(f"run qwen3-8b {words}" for words in ("--dry-run --nodes 2", "--dry-run --network 400Gb", "--dry-run --threads 9999",
                                            "--dry-run --port http", "--dry-run --host 0.0.0.0", "--dry-run --host 'a b'",
                                            "--dry-run --repo notarepo", "--dry-run --api-key a --no-key",
                                            "--dry-run --program /etc/passwd", "--export docker", f"--on {CARD}",
                                            "--dry-run -- --port 1")),
    *(f"topology --on {CARD} {words}" for words in ("--svg x.png", "--svg x.svg --json")),
    *(f"bench {words}" for words in ("engine xyz", f"engine {_CLOSED}", "memory --threads abc", "xyz",
                                     "calibrate /nonexistent.gguf", "calibrate no-such-model-x")),
    *(f"watch {words}" for words in ("nobody", "--pid 999999999", "--replay /nonexistent.jsonl", f"--for 5x --url {_CLOSED}",
                                     f"--for -5s --url {_CLOSED}", "--window 1", "--url ftp://x")),
    *(f"fleet {words}" for words in ("check /nonexistent", "plan qwen3-8b", "plan qwen3-8b --machines '0=8x h200'",
                                     "plan qwen3-8b --machines '3=xyzzy'", "snapshot", "watch", "history /nonexistent")),
    *(f"serve {words}" for words in ("--port 70000", "--fleet /nonexistent", "--token-file /nonexistent")),
    *(f"catalog {words}" for words in ("gpus nosuchgpu", "models 不存在", "builds xyz", "update --most 0")),
    "explain nosuch-check", "snapshot /usr", "snapshot", "logs", "ps extra", "install", "Plan qwen3-8b", "列出", "--json",
    *(f"plan qwen3-8b --on {on}" for on in _MACHINES),
    *(f"plan qwen3-8b --on {CARD} --quant {value}" for value in ("q99", "''", "fp7")),
    *(f"plan qwen3-8b --on {CARD} --kv-type {value}" for value in ("q99", "fp7")),
    *(f"plan qwen3-8b --on {CARD} --set {value}" for value in ("x", "=", "x=1", "ubatch-size=abc")),
    *(f"plan {name} --on {CARD}" for name in ("''", "no-such-model-x", "/", "/etc/hostname", "/nonexistent.gguf")),
    f"plan --on {CARD}", "plan qwen3-8b --on /usr/bin",
    f"plan qwen3-8b --on {CARD} --budget 5",
    f"plan qwen3-8b --on {CARD} --max-users",
    f"plan qwen3-8b --buy --on {CARD}",
    "plan qwen3-8b --buy --prices example:xyz",
    "plan qwen3-8b --buy --prices /nonexistent.toml",
    "plan qwen3-8b --buy --budget 100",
    f"plan qwen3-8b --on {CARD} --prompt 999999999",
    f"plan qwen3-8b --on {CARD} --report /nonexistent/x.html",
    f"plan qwen3-8b --on {CARD} --report x.exe",
    *(f"fit --on {CARD} {words}" for words in ("--for xyz", "--top 0", "--top abc", "extra")),
    *(f"check --on {CARD} {words}" for words in ("--only xyz", "--ignore xyz", "--model no-such-model-x", "--users 0",
                                                 "--json --fix", "--from /nonexistent")),
    *(f"resolve {words}" for words in ("", "''", "no-such-model-x")),
    *(f"explain {words}" for words in ("xyzzy", "''")),
    *(f"accuracy {words}" for words in ("", "/nonexistent.csv", "/", "/etc/hostname")),
    *(f"stop {words}" for words in ("", "nobody", "nobody --all")),
    *(f"logs {words}" for words in ("nobody",)),
    *(f"watch {words}" for words in ("--url http://127.0.0.1:1", "--url ''", "--url xyz", "--interval abc")),
    *(f"topology --on {CARD} {words}" for words in ("--png x.jpg", "--svg /nonexistent/x.svg", "extra extra")),
    *(f"snapshot {words}" for words in ("/nonexistent/x.json",)),
    *(f"catalog {words}" for words in ("xyz",)),
    *(f"{name} --no-such-option" for name in COMMANDS),
    "help", "version", "plam qwen3-8b", "--no-such-option", "--jsn",
]  # fmt: skip
# Every option with every value, every command with every machine: each value and each option is among every third.
CROSSED = [
    *(f"{verb} --on {on}" for verb in ("fit", "check", "topology", "compare qwen3-8b") for on in _MACHINES),
    *(f"plan qwen3-8b --on {CARD} {flag} {value}" for flag in _COUNTED for value in _NUMBERS),
    *(f"plan qwen3-8b --on {CARD} {flag} {value}" for flag in _MEASURED for value in ("abc", "0", "-1", "nan", "inf", "''")),
    *(f"plan qwen3-8b --on {CARD} {flag} {value}" for flag in ("--for", "--workload", "--engine", "--quality", "--os")
      for value in _CHOICES),
]  # fmt: skip


def _error(line: str) -> tuple[int, str]:
    """Exit code and message, as the door would show them."""
    done = CliRunner().invoke(cli, shlex.split(line), standalone_mode=False)
    match done.exception:
        case WellfedError() as error:
            return error.exit_code, error.message
        case click.ClickException() as error:
            return 2, error.format_message()
        case SystemExit() as error:
            return int(error.code or 0), done.output
        case None:
            return 0, done.output
        case error:
            return -1, f"{type(error).__name__}: {error}"


@pytest.mark.parametrize("line", [*LINES, *few(CROSSED, 3)])
def test_it_is_refused_in_words(line: str) -> None:
    code, said = _error(line)
    assert code in {1, 2}, said
    assert said.strip() and "Traceback" not in said


def test_there_are_enough_of_them() -> None:
    assert len({*LINES, *CROSSED}) >= 350
    assert {line.split()[0] for line in LINES} >= set(COMMANDS) - {"completion", "ps"}


@pytest.mark.parametrize(
    "line",
    ["plan qwen3-8b --on xyzzy", "check --select xyzzy", "explain xyzzy", "xyzzy", "catalog gpus xyzzy", "plan qwen3-8b -q q99",
     "fleet check /nonexistent", "bench xyz", "plan ./nofile.gguf", "plan qwen3-8b --on '2x rtx 4090 x3'", "plan qwen3-8b --budget 5", "plan qwen3-8b --prices /nonexistent.toml --buy"],
)  # fmt: skip
def test_it_says_what_to_do(line: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from wellfed.cli.main import main

    monkeypatch.setattr("sys.argv", ["wellfed", *shlex.split(line)])
    with pytest.raises(SystemExit) as stopped:
        main()
    said = capsys.readouterr().err
    assert stopped.value.code == 2 and said.startswith("error: ") and "\nhint: " in said


@pytest.mark.parametrize(
    ("option", "text", "value"),
    [("context", "32k", 32768), ("context", "1M", 1_048_576), ("context", "8192", 8192), ("context", "1万", 10_000),
     ("ttft", "500ms", 0.5), ("ttft", "3s", 3.0), ("ttft", "2 秒", 2.0), ("tpot", "50ms", 50.0), ("tpot", "0.05s", 50.0),
     ("rate", "6/s", 6.0), ("rate", "300/min", 5.0), ("rate", "6", 6.0)],
)  # fmt: skip
def test_numbers_may_have_their_unit(option: str, text: str, value: float) -> None:
    from wellfed.cli.plan import command

    kind = next(each for each in command.params if each.name == option).type
    assert kind.convert(text, None, None) == pytest.approx(value)


def test_nothing_is_measured_for_a_model_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    from wellfed.verbs import calibrating

    monkeypatch.setattr(calibrating, "_memory", lambda *_: pytest.fail("measured"))
    assert _error("bench calibrate no-such-model-x")[0] == 2


def test_errors_under_json_are_json(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    from wellfed.cli.main import main

    monkeypatch.setattr("sys.argv", ["wellfed", "plan", "no-such-model-x", "--on", "rtx 4090", "--json"])
    with pytest.raises(SystemExit) as stopped:
        main()
    assert stopped.value.code == 2 and set(json.loads(capsys.readouterr().out)["error"]) == {"kind", "message", "hint"}
