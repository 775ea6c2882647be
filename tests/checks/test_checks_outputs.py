"""What other programs read: JSON, JUnit, Prometheus, a script; and how checks are chosen."""

from __future__ import annotations

import json
import re
import shutil
import subprocess
from dataclasses import replace
from xml.etree import ElementTree

import pytest
from check_cases import CASES
from check_machines import chain, healthy, with_gpu, with_os
from hypothesis import given
from hypothesis import strategies as st

from wellfed.checks.outputs.junit import junit_xml
from wellfed.checks.outputs.prometheus import prometheus_text
from wellfed.checks.outputs.script import fix_script
from wellfed.checks.outputs.summary import counts, exit_code
from wellfed.checks.outputs.to_json import findings_json
from wellfed.checks.registry import ALL, check, select
from wellfed.checks.run import run_checks
from wellfed.errors import UnknownName
from wellfed.nouns.finding import Cost, Finding, Verdict

BROKEN = chain(with_os(numa_balancing=True, swap_used_bytes=9 << 30), with_gpu(1, persistence=False))
texts = st.text(max_size=40)
findings = st.lists(
    st.builds(
        Finding,
        id=st.sampled_from([each.id for each in ALL]),
        verdict=st.sampled_from(list(Verdict)),
        subject=texts,
        why=texts,
        measured=st.none() | texts,
        wanted=st.none() | texts,
        fix=st.lists(texts.map(lambda text: f"# {text}"), max_size=2).map(tuple),
        cost=st.none() | st.just(Cost(1.5, 20.0, 0.1, 3.0, "")),
    ),
    max_size=12,
).map(tuple)


def test_exit_codes():
    assert exit_code(run_checks(healthy())) == 0
    assert exit_code(run_checks(BROKEN(healthy()))) == 1
    assert exit_code([Finding("thp", Verdict.UNKNOWN, "system", "?")]) == 0


def test_json_has_every_field_of_every_finding():
    found = run_checks(BROKEN(healthy()))
    document = json.loads(json.dumps(findings_json({"name": "box"}, found, Cost(decode_tok_s=2.0))))
    assert document["schema"] == 1 and document["machine"] == {"name": "box"}
    assert document["cost"]["decode_tok_s"] == 2.0
    fields = {"id", "verdict", "subject", "measured", "wanted", "cost", "why", "fix", "refs", "code", "counts",
              "message", "remedies", "places", "faults"}  # fmt: skip
    assert all(set(finding) == fields for finding in document["findings"])
    assert len(document["findings"]) == len(found) == sum(document["counts"].values())


@given(findings)
def test_junit_is_xml_whatever_the_texts(found):
    suite = ElementTree.fromstring(junit_xml("a <b> & \x00", found))
    assert int(suite.get("tests")) == len(found) == len(suite.findall("testcase"))
    number = counts(found)
    assert len(suite.findall("testcase/failure")) == number["fail"] + number["warn"]
    assert len(suite.findall("testcase/skipped")) == number["skip"] + number["unknown"]


@given(findings)
def test_prometheus_lines_are_well_formed_and_unique(found):
    lines = prometheus_text(found).rstrip("\n").split("\n")
    sample = re.compile(r'[a-z_]+\{([a-z]+="(\\.|[^"\\])*",?)+\} -?[0-9.e+-]+')
    samples = [line for line in lines if not line.startswith("#")]
    assert all(sample.fullmatch(line) for line in samples)
    assert len(samples) == len(set(samples))
    series = [line.rpartition(",verdict=")[0] for line in samples if line.startswith("wellfed_check{")]
    assert len(series) == len(set(series)) == len({(finding.id, finding.subject) for finding in found})


@given(findings)
def test_no_text_of_a_dump_becomes_a_command(found):
    """Subjects, reasons and hints are comments; only commands of the checks themselves may run."""
    body = fix_script(found).split("exit 1; }\n")[-1]
    assert all(not line or line.startswith(("#", "set -u")) for line in body.split("\n"))


@pytest.mark.skipif(shutil.which("bash") is None, reason="needs bash to read the script")
def test_the_script_of_all_faults_is_valid_bash():
    found = [f for cases in CASES.values() for make, change in cases["bad"] for f in run_checks(change(make()))]
    script = fix_script(found)
    assert subprocess.run(["bash", "-n"], input=script, text=True, capture_output=True).stderr == ""
    assert "sysctl -w kernel.numa_balancing=0" in script and "nvidia-smi -i 0 -pm 1" in script
    assert "nr_hugepages" in script and "scaling_governor" in script and "transparent_hugepage" in script
    assert "# by hand: BIOS" in script


def test_the_script_says_each_fix_once_and_nothing_for_a_healthy_machine():
    script = fix_script(run_checks(with_os(numa_balancing=True)(healthy())) * 2)
    assert script.count("sysctl -w kernel.numa_balancing=0") == 1
    assert "Nothing to fix" in fix_script(run_checks(healthy()))


def test_selection():
    assert select() == ALL
    assert [each.id for each in select(["thp", "acs"])] == [each.id for each in ALL if each.id in ("thp", "acs")]
    assert {each.id for each in select(["pcie-*"], ["pcie-width"])} == {
        "pcie-speed", "pcie-chipset", "pcie-shared-uplink", "pcie-replay",
    }  # fmt: skip
    assert check("thp").id == "thp"


@pytest.mark.parametrize("wrong", ["pcie-widht", "nvlnk", "pice-*"])
def test_unknown_ids_name_the_nearest(wrong):
    with pytest.raises(UnknownName) as caught:
        select([wrong])
    assert caught.value.hint and "did you mean" in caught.value.hint
    with pytest.raises(UnknownName):
        select([], [wrong])


def test_declarations_are_complete():
    ids = [each.id for each in ALL]
    assert len(ids) == len(set(ids))
    required = (
        "pcie-width pcie-speed pcie-chipset pcie-shared-uplink pcie-replay gpu-socket nic-locality mem-channels "
        "mem-mixed-dimms mem-bandwidth numa-balancing thp hugepages cpu-governor cpu-offline cpu-quota cpuset swap "
        "memlock acs iommu nvlink fabric-manager gpu-ecc gpu-row-remap gpu-xid gpu-throttle gpu-persistence vram-free "
        "ram-free"
    )
    assert set(required.split()) <= set(ids)
    for each in ALL:
        assert each.severity in (Verdict.WARN, Verdict.FAIL)
        assert all((each.title, each.reads, each.rule, each.refs, each.repair))


def test_a_finding_keeps_its_own_references():
    own = replace(check("thp"), judge=lambda machine: [Finding("", Verdict.WARN, "system", "x", refs=("mine",))])
    assert run_checks(healthy(), [own])[0].refs == ("mine",)
