"""A fleet handed over: labels, Slurm's files, manifests, thresholds; each read by what will read it, where that is here.

WELLFED_CRDS names a folder with published definitions (keda.yaml, llmisvc.yaml, nfd.yaml, lws.yaml, dynamo.yaml); without it the
fields that are documented are checked alone. slurmd is looked for on PATH.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import stat
import subprocess
import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from emulated_fleet import FAULTS, healthy, snapshot
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from machines_builder import Box, build
from samples import few
from wellfed.catalog.hardware import cpu_or_none, gpu_or_none
from wellfed.checks.run import run_checks
from wellfed.cli.main import cli
from wellfed.errors import BadInput, Unsupported
from wellfed.fleet.handover.labels import PREFIX, aligned, clean, labels
from wellfed.fleet.handover.node_features import feature_file
from wellfed.fleet.handover.slurm_files import gres, hosts, node_lines, topology, unfolded
from wellfed.fleet.handover.slurm_health import Expected, health_script
from wellfed.hardware.machine import Machine
from wellfed.topology.machine import parse
from wellfed.topology.snapshot_io import save
from wellfed.verbs.fleet_handover import plan_export
from wellfed.verbs.fleet_planning import FleetOptions, FleetPlan, fleet_plan

RUN = CliRunner()
_LABEL_VALUE = re.compile(r"[A-Za-z0-9]([A-Za-z0-9_.-]{0,61}[A-Za-z0-9])?")


def tool(name: str) -> str:
    places = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", "")])
    found = shutil.which(name, path=places)
    if found is None:
        pytest.skip(f"{name} is not installed")
    return found


def machine(box: Box) -> Machine:
    return parse(snapshot(box), gpu_spec=gpu_or_none, cpu_spec=cpu_or_none)


@cache
def sound() -> Machine:
    return machine(healthy())


class TestLabels:
    def test_what_a_scheduler_matches(self) -> None:
        told = labels(sound())
        assert told[PREFIX + "gpu-count"] == "8"
        assert told[PREFIX + "gpu-link"] == "gen4x16"
        assert told[PREFIX + "numa-aligned"] == "true"
        assert told[PREFIX + "memory-channels"] == "8of8"
        assert told[PREFIX + "gpu-product"] == "A100-PCIe-80GB"

    def test_one_narrow_link_is_the_nodes_link(self) -> None:
        broken = machine(FAULTS["a link of eight lanes"](healthy()))
        told = labels(broken, run_checks(broken))
        assert told[PREFIX + "gpu-link"] == "gen4x8"
        assert told[PREFIX + "fault.pcie-width"] in ("fail", "warn")

    def test_a_lost_channel_and_a_lost_card(self) -> None:
        assert labels(machine(FAULTS["seven of eight channels"](healthy())))[PREFIX + "memory-channels"] == "7of8"
        lost = labels(machine(FAULTS["a card is gone"](healthy())))
        assert lost[PREFIX + "gpu-count"] == "7"
        assert lost[PREFIX + "numa-aligned"] == "false"

    def test_what_is_not_known_has_no_label(self) -> None:
        blind = replace(sound(), gpus=tuple(replace(gpu, link=None, numa_node=None) for gpu in sound().gpus))
        told = labels(blind)
        assert PREFIX + "gpu-link" not in told
        assert PREFIX + "numa-aligned" not in told
        assert aligned(blind) is None

    @pytest.mark.parametrize("fault", few([None, *FAULTS], 5))
    def test_every_value_is_one_that_kubernetes_takes(self, fault: str | None) -> None:
        node = sound() if fault is None else machine(FAULTS[fault](healthy()))
        for name, value in labels(node, run_checks(node)).items():
            assert _LABEL_VALUE.fullmatch(value), (name, value)
            assert len(name.removeprefix(PREFIX)) <= 63

    @given(st.text(max_size=200))
    def test_any_text_becomes_a_value_or_nothing(self, text: str) -> None:
        assert clean(text) == "" or _LABEL_VALUE.fullmatch(clean(text))


class TestNodeFeatureDiscovery:
    def test_the_file_is_key_value_lines_with_an_end(self) -> None:
        from datetime import UTC, datetime

        text = feature_file(labels(sound()), datetime(2026, 11, 29, tzinfo=UTC), 2)
        assert "# +expiry-time=2026-12-01T00:00:00Z" in text
        rows = [line for line in text.splitlines() if not line.startswith("#")]
        assert all(re.fullmatch(r"wellfed\.dev/[a-z0-9.-]+=\S+", row) for row in rows)
        assert len(text) < 64_000

    def test_this_machine_from_the_command_line(self) -> None:
        done = RUN.invoke(cli, ["fleet", "export", "nfd"])
        assert done.exit_code == 0, done.output
        assert "wellfed.dev/gpu-count=" in done.output

    @pytest.mark.slow
    def test_a_fleet_as_objects(self, folder: Path) -> None:
        done = RUN.invoke(cli, ["fleet", "export", "node-features", str(folder)])
        listed = json.loads(done.output)
        assert [item["metadata"]["labels"]["nfd.node.kubernetes.io/node-name"] for item in listed["items"]] == [
            "n1", "n2", "n3",
        ]  # fmt: skip
        against("nfd", "NodeFeature", listed["items"])


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    nodes = tmp_path_factory.mktemp("nodes")
    for name, box in (("n1", healthy()), ("n2", healthy()), ("n3", FAULTS["a link of eight lanes"](healthy()))):
        save(snapshot(box), nodes / f"{name}.tar.gz")
    return nodes


def against(name: str, kind: str, documents: list[dict[str, Any]]) -> None:
    """The published definition, where it is at hand."""
    place = os.environ.get("WELLFED_CRDS")
    path = Path(place) / f"{name}.yaml" if place else None
    if path is None or not path.exists():
        return
    yaml = pytest.importorskip("yaml")
    for definition in yaml.safe_load_all(path.read_text()):
        if not definition or definition["spec"]["names"]["kind"] != kind:
            continue
        versions = {version["name"]: version for version in definition["spec"]["versions"]}
        for document in documents:
            version = versions[document["apiVersion"].rpartition("/")[2]]
            Draft202012Validator(_closed(version["schema"]["openAPIV3Schema"])).validate(document)


def _closed(schema: Any) -> Any:
    """The same without fields that it does not name, as a server with strict validation takes it."""
    if isinstance(schema, list):
        return [_closed(each) for each in schema]
    if not isinstance(schema, dict):
        return schema
    found = {key: _closed(value) for key, value in schema.items()}
    fields = schema.get("properties")
    open_by_itself = "x-kubernetes-preserve-unknown-fields" in schema or "additionalProperties" in schema
    if isinstance(fields, dict) and schema.get("type") == "object" and not open_by_itself:
        found["additionalProperties"] = {"apiVersion", "metadata"} <= fields.keys()
    return found


class TestSlurm:
    def test_each_cards_cores_are_those_of_its_numa_node(self) -> None:
        text = gres({"n1": sound(), "n2": sound()})
        lines = [line for line in text.splitlines() if line.startswith("NodeName")]
        assert lines == [
            "NodeName=n[1-2] Name=gpu Type=a100_pcie_80gb File=/dev/nvidia[0-3] Cores=0-15",
            "NodeName=n[1-2] Name=gpu Type=a100_pcie_80gb File=/dev/nvidia[4-7] Cores=16-31",
        ]

    def test_a_node_that_differs_has_lines_of_its_own(self) -> None:
        lost = machine(FAULTS["a card is gone"](healthy()))
        text = node_lines({"n1": sound(), "n2": lost}, {"n1": labels(sound()), "n2": labels(lost)})
        assert "NodeName=n1 Sockets=2 CoresPerSocket=16 ThreadsPerCore=2" in text
        assert "Gres=gpu:a100_pcie_80gb:8" in text
        assert "Gres=gpu:a100_pcie_80gb:7" in text
        assert "gen4x16" in text

    def test_topology(self) -> None:
        text = topology(["a1", "a2", "b1"], [("leaf1", ["a1", "a2"]), ("leaf2", ["b1"])])
        assert "SwitchName=leaf1 Nodes=a[1-2]" in text
        assert "SwitchName=spine Switches=leaf[1-2]" in text
        for switches in ([("leaf1", ["a1"])], [("leaf1", ["a1", "a2"]), ("leaf2", ["a2", "b1"])], [("a b", ["a1"])]):
            with pytest.raises(BadInput):
                topology(["a1", "a2", "b1"], switches)

    @given(st.lists(st.tuples(st.sampled_from(["n", "node-", "a1b"]), st.integers(0, 300)), min_size=1, unique=True))
    def test_host_lists_say_what_they_were_given(self, pairs: list[tuple[str, int]]) -> None:
        names = [f"{head}{number:04d}" for head, number in pairs]
        assert sorted(unfolded(hosts(names))) == sorted(names)

    @pytest.mark.parametrize("text", ["", "n[1", "n[a-b]", "n[1-99999999]", "../x", "n;rm"])
    def test_what_is_no_host_list(self, text: str) -> None:
        with pytest.raises(BadInput):
            unfolded(text)

    def test_slurm_reads_its_files(self, tmp_path: Path) -> None:
        slurmd = os.environ.get("WELLFED_SLURMD") or tool("slurmd")
        nodes = {"n1": sound(), "n2": sound()}
        (tmp_path / "dev").mkdir()  # slurmd looks for each device, and this machine has no GPU
        for number in range(8):
            (tmp_path / f"dev/nvidia{number}").touch()
        (tmp_path / "gres.conf").write_text(gres(nodes).replace("/dev/", f"{tmp_path}/dev/"))
        (tmp_path / "topology.conf").write_text(topology(list(nodes), [("leaf1", ["n1"]), ("leaf2", ["n2"])]))
        lines = node_lines(nodes, {name: labels(node) for name, node in nodes.items()})
        conf = [
            "ClusterName=c", "SlurmctldHost=n1", "AuthType=auth/none", "CredType=cred/none",
            "ProctrackType=proctrack/pgid", "TaskPlugin=task/none", "TopologyPlugin=topology/tree",
            "SlurmdParameters=config_overrides",
            f"StateSaveLocation={tmp_path}", f"SlurmdSpoolDir={tmp_path}", lines,
            "PartitionName=p Nodes=ALL Default=YES",
        ]  # fmt: skip
        if "WELLFED_SLURM_PLUGINS" in os.environ:  # of a slurmd that is not where its package would put it
            conf.append(f"PluginDir={os.environ['WELLFED_SLURM_PLUGINS']}")
        (tmp_path / "slurm.conf").write_text("\n".join(conf) + "\n")
        done = subprocess.run(
            [slurmd, "-N", "n1", "-f", str(tmp_path / "slurm.conf"), "-G"], capture_output=True, text=True, check=False
        )
        said = done.stdout + done.stderr
        assert not re.search(r"(?i)pars(e|ing) error|unable to parse|invalid|unrecognized|fatal", said), said
        assert "a100_pcie_80gb" in said, said  # without a controller, slurmd counts them against none


@pytest.fixture(scope="module")
def script(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("health") / "health.sh"
    path.write_text(health_script([Expected(sound().name, sound())]))
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return path


class TestHealth:
    def test_it_is_a_sound_script(self, script: Path) -> None:
        done = subprocess.run([tool("shellcheck"), str(script)], capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stdout

    @pytest.mark.parametrize("shell", few(["sh", "dash", "busybox"], 3))
    @pytest.mark.parametrize(
        ("fault", "says"),
        [
            (None, "well"),
            ("a link of eight lanes", "gpu5 has 8 of 16 lanes"),
            ("a card is gone", "gpu6 is gone"),
            ("powersave", "governor powersave"),
            ("CPUs offline", "CPUs online"),
        ],
    )
    def test_a_node_is_held_against_its_build(
        self, script: Path, tmp_path: Path, fault: str | None, says: str, shell: str
    ) -> None:
        box = healthy() if fault is None else FAULTS[fault](healthy())
        root = build(box, tmp_path / "root")
        command = [tool(shell), *(["sh"] if shell == "busybox" else []), str(script)]
        done = subprocess.run(
            command, env={**os.environ, "WELLFED_ROOT": str(root)}, capture_output=True, text=True, check=False
        )
        assert says in done.stdout, done.stdout + done.stderr
        assert done.returncode == (0 if fault is None else 1)
        assert done.stderr == ""

    def test_it_drains_with_the_reason_and_resumes(self, script: Path, tmp_path: Path) -> None:
        """With a scontrol that writes down what it is asked, over a root put in the script's place."""
        calls = tmp_path / "calls"
        fake = tmp_path / "scontrol"
        fake.write_text(f'#!/bin/sh\necho "$*" >> {calls}\n[ "$1" = show ] && cat {tmp_path}/state\nexit 0\n')
        fake.chmod(0o755)
        (tmp_path / "state").write_text("NodeName=n1 State=IDLE")
        text = script.read_text()
        own = tmp_path / "own.sh"

        def run(box: Box, name: str) -> list[str]:
            root = build(box, tmp_path / name)
            changed = text.replace("root=${WELLFED_ROOT:-}", f"root={root}").replace('[ -z "$root" ] ||', "true ||")
            own.write_text(changed)
            calls.write_text("")
            environment = {**os.environ, "PATH": f"{tmp_path}:{os.environ['PATH']}", "SLURMD_NODENAME": "n1"}
            done = subprocess.run(["sh", str(own)], env=environment, capture_output=True, text=True, check=False)
            assert done.returncode == 0, done.stderr
            return [line for line in calls.read_text().splitlines() if line.startswith("update")]

        broken = FAULTS["a link of eight lanes"](healthy())
        assert run(broken, "a") == ["update NodeName=n1 State=DRAIN Reason=wellfed: gpu5 has 8 of 16 lanes"]
        (tmp_path / "state").write_text("NodeName=n1 State=IDLE+DRAIN Reason=wellfed: gpu5 has 8 of 16 lanes [root@x]")
        assert run(broken, "b") == []
        assert run(healthy(), "c") == ["update NodeName=n1 State=RESUME"]
        (tmp_path / "state").write_text("NodeName=n1 State=IDLE+DRAIN Reason=disk [root@x]")
        assert run(healthy(), "d") == []

    def test_from_the_command_line(self, folder: Path, tmp_path: Path) -> None:
        done = RUN.invoke(cli, ["fleet", "export", "slurm-health", str(folder), "--out", str(tmp_path / "o")])
        assert done.exit_code == 0, done.output
        assert os.access(tmp_path / "o" / "wellfed-health.sh", os.X_OK)


