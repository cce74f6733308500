"""Where the figures come from: hardware, load and versions."""

import os
import platform
from importlib.metadata import version
from pathlib import Path

PACKAGES = ("grpcio", "asyncpg", "redis", "uvloop", "protobuf")


def describe() -> dict[str, str]:
    """What must be known to compare figures."""
    return {
        "cpu": f"{_model()}, {os.cpu_count()} logical",
        "memory": f"{os.sysconf('SC_PAGE_SIZE') * os.sysconf('SC_PHYS_PAGES') / 2**30:.1f} GiB",
        "system": f"{platform.system()} {platform.release()}",
        "load before": " ".join(f"{load:.2f}" for load in os.getloadavg()),
        "python": platform.python_version(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }


def _model() -> str:
    info = Path("/proc/cpuinfo")
    lines = info.read_text().splitlines() if info.exists() else []
    models = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(models, platform.machine())
