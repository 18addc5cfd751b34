import subprocess
import sys
from pathlib import Path

import pytest

from ablation import machine

X86 = "processor\t: 0\nmodel name\t: A Xeon\nflags\t\t: fpu avx avx2 fma {}\n\nprocessor\t: 1\n"


@pytest.fixture
def cpuinfo(monkeypatch, tmp_path):
    def write(text):
        machine._fact.cache_clear()
        file = tmp_path / "cpuinfo"
        if text is not None:
            file.write_text(text)
        monkeypatch.setattr(machine, "_CPUINFO", file)

    yield write
    machine._fact.cache_clear()


@pytest.mark.parametrize(
    ("text", "instructions", "lacks"),
    [
        (X86.format(""), "AVX AVX2 FMA", True),
        (X86.format("avx512f avx512_bf16"), "AVX AVX2 FMA AVX-512 AVX512_BF16", False),
        (X86.format("amx_bf16"), "AVX AVX2 FMA AMX_BF16", False),
        ("processor\t: 0\nFeatures\t: fp asimd bf16\n", "NEON BF16", False),
        ("processor\t: 0\nFeatures\t: fp asimd\n", "NEON", True),
        ("", "", False),  # Nothing is known, so nothing is claimed.
        (None, "", False),
    ],
)
def test_the_processor_says_what_it_can_compute_with(cpuinfo, text, instructions, lacks):
    cpuinfo(text)
    assert machine.instructions() == instructions
    assert machine.lacks_bfloat16() == lacks


MOUNTS = """\
/dev/sda1 / ext4 rw 0 0
server:/home /home nfs4 rw,vers=4.2,local_lock=none 0 0
server:/old /home/old nfs rw,vers=3,nolock,local_lock=all 0 0
server:/data /mnt/my\\040data nfs4 rw,local_lock=flock 0 0
me@server: /mnt/ssh fuse.sshfs rw 0 0
/dev/sdb1 /mnt/ssh/disk ext4 rw 0 0
server@tcp:/fs /lustre lustre rw,flock 0 0
"""


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("/srv/runs/main", None),
        ("/home/me/runs/main", None),
        ("/home/older", None),
        ("/home/old/runs/main", "nfs, nolock, local_lock=all"),
        ("/mnt/my data/runs", "nfs4, local_lock=flock"),
        ("/mnt/ssh/runs", "fuse.sshfs"),
        ("/mnt/ssh/disk/runs", None),
        ("/lustre/runs", None),
    ],
)
def test_a_folder_whose_locks_other_machines_do_not_see_is_told(path, said, tmp_path, monkeypatch):
    monkeypatch.setattr(machine, "_MOUNTS", tmp_path / "none")
    assert machine.local_locks(Path(path)) is None
    (tmp_path / "mounts").write_text(MOUNTS)
    monkeypatch.setattr(machine, "_MOUNTS", tmp_path / "mounts")
    assert machine.local_locks(Path(path)) == said


def test_the_processor_is_named(cpuinfo):
    cpuinfo(X86.format(""))
    assert machine.processor() == "A Xeon"


@pytest.mark.parametrize(
    ("limit", "taken", "free"),
    [("max", 100, 2048), ("1500", 500, 1000), ("500", 900, 0), (None, None, 2048)],
)
def test_free_memory_is_that_of_the_machine_or_of_its_container(
    monkeypatch, tmp_path, limit, taken, free
):
    (tmp_path / "meminfo").write_text("MemTotal: 9 kB\nMemFree: 1 kB\nMemAvailable:  2 kB\n")
    if limit:
        (tmp_path / "memory.max").write_text(f"{limit}\n")
        (tmp_path / "memory.current").write_text(f"{taken}\n")
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "meminfo")
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine.free_memory_bytes() == free


def test_where_nothing_tells_of_memory_nothing_is_said(monkeypatch, tmp_path):
    monkeypatch.setattr(machine, "_MEMINFO", tmp_path / "none")
    monkeypatch.setattr(machine, "_CGROUP", tmp_path)
    assert machine.free_memory_bytes() is None


def test_the_peak_of_a_process_is_not_that_of_its_parent():
    asks = "from ablation import machine; print(machine.peak_memory_bytes())"
    parent = f"""
import subprocess, sys
large = b"x" * 400_000_000
print(subprocess.run([sys.executable, "-c", {asks!r}], capture_output=True, text=True).stdout)
"""
    done = subprocess.run([sys.executable, "-c", parent], capture_output=True, text=True)
    assert 1_000_000 < int(done.stdout) < 200_000_000
