"""Readers below written roots, engines' texts, and an NVML of ours."""

from __future__ import annotations

import os
import threading
import time
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from tests.watch.fake_nvml import FakeNvml

from wellfed.asking.address import Address
from wellfed.errors import BadInput
from wellfed.watching.samplers.cgroup import CgroupSampler
from wellfed.watching.samplers.endpoint import EndpointSampler, parsed
from wellfed.watching.samplers.host import HostSampler
from wellfed.watching.samplers.nvml import GpuSampler
from wellfed.watching.samplers.proc import ProcessSampler
from wellfed.watching.samplers.prometheus import metrics
from wellfed.watching.samplers.sockets import SocketSampler
from wellfed.watching.target import find

STAT = (
    "{pid} (llama )x( server) {state} {parent} 1 1 0 -1 0 500 0 7 0 {utime} {stime} 0 0 20 0 2 0 99 1000 2048 "
    + "0 " * 14
    + "3 0"
)


def put(root: Path, **files: str) -> Path:
    """Write files; `__` in a name is a slash, `_dot_` a dot."""
    for name, content in files.items():
        path = root / name.replace("__", "/").replace("_dot_", ".")
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return root


def process(root: Path, pid: int, parent: int = 1, state: str = "S", utime: int = 100, schedstat: str = "") -> None:
    """A process of one thread."""
    text = STAT.format(pid=pid, parent=parent, state=state, utime=utime, stime=50)
    base = root / "proc" / str(pid)
    for folder in (base, base / "task" / str(pid)):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "stat").write_text(text)
        (folder / "status").write_text(
            "Name:\tx\nVmSwap:\t  12 kB\nCpus_allowed_list:\t0-1,4\n"
            "voluntary_ctxt_switches:\t5\nnonvoluntary_ctxt_switches:\t9\n"
        )
        if schedstat:
            (folder / "schedstat").write_text(schedstat)


def test_a_process_with_an_awkward_name_its_child_and_its_threads(tmp_path: Path) -> None:
    process(tmp_path, 10, schedstat="2500000000 400000000 77\n")
    process(tmp_path, 11, parent=10)
    found = ProcessSampler(10, str(tmp_path)).sample()
    assert found.alive
    assert found.cpus_allowed == (0, 1, 4)
    assert found.major_faults == 14
    assert found.swap_bytes == 12 * 1024
    threads = {thread.tid: thread for thread in found.threads or ()}
    assert threads[10].cpu_s == pytest.approx(2.5)
    assert threads[10].wait_s == pytest.approx(0.4)
    assert threads[11].cpu_s == pytest.approx(150 / os.sysconf("SC_CLK_TCK"))
    assert threads[11].wait_s is None
    assert (threads[11].voluntary, threads[11].involuntary, threads[11].cpu) == (5, 9, 3)
    assert threads[10].name == "llama )x( server"


def test_a_reused_number_is_another_process(tmp_path: Path) -> None:
    process(tmp_path, 10)
    sampler = ProcessSampler(10, str(tmp_path))
    assert sampler.sample().alive
    path = tmp_path / "proc/10/stat"
    path.write_text(path.read_text().replace(" 99 1000 ", " 98765 1000 "))
    assert not sampler.sample().alive


@pytest.mark.parametrize("text", ["", "10 (x", "10 (x) S one two", "10 (x) Z " + "1 " * 40])
def test_damaged_or_ended_processes_are_not_alive(tmp_path: Path, text: str) -> None:
    put(tmp_path, proc__10__stat=text)
    assert not ProcessSampler(10, str(tmp_path)).sample().alive
    assert not ProcessSampler(99, str(tmp_path)).sample().alive


def test_this_process_is_read() -> None:
    found = ProcessSampler(os.getpid()).sample()
    assert found.alive
    assert found.rss_bytes
    assert any(thread.cpu_s for thread in found.threads or ())


