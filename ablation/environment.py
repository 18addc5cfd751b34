"""What decides a result outside of the configuration, fixed for every child process in one place.

Read without any framework. `SETTINGS` says what is set and `SET_ASIDE` what is taken away, with the
reasons; what cannot be fixed is in `provenance.CONFOUNDS`.
"""

import contextlib
import os
import tempfile
from pathlib import Path
from typing import NamedTuple

from ablation.config import Config, UserError, expanded
from ablation.records import durable


class Setting(NamedTuple):
    """A variable that every child process gets.

    Attributes:
        name: of the variable.
        value: what it is set to.
        reason: what it would change otherwise.
    """

    name: str
    value: str
    reason: str


NUMERICAL = (
    Setting("TF_ENABLE_ONEDNN_OPTS", "1", "off on processors without AVX-512; another rounding"),
    Setting("ONEDNN_DEFAULT_FPMATH_MODE", "STRICT", "float32 products may be computed in bfloat16"),
    Setting("PYTHONHASHSEED", "0", "order of sets of text"),
)
"""These decide the bits of a result."""

BY_BACKEND = ("XLA_FLAGS", "CUBLAS_WORKSPACE_CONFIG")
"""So do these, which only one backend gets."""

ALLOCATOR = (
    Setting("MALLOC_ARENA_MAX", "1", "each thread's arena grows and is given back on its own"),
    Setting("MALLOC_MMAP_MAX_", "0", "each large array would be mapped and unmapped anew"),
    Setting("MALLOC_TRIM_THRESHOLD_", str(2**40), "freed memory would go back and be zeroed again"),
    Setting("MALLOC_TOP_PAD_", str(2**26), "the heap would grow in many small steps"),
    Setting("GLIBC_TUNABLES", "glibc.malloc.hugetlb=1", "a page fault for every 4 KiB"),
)
"""These change how long it takes, with glibc; other C libraries do not read them."""

SET_ASIDE = {
    "TF_": "switches of TensorFlow's kernels, precision and threads",
    "ONEDNN_": "kernels and precision of oneDNN",
    "DNNL_": "the same under its earlier name",
    "XLA_": "passes and precision of XLA",
    "JAX_": "precision, number format and devices of JAX",
    "KERAS_": "number format, order of axes, backend and length of training",
    "TORCH_": "kernels and precision of PyTorch",
    "PYTORCH_": "kernels and precision of PyTorch",
    "ATEN_": "kernels of PyTorch",
    "OMP_": "threads, and so the order of sums",
    "KMP_": "the same for Intel's OpenMP",
    "MKL_": "kernels and threads of Intel's MKL",
    "NPY_": "kernels of NumPy",
    "NVIDIA_TF32_OVERRIDE": "precision of products on a GPU",
    "CUBLAS_": "kernels of cuBLAS",
    "CUDNN_": "kernels of cuDNN",
    "PYTHONOPTIMIZE": "checks in libraries",
    "PYTHONWARNINGS": "warnings of libraries as errors",
    "PYTHONPATH": "which files are imported; `import_path` hands down what is left of it",
    "PYTHONSAFEPATH": "the same",
}
"""Variables, or beginnings of their names, that no child inherits, and what they decide."""

INHERITED = {
    "TF_CPP_MIN_LOG_LEVEL": "what is printed",
    "TF_CPP_MAX_VLOG_LEVEL": "what is printed",
    "TF_CPP_VMODULE": "what is printed",
    "TF_FORCE_GPU_ALLOW_GROWTH": "how much of a GPU's memory is taken",
    "XLA_PYTHON_CLIENT_PREALLOCATE": "how much of a GPU's memory is taken",
    "XLA_PYTHON_CLIENT_MEM_FRACTION": "how much of a GPU's memory is taken",
    "JAX_PLATFORMS": "a device, which is recorded",
    "JAX_COMPILATION_CACHE_DIR": "where compiled steps are kept",
    "TF_CLI_": "how Terraform behaves, which shares the letters with TensorFlow",
    "TF_VAR_": "the same",
}
"""Exceptions, or beginnings of their names, and what they decide."""