MACHINES = {
    "one node": (((4, "8x h100, 2x xeon 8480+"),), "qwen3-32b", None, 20.0),
    "experts": (((2, "8x h200, 2x xeon 8480+"),), "deepseek-ai/DeepSeek-R1", None, None),
    "two kinds": (((2, "8x h100, 2x xeon 8480+"), (2, "4x a100 80gb, epyc 7543")), "qwen3-8b", None, None),
    "two nodes": (((4, "8x a100 80gb, 2x epyc 7543"),), "deepseek-r1", "400Gb", None),
}


@cache
def planned(name: str, engine: str = "vllm") -> FleetPlan:
    machines, model, network, rate = MACHINES[name]
    from wellfed.nouns.layout import Engine

    return fleet_plan(model, FleetOptions(machines=machines, network=network, rate=rate, engines=(Engine(engine),)))


def documents(text: str) -> list[dict[str, Any]]:
    body = "\n".join(line for line in text.splitlines() if not line.startswith("#"))
    return [json.loads(part) for part in body.split("\n---\n")]


def of_kind(found: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [document for document in found if document.get("kind") == kind]


# keda.sh/docs, ScaledObject specification and Prometheus scaler
SCALED_OBJECT = {
    "type": "object", "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {
        "apiVersion": {"const": "keda.sh/v1alpha1"}, "kind": {"const": "ScaledObject"},
        "spec": {
            "type": "object", "required": ["scaleTargetRef", "triggers"], "additionalProperties": False,
            "properties": {
                "scaleTargetRef": {"type": "object", "required": ["name"]},
                "minReplicaCount": {"type": "integer", "minimum": 0}, "maxReplicaCount": {"type": "integer"},
                "pollingInterval": {"type": "integer"}, "cooldownPeriod": {"type": "integer"},
                "triggers": {"type": "array", "minItems": 1, "items": {
                    "type": "object", "required": ["type", "metadata"], "additionalProperties": False,
                    "properties": {"type": {"const": "prometheus"}, "metricType": {"enum": ["AverageValue", "Value"]},
                                   "metadata": {"type": "object", "additionalProperties": {"type": "string"},
                                                "required": ["serverAddress", "query", "threshold"]}}}},
            },
        },
    },
}  # fmt: skip
# docs.ray.io: Serve config files, LLMConfig
RAY = {
    "type": "object", "required": ["applications"], "additionalProperties": False,
    "properties": {"applications": {"type": "array", "items": {
        "type": "object", "required": ["name", "import_path", "route_prefix", "args"], "additionalProperties": False,
        "properties": {
            "name": {}, "route_prefix": {"pattern": "^/"}, "import_path": {"const": "ray.serve.llm:build_openai_app"},
            "args": {"type": "object", "required": ["llm_configs"], "properties": {"llm_configs": {"items": {
                "type": "object", "required": ["model_loading_config"], "additionalProperties": False,
                "properties": {
                    "model_loading_config": {"required": ["model_id", "model_source"]},
                    "engine_kwargs": {"type": "object"}, "accelerator_type": {"type": "string"},
                    "deployment_config": {"type": "object", "properties": {"autoscaling_config": {
                        "required": ["min_replicas", "max_replicas", "target_ongoing_requests"]}}}}}}}}}}}},
}  # fmt: skip
# kserve.github.io: LLMInferenceService
KSERVE = {
    "type": "object", "required": ["apiVersion", "kind", "metadata", "spec"],
    "properties": {"spec": {
        "type": "object", "required": ["model", "replicas", "template"], "additionalProperties": False,
        "properties": {
            "model": {"required": ["uri", "name"], "properties": {"uri": {"pattern": "^(hf|pvc|oci|s3)://"}}},
            "replicas": {"type": "integer"}, "template": {}, "worker": {}, "prefill": {},
            "router": {"properties": {"gateway": {}, "route": {}, "scheduler": {}}, "additionalProperties": False},
            "parallelism": {"additionalProperties": False, "properties": {
                name: {"type": "integer"} for name in ("tensor", "data", "dataLocal", "pipeline")} | {"expert": {}}},
        },
    }},
}  # fmt: skip