def test_cgroup_v2_the_tightest_on_the_way_up_counts(tmp_path: Path) -> None:
    mount = f"cgroup2 {tmp_path}/sys/fs/cgroup cgroup2 rw 0 0\n".replace(str(tmp_path), "")
    put(tmp_path, proc__7__cgroup="0::/pod/engine\n", proc__mounts=mount)
    base = tmp_path / "sys/fs/cgroup"
    put(base / "pod/engine", cpu_dot_max="max 100000\n", memory_dot_max="max\n", memory_dot_current="500\n")
    put(
        base / "pod",
        cpu_dot_max="150000 100000\n",
        cpu_dot_stat="usage_usec 5\nnr_periods 100\nnr_throttled 40\nthrottled_usec 2500000\n",
        memory_dot_max="1000\n",
        memory_dot_current="900\n",
        memory_dot_events="low 0\nhigh 2\nmax 30\noom 1\noom_kill 1\n",
        memory_dot_stat="anon 1\nworkingset_refault_file 55\n",
    )
    found = CgroupSampler(7, str(tmp_path)).sample()
    assert found is not None
    assert (found.quota_cores, found.periods, found.throttled, found.throttled_s) == (1.5, 100, 40, 2.5)
    assert (found.memory_bytes, found.memory_limit_bytes, found.memory_stalls) == (900, 1000, 32)
    assert (found.refaults, found.oom_kills) == (55, 1)


def test_cgroup_v1_and_a_container_that_sees_its_group_as_the_root(tmp_path: Path) -> None:
    mounts = "cgroup /sys/fs/cgroup/cpu cgroup rw,cpu,cpuacct 0 0\ncgroup /sys/fs/cgroup/memory cgroup rw,memory 0 0\n"
    put(tmp_path, proc__7__cgroup="4:memory:/docker/abc\n1:cpu,cpuacct:/docker/abc\n", proc__mounts=mounts)
    put(tmp_path / "sys/fs/cgroup/cpu", cpu_dot_cfs_quota_us="50000", cpu_dot_cfs_period_us="100000",
        cpu_dot_stat="nr_periods 10\nnr_throttled 9\nthrottled_time 500000000\n")  # fmt: skip
    put(tmp_path / "sys/fs/cgroup/memory", memory_dot_limit_in_bytes="9223372036854771712",
        memory_dot_usage_in_bytes="77", memory_dot_stat="total_workingset_refault_file 3\n")  # fmt: skip
    found = CgroupSampler(7, str(tmp_path)).sample()
    assert found is not None
    assert (found.quota_cores, found.throttled_s, found.memory_limit_bytes) == (0.5, 0.5, None)
    assert (found.memory_bytes, found.refaults) == (77, 3)


def test_no_cgroup_and_no_host_files(tmp_path: Path) -> None:
    assert CgroupSampler(7, str(tmp_path)).sample() is None
    host = HostSampler(str(tmp_path)).sample()
    assert host.cpus is None
    assert host.pressure is None
    assert SocketSampler(8080, str(tmp_path)).sample() is None


def test_the_host(tmp_path: Path) -> None:
    put(
        tmp_path,
        proc__stat="cpu  1 1 1 1\ncpu0 100 10 40 800 5 1 2 30 0 0\ncpu3 1 2\nintr 5\n",
        proc__meminfo="MemTotal: 1000 kB\nMemAvailable: 250 kB\n",
        proc__vmstat="workingset_refault_file 12\npswpin 3\npswpout 4\n",
        proc__pressure__io="some avg10=0.00 avg60=0.00 avg300=0.00 total=2000000\nfull avg10=0 total=1000000\n",
    )
    put(tmp_path / "sys/devices/system/node/node1", cpulist="0\n", numastat="local_node 5\nother_node 6\n")
    put(tmp_path / "sys/devices/system/cpu/cpu0/cpufreq", scaling_cur_freq="800000\n", cpuinfo_max_freq="4000000\n")
    found = HostSampler(str(tmp_path)).sample()
    assert found.cpus is not None
    assert len(found.cpus) == 1
    tick = os.sysconf("SC_CLK_TCK")
    assert (found.cpus[0].busy_s, found.cpus[0].steal_s) == (153 / tick, 30 / tick)
    assert (found.cpus[0].clock_hz, found.cpus[0].node) == (0.8e9, 1)
    assert (found.memory_available_bytes, found.refaults, found.swapped_out) == (250 * 1024, 12, 4)
    assert found.nodes is not None
    assert found.nodes[0].other == 6
    assert found.pressure is not None
    assert (found.pressure.io_some_s, found.pressure.cpu_some_s) == (2.0, None)


