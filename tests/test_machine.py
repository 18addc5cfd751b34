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
