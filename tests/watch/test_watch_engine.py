"""Real faults on the real engine: slow, marked, and only where the model, the rights and an idle machine are there.

Beside other tests each would be one more fault: `WELLFED_LAB=1 python -m pytest -m engine tests/watch` runs them alone.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

import pytest

from wellfed.launch.demo import demo_at_hand
from wellfed.watching.watcher import replay

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "benchmarks"))
import watch_faults as lab

pytestmark = [
    pytest.mark.engine,
    pytest.mark.skipif(not os.environ.get("WELLFED_LAB"), reason="wants an idle machine: set WELLFED_LAB=1"),
]


@pytest.fixture(scope="module")
def model() -> Path:
    """The demo model."""
    path = demo_at_hand()
    if path is None or importlib.util.find_spec("xllamacpp") is None:
        pytest.skip("needs the embedded engine and the demo model")
    return path


@pytest.fixture(scope="module")
def priority() -> int:
    """Above whatever else this machine does, where that is allowed."""
    return -15 if os.geteuid() == 0 else 0


@pytest.mark.parametrize("name", lab.FAULTS)
def test_each_fault_is_told(name: str, model: Path, priority: int) -> None:
    if lab.missing(name):
        pytest.skip(lab.missing(name))
    if not priority and name not in ("no-demand", "stopped", "slow-client"):
        pytest.skip("needs root: others on this machine would be one more fault")
    samples = lab.FAULTS[name](model, priority, 8.0)
    if name == "memory-contention" and lab.kept(samples) > lab.HURT:
        pytest.skip(f"the engine keeps {lab.kept(samples):.0%} of its speed: they do not use up this memory")
    found = [each for _, each in replay(samples, window=16)]
    assert found[-1].id == lab.expected(name, samples), [cause.sign for cause in found[-1].causes]
