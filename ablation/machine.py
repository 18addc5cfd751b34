"""The processor that this runs on, in words, its memory and its mounts. No framework."""

import contextlib
import functools
import platform
import sys
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_MEMINFO = Path("/proc/meminfo")
_STATUS = Path("/proc/self/status")
_MOUNTS = Path("/proc/self/mounts")
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
_LOCAL_LOCKS = {
    # By kind of a shared file system: options with which locks are not passed on to the server;
    # nfs(5), mount.lustre(8), mount.cifs(8). With () they never are.
    "nfs": ("nolock", "local_lock=all", "local_lock=flock"),
    "nfs4": ("nolock", "local_lock=all", "local_lock=flock"),
    "lustre": ("localflock",),
    "cifs": ("nobrl",),
    "smb3": ("nobrl",),
    "fuse.sshfs": (),
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


def local_locks(path: Path) -> str | None:
    """Returns how a folder is mounted if other machines share it but see no lock in it.

    Args:
        path: of the folder, which need not exist.

    Returns:
        Such as "nfs4, local_lock=flock"; None if locks hold across machines, the folder is on one
        machine alone, or nobody can say.
    """
    whole = path.resolve()
    found: tuple[int, str, str] | None = None
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in _MOUNTS.read_text(errors="replace").splitlines():
            _, where, kind, options = line.split()[:4]
            where = where.replace("\\040", " ")
            depth = len(Path(where).parts)
            if whole.is_relative_to(where) and (found is None or depth >= found[0]):
                found = depth, kind, options
    if found is None or found[1] not in _LOCAL_LOCKS:
        return None
    _, kind, options = found
    local = _LOCAL_LOCKS[kind]
    named = [option for option in options.split(",") if option in local]
    return ", ".join([kind, *named]) if named or not local else None


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


def peak_memory_bytes() -> int:
    """Returns the peak resident memory of this process."""
    with contextlib.suppress(OSError, StopIteration):
        lines = _STATUS.read_text().splitlines()
        return int(next(line for line in lines if line.startswith("VmHWM:")).split()[1]) * 1024
    # Where there is no such file. Linux counts in KiB, and the peak of the parent with it.
    import resource  # Not on Windows.

    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