# docs.nvidia.com/dynamo: DynamoGraphDeployment and DynamoComponentDeployment references, nvidia.com/v1beta1
_COMPONENT = {
    "type": "object", "required": ["name", "type", "replicas", "podTemplate"], "additionalProperties": False,
    "properties": {
        "name": {"pattern": "^[A-Za-z0-9]([-A-Za-z0-9]*[A-Za-z0-9])?$", "maxLength": 63},
        "type": {"enum": ["frontend", "worker", "prefill", "decode", "planner", "epp"]},
        "replicas": {"type": "integer", "minimum": 0},
        "multinode": {"type": "object", "required": ["nodeCount"], "additionalProperties": False,
                      "properties": {"nodeCount": {"type": "integer", "minimum": 2}}},
        "podTemplate": {"type": "object", "required": ["spec"], "properties": {"spec": {
            "type": "object", "required": ["containers"], "properties": {"containers": {
                "type": "array", "contains": {"properties": {"name": {"const": "main"}}, "required": ["image"]}}}}}},
    },
}  # fmt: skip
DYNAMO = {
    "type": "object", "required": ["apiVersion", "kind", "metadata", "spec"], "additionalProperties": False,
    "properties": {
        "apiVersion": {"const": "nvidia.com/v1beta1"}, "kind": {"const": "DynamoGraphDeployment"},
        "metadata": {"required": ["name"], "properties": {"name": {"pattern": "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$"}}},
        "spec": {"type": "object", "required": ["components"], "additionalProperties": False, "properties": {
            "backendFramework": {"enum": ["sglang", "vllm", "trtllm"]}, "env": {"type": "array"},
            "components": {"type": "array", "maxItems": 25, "items": _COMPONENT}}},
    },
}  # fmt: skip
_RANKS = ("--tensor-parallel-size", "--pipeline-parallel-size", "--data-parallel-size", "--tp-size", "--pp-size",
          "--dp-size")  # fmt: skip


