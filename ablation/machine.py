"""The processor that this runs on, in words, and its free memory. No framework."""

import contextlib
import functools
import platform
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_CGROUP = Path("/sys/fs/cgroup")
_INSTRUCTIONS = {
    # As Linux names them, x86 first. These choose the kernels of the frameworks.
    "avx": "AVX",
    "avx2": "AVX2",
    "fma": "FMA",
    "avx_vnni": "AVX-VNNI",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX512_VNNI",
    "avx512_bf16": "AVX512_BF16",
    "avx512_fp16": "AVX512_FP16",
    "amx_bf16": "AMX_BF16",
    "amx_int8": "AMX_INT8",
    "asimd": "NEON",
    "sve": "SVE",
    "bf16": "BF16",
    "i8mm": "I8MM",
}
_OF_BFLOAT16 = {"AVX512_BF16", "AMX_BF16", "BF16"}


def processor() -> str:
    """Returns the processor's name; platform.processor() is empty on most Linux systems."""
    return _fact("model name") or platform.processor()


def instructions() -> str:
    """Returns what the processor can compute with, such as "AVX AVX2 FMA", "" if unknown."""
    flags = set((_fact("flags") or _fact("Features")).split())
    return " ".join(name for flag, name in _INSTRUCTIONS.items() if flag in flags)


def lacks_bfloat16() -> bool:
    """Returns whether the processor is known to have no instructions for bfloat16."""
    known = set(instructions().split())
    return bool(known) and not known & _OF_BFLOAT16


def free_memory_bytes() -> int | None:
    """Returns the memory that this machine, or its container, can still give; None if unknown."""
    free = []
    with contextlib.suppress(OSError, ValueError, KeyError):
        fields = dict(line.split(":", 1) for line in _MEMINFO.read_text().splitlines())
        free.append(int(fields["MemAvailable"].split()[0]) * 1024)
    with contextlib.suppress(OSError, ValueError):  # "max" is no number, and no limit.
        limit, taken = (
            int((_CGROUP / f"memory.{name}").read_text()) for name in ("max", "current")
        )
        free.append(max(0, limit - taken))
    return min(free, default=None)


@functools.cache
def _fact(name: str) -> str:
    """Returns the first value of a name in /proc/cpuinfo, "" where there is none."""
    try:
        lines = _CPUINFO.read_text().splitlines()
    except OSError:
        return ""
    found = (
        line.partition(":")[2].strip() for line in lines if line.partition(":")[0].strip() == name
    )
    return next(found, "")