def test_unread_bytes_at_both_ends(tmp_path: Path) -> None:
    rows = """  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode
   0: 0100007F:1F90 00000000:0000 0A 00000000:00000002 00:00000000 00000000     0        0 1
   1: 0100007F:1F90 0100007F:C001 01 00000100:00000000 00:00000000 00000000     0        0 2
   2: 0100007F:C001 0100007F:1F90 01 00000000:00002000 00:00000000 00000000     0        0 3
   3: 0100007F:1F90 0200000A:C002 01 00000000:00000000 00:00000000 00000000     0        0 4
   4: 0100007F:1F91 0200000A:C003 01 0000FFFF:00000000 00:00000000 00000000     0        0 5
"""
    put(tmp_path, proc__net__tcp=rows)
    found = SocketSampler(8080, str(tmp_path)).sample()
    assert found is not None
    assert (found.connections, found.unread_bytes, found.stuck, found.accepting) == (2, 0x2100, 1, 2)


def test_prometheus_lines_of_every_kind() -> None:
    text = """# HELP a:b {quoted "x"}
a:b{model="m} \\" 1",engine="0"} 3 1700000000
a:b{model="x",engine="1"} 4.5e0
a:c NaN
a:d +Inf
a:e_bucket{le="1"} 5
a:f
b:g 7
a:h{broken 1
a:i 2"""
    assert metrics(text, "a:") == {"a:b": [3.0, 4.5], "a:i": [2.0]}


VLLM = """vllm:num_requests_running{engine="0"} 3
vllm:num_requests_running{engine="1"} 2
vllm:num_requests_waiting{engine="0"} 7
vllm:kv_cache_usage_perc{engine="0"} 0.4
vllm:kv_cache_usage_perc{engine="1"} 0.9
vllm:generation_tokens_total{engine="0"} 1000
vllm:num_preemptions_total{engine="0"} 4
vllm:time_to_first_token_seconds_sum{engine="0"} 12.5
vllm:time_to_first_token_seconds_count{engine="0"} 10
"""
LLAMA = """llamacpp:tokens_predicted_total 1200
llamacpp:prompt_tokens_total 90
llamacpp:n_decode_total 800
llamacpp:requests_processing 1
llamacpp:requests_deferred 2
"""


def slot(made: int = 30, busy: bool = True, prompt: int = 100) -> dict[str, Any]:
    """A slot as /slots tells it."""
    if not busy:
        return {"id": 0, "n_ctx": 2048, "is_processing": False}
    return {"id": 1, "n_ctx": 200, "is_processing": True, "n_prompt_tokens": prompt, "n_prompt_tokens_processed": 100,
            "n_prompt_tokens_cache": 0, "next_token": [{"n_decoded": made}]}  # fmt: skip


def test_vllm_adds_engines_and_takes_the_fullest_cache() -> None:
    found = parsed(1.0, 0.01, 200, VLLM, None)
    assert (found.kind, found.running, found.waiting, found.kv_usage) == ("vllm", 5.0, 7.0, 0.9)
    assert (found.tokens_total, found.preemptions_total, found.ttft_s_total, found.ttft_count) == (1000, 4, 12.5, 10)


def test_llamacpp_counts_tokens_that_are_being_made() -> None:
    found = parsed(1.0, 0.01, 200, LLAMA, [slot(), slot(busy=False)])
    assert (found.kind, found.tokens_total, found.prompt_tokens_total, found.slots) == ("llama.cpp", 1230, 90, 2)
    assert found.context_fill == pytest.approx(0.5)
    reading = parsed(1.0, 0.01, 200, LLAMA, [slot(made=0)])
    assert reading.prompt_tokens_total == 190


def test_llamacpp_between_two_answers_is_not_counted() -> None:
    assert parsed(1.0, 0.01, 200, LLAMA, [slot(busy=False)]).tokens_total is None


def test_llamacpp_without_metrics_and_other_servers() -> None:
    found = parsed(1.0, 0.01, 501, "", [slot()])
    assert (found.running, found.tokens_total) == (1.0, None)
    assert parsed(1.0, 0.01, 200, "go_gc 1", None).error
    assert parsed(1.0, 0.01, 404, "", None).error


@pytest.mark.parametrize("slots", [{}, [1, "x", None], [{"is_processing": True, "next_token": 5, "n_ctx": "?"}], "x"])
def test_odd_slots_do_not_crash(slots: object) -> None:
    assert parsed(1.0, 0.01, 200, LLAMA, slots).kind == "llama.cpp"