def ranks(words: list[str]) -> int:
    """GPUs that an engine's degrees ask for. SGLang's attention groups are inside its tensor-parallel ranks."""
    found = 1
    for flag in _RANKS:
        if flag in words and not (flag == "--dp-size" and "--enable-dp-attention" in words):
            found *= int(words[words.index(flag) + 1])
    return found


class TestPlans:
    @pytest.mark.parametrize("name", few(MACHINES, 4))
    @pytest.mark.parametrize("form", ["kubernetes", "dra"])
    def test_kubernetes_takes_them(self, name: str, form: str) -> None:
        validate = pytest.importorskip("kubernetes_validate")
        found = documents(plan_export(planned(name), form))
        replicas = 0
        for document in found:
            if document["kind"] == "LeaderWorkerSet":
                against("lws", "LeaderWorkerSet", [document])
                for part in ("leaderTemplate", "workerTemplate"):
                    pod = document["spec"]["leaderWorkerTemplate"][part]
                    whole = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": pod["spec"]}
                    validate.validate(whole, "1.34", strict=True)
            else:
                validate.validate(document, "1.34", strict=True)
            replicas += document["spec"].get("replicas", 0)
        assert replicas == sum(share.replicas for share in planned(name).deployment.shares)

    def test_claims_ask_for_as_many_cards_of_that_memory(self) -> None:
        found = documents(plan_export(planned("one node"), "dra"))
        (template,) = of_kind(found, "ResourceClaimTemplate")
        request = template["spec"]["spec"]["devices"]["requests"][0]["exactly"]
        assert request["count"] == planned("one node").deployment.shares[0].capacity.plan.layout.gpus
        assert 'quantity("75Gi")' in request["selectors"][0]["cel"]["expression"]
        (workload,) = of_kind(found, "Deployment")
        pod = workload["spec"]["template"]["spec"]
        assert pod["resourceClaims"] == [{"name": "gpus", "resourceClaimTemplateName": "qwen3-32b-gpus"}]
        assert "nvidia.com/gpu" not in json.dumps(pod)

    def test_cards_that_fit_a_numa_node_must_be_of_one(self) -> None:
        from wellfed.fleet.handover.manifests import NUMA
        from wellfed.nouns.layout import Engine

        four = FleetOptions(machines=((1, "4x a100 80gb, epyc 7543"),), engines=(Engine.VLLM,))
        plan = fleet_plan("llama-3.3-70b", four)
        (template,) = of_kind(documents(plan_export(plan, "dra")), "ResourceClaimTemplate")
        homes = {gpu.numa_node for gpu in plan.deployment.shares[0].capacity.plan.machine.gpus}
        devices = template["spec"]["spec"]["devices"]
        assert ("constraints" in devices) == (len(homes) == 1 and None not in homes)
        if "constraints" in devices:
            assert devices["constraints"] == [{"requests": ["gpus"], "matchAttribute": NUMA}]

    @pytest.mark.parametrize("name", few(MACHINES, 2))
    def test_keda(self, name: str) -> None:
        found = documents(plan_export(planned(name), "keda"))
        for document, share in zip(found, planned(name).deployment.shares, strict=True):
            Draft202012Validator(SCALED_OBJECT).validate(document)
            spec = document["spec"]
            assert spec["minReplicaCount"] == share.replicas <= spec["maxReplicaCount"]
            threshold = float(spec["triggers"][0]["metadata"]["threshold"])
            assert threshold == pytest.approx(0.8 * share.capacity.plan.estimate.running, abs=1)
        against("keda", "ScaledObject", found)

    @pytest.mark.parametrize("name", few(MACHINES, 2))
    def test_hpa(self, name: str) -> None:
        validate = pytest.importorskip("kubernetes_validate")
        for document in documents(plan_export(planned(name), "hpa")):
            validate.validate(document, "1.34", strict=True)

    @pytest.mark.parametrize("name", ["one node", "two kinds", "experts"])
    def test_kserve(self, name: str) -> None:
        found = documents(plan_export(planned(name), "kserve"))
        for document, share in zip(found, planned(name).deployment.shares, strict=True):
            Draft202012Validator(KSERVE).validate(document)
            (main,) = document["spec"]["template"]["containers"]
            more = main["env"][0]["value"].split()
            gpus = document["spec"]["parallelism"]["tensor"] * ranks(more)
            assert gpus == share.capacity.plan.layout.gpus == int(main["resources"]["limits"]["nvidia.com/gpu"])
        against("llmisvc", "LLMInferenceService", found)

    def test_what_kserve_cannot_start_is_refused(self) -> None:
        plan = planned("two nodes")
        spanning = plan.deployment.shares[0].capacity.nodes > 1
        layout = plan.deployment.shares[0].capacity.plan.layout
        if spanning and layout.tensor_parallel * layout.pipeline_parallel > 8:
            with pytest.raises(Unsupported):
                plan_export(plan, "kserve")
        else:
            assert plan_export(plan, "kserve")

    @pytest.mark.parametrize("name", few(MACHINES, 2))
    def test_ray_serve(self, name: str) -> None:
        (document,) = documents(plan_export(planned(name), "ray-serve"))
        Draft202012Validator(RAY).validate(document)
        prefixes = [application["route_prefix"] for application in document["applications"]]
        assert len(set(prefixes)) == len(prefixes) == len(planned(name).deployment.shares)

    def test_llm_d(self) -> None:
        (values,) = documents(plan_export(planned("one node"), "llm-d"))
        layout = planned("one node").deployment.shares[0].capacity.plan.layout
        assert values["decode"]["parallelism"]["tensor"] == layout.tensor_parallel
        (values_of_experts,) = documents(plan_export(planned("experts"), "llm-d"))
        degrees = values_of_experts["decode"]["parallelism"]
        assert degrees["tensor"] * degrees["data"] == planned("experts").deployment.shares[0].capacity.plan.layout.gpus
        assert values["decode"]["replicas"] == planned("one node").deployment.shares[0].replicas
        with pytest.raises(Unsupported):
            plan_export(planned("two kinds"), "llm-d")

    @pytest.mark.parametrize("engine", ["vllm", "sglang"])
    @pytest.mark.parametrize("name", few(MACHINES, 4))
    def test_dynamo(self, name: str, engine: str) -> None:
        validate = pytest.importorskip("kubernetes_validate")
        plan = planned(name, engine)
        (graph,) = documents(plan_export(plan, "dynamo"))
        Draft202012Validator(DYNAMO).validate(graph)
        against("dynamo", "DynamoGraphDeployment", [graph])
        assert graph["spec"]["backendFramework"] == engine
        frontend, *workers = graph["spec"]["components"]
        assert frontend["type"] == "frontend" and len(workers) == len(plan.deployment.shares)
        gpus = 0
        for worker in workers:
            spec = worker["podTemplate"]["spec"]
            pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "x"}, "spec": spec}
            validate.validate(pod, "1.34", strict=True)
            (main,) = spec["containers"]
            nodes = worker.get("multinode", {}).get("nodeCount", 1)
            assert ranks(main["args"]) == nodes * int(main["resources"]["limits"]["nvidia.com/gpu"])
            assert main["command"] == ["python3", "-m", f"dynamo.{engine}"]
            assert not {"--host", "--port", "--nnodes", "--dist-init-addr"} & set(main["args"])
            gpus += worker["replicas"] * ranks(main["args"])
        assert gpus == sum(share.replicas * share.capacity.plan.layout.gpus for share in plan.deployment.shares)

    def test_dynamos_router_knows_prefixes_where_the_plan_counts_on_them(self) -> None:
        from wellfed.nouns.layout import Engine
        from wellfed.nouns.workload import PRESETS

        def graph(depth: int) -> dict[str, Any]:
            load = replace(PRESETS["chat"], depth_tokens=depth)
            options = FleetOptions(machines=((2, "2x a100 80gb, epyc 7543"),), workload=load, engines=(Engine.VLLM,))
            return documents(plan_export(fleet_plan("qwen3-8b", options), "dynamo"))[0]

        modes = {}
        for depth in (0, 3000):
            frontend, worker = graph(depth)["spec"]["components"]
            (main,) = frontend["podTemplate"]["spec"]["containers"]
            told = worker["podTemplate"]["spec"]["containers"][0]["args"]
            modes[depth] = main["env"][0]["value"], "--kv-events-config" in told
        assert modes == {0: ("round-robin", False), 3000: ("kv", True)}

    @pytest.mark.parametrize(("form", "system"), [("kserve", "KServe"), ("llm-d", "llm-d"), ("dynamo", "Dynamo")])
    def test_a_model_of_this_machine_is_no_hubs(self, form: str, system: str) -> None:
        from wellfed.fleet.handover.replica_set import ReplicaSet
        from wellfed.verbs.fleet_handover import PLAN_FORMS, replica_sets

        (own,) = replica_sets(planned("one node"))
        local = ReplicaSet(own.name, own.share, own.spec, own.model, "/models/mine")
        with pytest.raises(Unsupported, match=f"{system} fetches models from a hub"):
            PLAN_FORMS[form]([local])

    @pytest.mark.parametrize("name", few(MACHINES, 2))
    def test_what_is_started_has_as_many_ranks_as_the_plan_has_gpus(self, name: str) -> None:
        from wellfed.verbs.fleet_handover import replica_sets

        for engine in ("vllm", "sglang"):
            for each in replica_sets(planned(name, engine)):
                assert ranks(list(each.spec.argv)) == each.share.capacity.plan.layout.gpus, each.spec.argv

    @pytest.mark.slow
    def test_prefill_and_decode_apart(self) -> None:
        from wellfed.nouns.layout import Engine
        from wellfed.nouns.workload import PRESETS

        load = replace(PRESETS["chat"], ttft_target_s=3.0, tpot_target_s=0.04)
        options = FleetOptions(machines=((4, "8x h100, 2x xeon 8480+"),), network="400g x8 rails", rate=10.0,
                               workload=load, engines=(Engine.VLLM,), disaggregate=True)  # fmt: skip
        plan = fleet_plan("qwen3-32b", options)
        assert plan.splits
        cell, cells = plan.splits[0].cell, plan.splits[0].cells
        (service,) = documents(plan_export(plan, "kserve"))
        Draft202012Validator(KSERVE).validate(service)
        against("llmisvc", "LLMInferenceService", [service])
        assert service["spec"]["replicas"] == cells * cell.decode_workers
        assert service["spec"]["prefill"]["replicas"] == cells * cell.prefill_workers
        (values,) = documents(plan_export(plan, "llm-d"))
        assert values["prefill"]["create"] and values["prefill"]["replicas"] == cells * cell.prefill_workers
        for role in ("prefill", "decode"):
            assert "--kv-transfer-config" in values[role]["containers"][0]["args"]
            assert values[role]["parallelism"]["tensor"] == cell.decode.worker_gpus
        (graph,) = documents(plan_export(plan, "dynamo"))
        Draft202012Validator(DYNAMO).validate(graph)
        counts = {part["type"]: part["replicas"] for part in graph["spec"]["components"]}
        assert counts == {"frontend": 1, "decode": cells * cell.decode_workers, "prefill": cells * cell.prefill_workers}

    @pytest.mark.parametrize("form", ["kserve", "llm-d", "dynamo"])
    def test_cpus_alone_are_refused_where_a_system_starts_its_own_engine(self, form: str) -> None:
        from wellfed.nouns.layout import Engine

        plan = fleet_plan("qwen3-8b", FleetOptions(machines=((2, "epyc 9654, 384gb"),), engines=(Engine.VLLM,)))
        with pytest.raises(Unsupported):
            plan_export(plan, form)
        assert not of_kind(documents(plan_export(plan, "dra")), "ResourceClaimTemplate")

    def test_from_the_command_line(self) -> None:
        words = ["fleet", "plan", "qwen3-8b", "--machines", "1=a100 80gb, epyc 7543", "--engine", "vllm"]
        done = RUN.invoke(cli, [*words, "--export", "keda"])
        assert done.exit_code == 0, done.output
        assert '"ScaledObject"' in done.output
        done = RUN.invoke(
            cli, ["fleet", "plan", "deepseek-r1", "--machines", "1=rtx 3060, ryzen 5600", "--export", "dra"]
        )
        assert getattr(done.exception, "exit_code", done.exit_code) == 2


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("nfd", "{folder}"), "--out"),
        (("slurm-topology", "{folder}"), "on no switch"),
        (("slurm-topology", "{folder}", "--switch", "leaf1=n[1"), "no list of nodes"),
        (("slurm-gres", "/nowhere"), "no folder"),
    ],
)
def test_bad_use_is_told_with_exit_2(folder: Path, words: tuple[str, ...], says: str) -> None:
    done = RUN.invoke(cli, ["fleet", "export", *(word.format(folder=folder) for word in words)])
    error = f"{done.exception} {getattr(done.exception, 'hint', '')} {done.output}"
    assert says in error
    assert getattr(done.exception, "exit_code", done.exit_code) == 2