RECORDED = {
    "OPENBLAS_CORETYPE": "some processors compute wrong products without it",
    "LD_PRELOAD": "how a machine hands out its libraries, allocators among them",
    "JAX_PLATFORMS": "which of several devices is to be used",
}
"""Inherited because a machine or a user may need them, with the reason; part of the provenance."""

_KERAS_JSON = {
    "floatx": "float32",
    "epsilon": 1e-07,
    "backend": "tensorflow",  # KERAS_BACKEND goes before it.
    "image_data_format": "channels_last",
}


def child(config: Config) -> dict[str, str]:
    """Returns the environment of a child process that trains.

    Args:
        config: the resolved configuration.
    """
    settings = {name: value for name, value, _ in NUMERICAL}
    settings |= {"KERAS_BACKEND": config.backend, "KERAS_HOME": _keras_home(config.cache_dir)}
    settings |= {"PYTHONUTF8": "1"}  # The log holds names in any script.
    # A user's own allocator settings change no result.
    defaults = {name: value for name, value, _ in ALLOCATOR} | {"TF_CPP_MIN_LOG_LEVEL": "2"}
    # By default they take most of a GPU's memory at once, but several runs may share a GPU.
    if config.backend == "tensorflow":
        defaults["TF_FORCE_GPU_ALLOW_GROWTH"] = "true"
    if config.backend == "jax":
        defaults["XLA_PYTHON_CLIENT_PREALLOCATE"] = "false"
        if config.threads:
            settings["NPROC"] = str(config.threads)
        if config.deterministic:
            settings["XLA_FLAGS"] = "--xla_gpu_deterministic_ops=true"
    if config.backend == "torch" and config.deterministic:
        # Without it PyTorch refuses deterministic products on a GPU.
        settings["CUBLAS_WORKSPACE_CONFIG"] = ":4096:8"
    return defaults | inherited() | settings


def become(variables: dict[str, str]) -> None:
    """Gives this process an environment in place of its own."""
    os.environ.clear()
    os.environ.update(variables)


def inherited() -> dict[str, str]:
    """Returns what of this process's environment every child gets."""
    return {name: value for name, value in os.environ.items() if _is_inherited(name)}


def quiet(variables: dict[str, str]) -> dict[str, str]:
    """Returns an environment in which TensorFlow prints no remarks, unless the user wants them."""
    said = "TF_CPP_MIN_LOG_LEVEL"
    return variables | {said: os.environ.get(said, "3")}


def set_aside() -> dict[str, str]:
    """Returns the variables of this process that no child inherits, but for Python's own path."""
    return {
        name: value
        for name, value in sorted(os.environ.items())
        if not _is_inherited(name) and not name.startswith("PYTHON") and value != _set_to(name)
    }


def recorded() -> dict[str, str]:
    """Returns what of the environment of this process belongs to the provenance of a result."""
    names = [*(setting.name for setting in NUMERICAL), *BY_BACKEND, *RECORDED]
    return {name: os.environ[name] for name in names if name in os.environ}


def allocator() -> dict[str, str]:
    """Returns how this process's memory is handed out, which changes how long a run takes."""
    return {name: os.environ[name] for name, _, _ in ALLOCATOR if name in os.environ}


def _is_inherited(name: str) -> bool:
    return name.startswith(tuple(INHERITED)) or not name.startswith(tuple(SET_ASIDE))


def _set_to(name: str) -> str | None:
    return next((setting.value for setting in NUMERICAL if setting.name == name), None)


def _keras_home(cache_dir: str) -> str:
    """Returns the folder from which Keras reads its settings, instead of the user's ~/.keras."""
    folders = (
        expanded("cache_dir", cache_dir) / "keras",
        Path(tempfile.gettempdir()) / f"ablation-{os.getuid()}-keras",  # A cache may be read-only.
    )
    for folder in folders:
        with contextlib.suppress(OSError):
            _write_settings(folder / "keras.json")
            return str(folder)
    raise UserError(
        f"neither {folders[0]} nor {folders[1]} can be written; name another cache_dir."
    )


def _write_settings(file: Path) -> None:
    with contextlib.suppress(OSError, ValueError):
        if durable.read_json(file) == _KERAS_JSON:
            return
    file.parent.mkdir(parents=True, exist_ok=True)
    durable.write_json(file, _KERAS_JSON)
