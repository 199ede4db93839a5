"""What a run was made on: without it no figure means anything."""

from __future__ import annotations

import os
import platform
import time
from importlib import metadata
from pathlib import Path
from statistics import median

from authz_service.proxy.binary import envoy_version

_SYNCS = 100


def facts(folder: Path) -> dict[str, str]:
    """Names and values for people; `folder` is where the databases of the run lie."""
    return {
        "CPU": f"{os.cpu_count()} x {_cpu_model()}",
        "memory": f"{os.sysconf('SC_PHYS_PAGES') * os.sysconf('SC_PAGE_SIZE') / 2**30:.0f} GiB",
        "busy with other things": f"load average {os.getloadavg()[0]:.1f} before the run",
        "kernel": f"{platform.system()} {platform.release()}",
        "disk": f"{_file_system(folder)}, fsync of 4 KiB in {_fsync_seconds(folder) * 1e3:.2f} ms (median)",
        "Python": platform.python_version(),
        "Envoy": envoy_version(),
        "grpcio": metadata.version("grpcio"),
        "protobuf": metadata.version("protobuf"),
        "authz-service": metadata.version("authz-service"),
    }


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _file_system(folder: Path) -> str:
    """The type of the file system whose mount point is nearest above the folder (proc(5): mounts)."""
    mounts = [line.split()[1:3] for line in Path("/proc/mounts").read_text().splitlines()]
    above = [(point, kind) for point, kind in mounts if folder.resolve().is_relative_to(point)]
    return max(above, key=lambda mount: len(mount[0]))[1]


def _fsync_seconds(folder: Path) -> float:
    """What a commit pays at least."""
    path = folder / "fsync"
    times = []
    with path.open("wb", buffering=0) as file:
        for _ in range(_SYNCS):
            file.write(bytes(4096))
            began = time.perf_counter()
            os.fsync(file.fileno())
            times.append(time.perf_counter() - began)
    path.unlink()
    return median(times)
