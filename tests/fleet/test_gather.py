"""Gathering: nodes that answer, hang, die, send too much, answer in another version; going on after a kill."""

from __future__ import annotations

import json
import os
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from click.testing import CliRunner

from wellfed.cli.main import cli
from wellfed.errors import BadInput
from wellfed.fleet import gather as gathering
from wellfed.fleet.gather import NAMES, Gathering, gather
from wellfed.fleet.manifest import daemonset
from wellfed.fleet.means import Command, Slurm, Ssh, ensure_names, nodes_in
from wellfed.topology.snapshot_io import load

NODE = """#!/bin/sh
case $1 in
    good*) exec sh -s ;;
    hangs*) exec sleep 60 ;;
    dies*) echo 'Connection refused' >&2; exit 255 ;;
    cut*) sh -s | head -c 9000 ;;
    twice*) cat > /tmp/s.$$; sh /tmp/s.$$; sh /tmp/s.$$; rm /tmp/s.$$ ;;
    old*) echo 'wellfed-node 0'; echo 'E 0' ;;
    floods*) exec cat /dev/zero ;;
    hundred*) sh -s | sed '$d'; echo H; echo ' ==> /proc/cpuinfo <=='; yes ' processor : 0' | head -c 100000000; echo 'E 9' ;;
    secret*) echo "ssh: connect to host $1.corp.example port 22: root@$1.corp.example (10.9.8.7): refused" >&2; exit 255 ;;
    escapes*) printf '\\033[2J\\033]0;owned\\007' >&2; exit 3 ;;
esac
"""


@pytest.fixture
def means(tmp_path: Path) -> Command:
    program = tmp_path / "node"
    program.write_text(NODE)
    program.chmod(0o755)
    return Command.of(f"{program} {{}}")


def test_each_node_costs_only_itself(means: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gathering, "MOST_BYTES", 2_000_000)
    nodes = ("good1", "hangs", "dies", "cut", "twice", "old", "floods", "escapes", "good2")
    outcomes = {o.node: o for o in gather(nodes, means, Gathering(tmp_path / "out", timeout_s=6.0))}
    assert len(outcomes) == len(nodes)
    assert {name for name, o in outcomes.items() if o.file} == {"good1", "good2", "cut", "twice"}
    assert outcomes["cut"].partial and not outcomes["good1"].partial
    why = {name: str(o.why) for name, o in outcomes.items()}
    assert "no answer within" in why["hangs"] and "Connection refused" in why["dies"]
    assert "another version" in why["old"] and "more than" in why["floods"]
    assert "\033" not in why["escapes"]
    file = outcomes["good1"].file
    assert file is not None and load(file).files
    report = json.loads((tmp_path / "out/fleet.json").read_text())
    assert [n["label"] for n in report["nodes"]] == sorted(o.label for o in outcomes.values())


@pytest.mark.slow
def test_each_fault_from_the_command_line(means: Command, tmp_path: Path) -> None:
    """With the real limits: a node that hangs, dies, answers twice, sends 100 MB, never stops, is of another version."""
    out = tmp_path / "out"
    nodes = ["good1", "hangs", "dies", "twice", "hundred", "floods", "old"]
    words = [sys.executable, "-m", "wellfed", "fleet"]
    via = ["--via", f"{means.words[0]} {{}}", "--timeout", "20", "--names"]
    done = subprocess.run([*words, "snapshot", *nodes, *via, "--out", str(out)], capture_output=True, text=True,
                          check=False)  # fmt: skip
    assert done.returncode == 1 and "Traceback" not in done.stderr
    told = {line.split()[1]: line for line in done.stderr.splitlines() if line.startswith("[")}
    assert "no answer within 20" in told["hangs"] and "Connection refused" in told["dies"]
    assert "sent more than" in told["floods"] and "another version" in told["old"]
    assert "in part" in told["hundred"] and not {"good1", "twice"} & told.keys()
    files = {path.name.removesuffix(".tar.gz"): path for path in out.glob("*.tar.gz")}
    assert sorted(files) == ["good1", "hundred", "twice"]
    assert all(path.stat().st_size < 1 << 20 for path in files.values())
    assert load(files["twice"]).files.keys() == load(files["good1"]).files.keys()
    checked = subprocess.run([*words, "check", str(out), "--json"], capture_output=True, text=True, check=False)
    nodes_read = {node["label"]: node["read"] for node in json.loads(checked.stdout)["nodes"]}
    assert nodes_read == {name: name in files for name in nodes}


