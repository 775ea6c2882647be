"""An NVML of ours: the calls that wellfed makes, answered from a written scene."""

from __future__ import annotations

from typing import Any


class FakeNvml:
    """The calls we make, driven by a scene: a dictionary of answers by function name, errors as exceptions."""

    class NVMLError(Exception):
        """What the driver raises."""

    NVML_CLOCK_SM, NVML_TEMPERATURE_GPU, NVML_PCIE_UTIL_TX_BYTES, NVML_PCIE_UTIL_RX_BYTES = 1, 0, 0, 1
    NVML_MEMORY_ERROR_TYPE_UNCORRECTED = 1

    def __init__(self, **answers: Any) -> None:
        self.answers = {"nvmlDeviceGetCount": 1, "nvmlInit": None, "nvmlShutdown": None, **answers}
        self.asked: list[str] = []

    def __getattr__(self, name: str) -> Any:
        if not name.startswith("nvml"):
            raise AttributeError(name)

        def call(*arguments: Any) -> Any:
            self.asked.append(name)
            if name == "nvmlDeviceGetHandleByIndex":
                return f"gpu{arguments[0]}"
            if name not in self.answers:
                raise FakeNvml.NVMLError("Not Supported")
            answer = self.answers[name]
            if isinstance(answer, Exception):
                raise answer
            return answer(*arguments) if callable(answer) else answer

        return call