class Silent(BaseHTTPRequestHandler):
    """Answers once, then only when let go."""

    free = threading.Event()
    answered = False

    def do_GET(self) -> None:
        if Silent.answered:
            Silent.free.wait(20)
        Silent.answered = self.path == "/slots"
        body = LLAMA.encode() if self.path == "/metrics" else b"[]"
        self.send_response(200)
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words: object) -> None:
        """Quiet."""


def test_an_engine_that_falls_silent_is_told_and_does_not_block() -> None:
    server = HTTPServer(("127.0.0.1", 0), Silent)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    sampler = EndpointSampler(Address(f"http://127.0.0.1:{server.server_address[1]}"), interval_s=0.1)
    try:
        seen = []
        end = time.monotonic() + 15
        while time.monotonic() < end and not any(each and each.answers is False for each in seen):
            seen.append(sampler.sample())
            time.sleep(0.05)
        assert any(each and each.answers and each.kind == "llama.cpp" for each in seen)
        assert seen[-1] is not None
        assert seen[-1].answers is False
        assert (seen[-1].waited_s or 0) > 1
    finally:
        sampler.close()
        Silent.free.set()
        server.shutdown()


def test_addresses_and_processes_that_are_none() -> None:
    with pytest.raises(BadInput):
        Address("ftp://x")
    with pytest.raises(BadInput):
        find(pid=2**22 + 5)


def test_a_gpu_with_every_answer() -> None:
    nvml = FakeNvml(
        nvmlDeviceGetUtilizationRates=SimpleNamespace(gpu=35, memory=12),
        nvmlDeviceGetMemoryInfo=SimpleNamespace(used=10, total=100),
        nvmlDeviceGetClockInfo=1900,
        nvmlDeviceGetMaxClockInfo=1980,
        nvmlDeviceGetPowerUsage=210_000,
        nvmlDeviceGetEnforcedPowerLimit=700_000,
        nvmlDeviceGetTemperature=61,
        nvmlDeviceGetPerformanceState=0,
        nvmlDeviceGetCurrentClocksThrottleReasons=0x24,
        nvmlDeviceGetPcieThroughput=lambda handle, which: 2_000_000 if which == 1 else 500_000,
        nvmlDeviceGetCurrPcieLinkGeneration=4,
        nvmlDeviceGetCurrPcieLinkWidth=8,
        nvmlDeviceGetPciInfo=SimpleNamespace(busId=b"00000000:41:00.0"),
        nvmlDeviceGetComputeRunningProcesses=[SimpleNamespace(pid=5, usedGpuMemory=None)],
    )
    (gpu,) = GpuSampler(nvml, {"0000:41:00.0": 1}.get).sample()
    assert (gpu.busy, gpu.memory_busy, gpu.clock_hz, gpu.power_w) == pytest.approx((0.35, 0.12, 1.9e9, 210.0))
    assert gpu.reasons == ("sw_power_cap", "sw_thermal_slowdown")
    assert (gpu.pcie_read_bytes_per_s, gpu.pcie_write_bytes_per_s) == (2e9, 0.5e9)
    assert (gpu.link_generation, gpu.link_width, gpu.node) == (4, 8, 1)
    assert gpu.processes is not None
    assert gpu.processes[0].pid == 5
    assert gpu.xids is None  # events are not supported here: not the same as none


def test_a_gpu_that_answers_nothing_is_all_unknown() -> None:
    nvml = FakeNvml()
    (gpu,) = GpuSampler(nvml).sample()
    known = [name for name in gpu.__slots__ if getattr(gpu, name) is not None]
    assert known == ["index"]


def test_xids_are_kept_from_the_moment_they_come() -> None:
    events = [SimpleNamespace(device="gpu0", eventData=79)]

    def wait(*_: Any) -> Any:
        if not events:
            raise FakeNvml.NVMLError("Timeout")
        return events.pop()

    nvml = FakeNvml(nvmlEventSetCreate="set", nvmlDeviceRegisterEvents=None, nvmlEventSetWait_v2=wait)
    sampler = GpuSampler(nvml)
    assert sampler.sample()[0].xids == (79,)
    assert sampler.sample()[0].xids == (79,)


def test_slow_questions_are_asked_seldom() -> None:
    nvml = FakeNvml(nvmlDeviceGetPcieThroughput=1)
    sampler = GpuSampler(nvml)
    for _ in range(8):
        sampler.sample()
    assert nvml.asked.count("nvmlDeviceGetPcieThroughput") == 4
    assert nvml.asked.count("nvmlDeviceGetUtilizationRates") == 8