def test_names_stay_here_and_labels_stay_the_same(means: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    first = gather(("good1", "dies"), means, Gathering(out))
    again = gather(("goodnew", "good1"), means, Gathering(out))
    labels = {o.node: o.label for o in (*first, *again)}
    assert labels == {"good1": "node-0001", "dies": "node-0002", "goodnew": "node-0003"}
    assert next(o for o in again if o.node == "good1").from_before
    assert stat.S_IMODE((out / NAMES).stat().st_mode) == 0o600
    assert "good" not in (out / "fleet.json").read_text()
    assert not any("good" in path.name for path in out.iterdir())


def test_why_a_node_is_missing_does_not_name_it_in_the_report(means: Command, tmp_path: Path) -> None:
    words = ["fleet", "snapshot", "secret7", "--via", f"{means.words[0]} {{}}", "--out"]
    done = RUN.invoke(cli, [*words, str(tmp_path / "a")])
    assert "secret7" in done.output  # here it is told
    report = (tmp_path / "a/fleet.json").read_text()
    assert "refused" in report and "host node-0001 port" in report
    for name in ("secret7", "corp.example", "10.9.8.7"):
        assert name not in report
    RUN.invoke(cli, [*words, str(tmp_path / "b"), "--names"])
    assert "secret7" in (tmp_path / "b/fleet.json").read_text()


def test_a_killed_gather_goes_on(means: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    argv = [sys.executable, "-m", "wellfed", "fleet", "snapshot", "good1", "hangs1", "--out", str(out), "--via",
            f"{means.words[0]} {{}}", "--timeout", "50"]  # fmt: skip
    process = subprocess.Popen(argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _ in range(600):
        if list(out.glob("node-*.tar.gz")):
            break
        time.sleep(0.05)
    process.send_signal(signal.SIGKILL)
    process.wait(10)
    assert [p.name for p in out.glob("node-*.tar.gz")] == ["node-0001.tar.gz"]
    again = [word.replace("hangs1", "good9") for word in argv]
    done = subprocess.run(again, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert "2 of 2 nodes" in done.stdout and "1 from before" in done.stdout
    assert sorted(p.name for p in out.glob("*.tar.gz")) == ["node-0001.tar.gz", "node-0003.tar.gz"]
    assert not list(out.glob(".node*")), "a draft of a killed gather stays"


@pytest.mark.parametrize(("sent", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_given_up_it_leaves_at_once_and_nothing_behind(
    means: Command, tmp_path: Path, sent: signal.Signals, code: int
) -> None:
    """Nodes that hang are not waited for, and their commands end with it."""
    program = tmp_path / "hang"
    program.write_text(f"#!/bin/sh\necho $$ >> {tmp_path}/pids\nexec sleep 500\n")
    program.chmod(0o755)
    argv = [sys.executable, "-m", "wellfed", "fleet", "snapshot", "a", "b", "c", "--out", str(tmp_path / "o"), "-j", "2",
            "--via", f"{program} {{}}", "--timeout", "400"]  # fmt: skip
    process = subprocess.Popen(
        argv, stderr=subprocess.PIPE, text=True, preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL)
    )
    pids = tmp_path / "pids"
    for _ in range(600):
        if pids.exists() and len(pids.read_text().split()) == 2:
            break
        time.sleep(0.05)
    process.send_signal(sent)
    _, told = process.communicate(timeout=100)
    assert process.returncode == code and "Traceback" not in told
    assert len(pids.read_text().split()) == 2, "the third was asked all the same"
    for pid in pids.read_text().split():
        assert not Path(f"/proc/{pid}").exists() or "Z" in Path(f"/proc/{pid}/stat").read_text()


def test_the_ways_to_a_node() -> None:
    assert Ssh().argv("n1")[-3:] == ["--", "n1", "exec sh -s"]
    assert "BatchMode=yes" in Ssh().argv("n1")
    argv = Slurm("gpu").argv("n7")
    assert argv[0] == "srun" and "--ntasks-per-node=1" in argv and argv[argv.index("-w") + 1] == "n7"
    assert argv[argv.index("-p") + 1] == "gpu" and argv[-2:] == ["sh", "-s"]
    assert Command.of("docker exec -i {} sh -s").argv("a b") == ["docker", "exec", "-i", "a b", "sh", "-s"]


@pytest.mark.parametrize("name", ["", "-oProxyCommand=sh", "a b", "a\nb", "a;b", "../x", "a/b", "x" * 300])
def test_what_is_no_name_is_refused(name: str) -> None:
    with pytest.raises(BadInput):
        ensure_names([name])


def test_lists_of_nodes(tmp_path: Path) -> None:
    file = tmp_path / "nodes"
    file.write_text("# all\n[gpu]\nn1 ansible_host=1\n\nn2  # two\nn1\n")
    assert nodes_in(file) == ("n1", "n2")


def test_the_daemonset_holds_the_script_and_no_privilege(tmp_path: Path) -> None:
    text = daemonset()
    config, workload = (json.loads(part) for part in text.split("---\n"))
    assert config["data"]["node.sh"].startswith("#!/bin/sh")
    pod = workload["spec"]["template"]["spec"]
    assert pod["containers"][0]["securityContext"]["allowPrivilegeEscalation"] is False
    assert all(mount["readOnly"] for mount in pod["containers"][0]["volumeMounts"])
    validate = pytest.importorskip("kubernetes_validate")
    for document in (config, workload):
        validate.validate(document, "1.31", strict=True)


RUN = CliRunner()


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("snapshot", "n1"), 2, "--out"),
        (("snapshot", "--out", "o"), 2, "no node is named"),
        (("snapshot", "--out", "o", "--slurm", "--via", "x {}"), 2, "one way"),
        (("snapshot", "--out", "o", "n1", "--partition", "p"), 2, "--slurm"),
        (("snapshot", "--out", "o", "n1", "--via", "ssh"), 2, "{}"),
        (("snapshot", "--out", "o", "n1", "--via", "'"), 2, "not a command"),
        (("snapshot", "--out", "o", "n1", "--via", ""), 2, "{}"),
        (("snapshot", "--out", "o", "--nodes-file", "absent"), 2, "absent"),
        (("snapshot", "--out", "/proc/x/y", "n1"), 2, "cannot write"),
        (("check", "absent"), 2, "no folder"),
        (("check", "."), 2, "no snapshot"),
    ],
)  # fmt: skip
def test_bad_input_is_one_error_with_its_way_out(words: tuple[str, ...], code: int, said: str, tmp_path: Path) -> None:
    done = subprocess.run([sys.executable, "-m", "wellfed", "fleet", *words], capture_output=True, text=True,
                          cwd=tmp_path, check=False)  # fmt: skip
    assert done.returncode == code and said in done.stderr
    assert "Traceback" not in done.stderr


def test_the_door(means: Command, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["fleet", "snapshot", "good1", "dies", "--out", str(out), "--via", f"{means.words[0]} {{}}"]
    done = RUN.invoke(cli, arguments)
    assert done.exit_code == 1 and "1 of 2 nodes" in done.output
    assert RUN.invoke(cli, ["fleet", "snapshot", "--print-script"]).output.startswith("#!/bin/sh")
    checked = RUN.invoke(cli, ["fleet", "check", str(out), "--json"])
    document = json.loads(checked.output)
    assert [(n["label"], n["read"]) for n in document["nodes"]] == [("node-0001", True), ("node-0002", False)]
    assert "Connection refused" in document["nodes"][1]["why"]["text"]
    assert os.path.exists(out / "node-0001.tar.gz")  # noqa: PTH110
