import copy
import functools
import gc
import json
import os
import subprocess
import sys
from dataclasses import asdict, replace
from pathlib import Path

import pandas as pd
import pytest
from hydra import compose, initialize_config_dir
from hydra.core.override_parser.overrides_parser import OverridesParser
from hydra.core.override_parser.types import OverrideType

from ablation import command, environment, source
from ablation.config import CONF_DIR, to_plain
from ablation.designs import with_reference
from ablation.designs.registry import DESIGNS
from ablation.factors import spelled
from ablation.networks import registry
from ablation.records import asked, durable, store
from ablation.records.asked import Planned
from ablation.typed_config import typed_config
from support import TINY, check_resumed, current_sources, run_of

# As in every child, so that what a test computes itself is rounded as in a run.
os.environ["TF_ENABLE_ONEDNN_OPTS"] = "1"


_LONG = (
    "running/test_tuning_runs.py",
    "test_cli.py",
    "running/test_interruption.py",
    "running/test_until.py",
    "networks/test_cost.py",
    "training/test_resume.py",
    "running/test_children.py",
    "running/test_controlled.py",
    "test_own_networks.py",
    "crash/test_crash_states.py",
    "running/test_launchers.py",
    "backends/test_torch.py",
    "backends/test_jax.py",
    "test_trained.py",
    "running/test_vanished.py",
    "test_own_recipes.py",
    "report/page/test_page.py",
    "report/page/test_in_a_browser.py",
    "running/test_lesion.py",
    "training/test_hang.py",
    "networks/test_torch_module.py",
)
"""Files that take longest, which come first, so that no worker is left with one in the end."""


def pytest_collection_modifyitems(items):
    places = {file: place for place, file in enumerate(_LONG)}
    here = Path(__file__).parent

    def place(item):
        file = item.path.relative_to(here).as_posix() if item.path.is_relative_to(here) else ""
        return places.get(file, len(places))

    items.sort(key=place)


def pytest_collection_finish():
    # What TensorFlow and Keras made on import need not be looked through again and again.
    gc.collect()
    gc.freeze()


@pytest.fixture(autouse=True)
def _modules_of_tests_are_forgotten(tmp_path_factory):
    """So that no test is told that its network has the name of an earlier test's."""
    before = set(sys.modules)
    yield
    base = str(tmp_path_factory.getbasetemp())
    for name in set(sys.modules) - before:
        # Asked of the dictionary, because a lazy module would be imported by the question.
        if str(getattr(sys.modules[name], "__dict__", {}).get("__file__")).startswith(base):
            del sys.modules[name]


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory):
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(scope="session")
def warm(cache_dir, tmp_path_factory):
    """Runs a command in a fork of a process that has loaded the libraries."""
    server = subprocess.Popen(
        [sys.executable, Path(__file__).with_name("warm.py")],
        env=os.environ | {"ABLATION_CACHE_DIR": str(cache_dir)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )

    def run(*arguments, cwd, module, timeout=300):
        folder = tmp_path_factory.mktemp("said")
        files = {name: str(folder / name) for name in ("stdout", "stderr")}
        order = {"module": module, "arguments": arguments, "cwd": str(cwd), "timeout": timeout}
        server.stdin.write(f"{json.dumps(order | files)}\n")
        server.stdin.flush()
        code = json.loads(server.stdout.readline())
        said = {name: Path(file).read_text() for name, file in files.items()}
        if code is None:
            raise subprocess.TimeoutExpired(arguments, timeout, said["stdout"], said["stderr"])
        return subprocess.CompletedProcess(arguments, code, **said)

    yield run
    server.communicate(timeout=60)


@pytest.fixture(scope="session")
def cli(cache_dir, request):
    """Runs `python -m ablation` as a user would, in a folder of its own.

    Unless it has an environment or code of its own, or is to be `cold`, it is a fork of a process
    that has loaded the libraries, see `warm.py`.
    """

    def run(
        *arguments,
        cwd: Path,
        module="ablation",
        cold=False,
        code=None,
        before=None,
        timeout=300,
        **environment,
    ):
        if not (cold or code or before or environment):
            return request.getfixturevalue("warm")(
                *arguments, cwd=cwd, module=module, timeout=timeout
            )
        if "PYTHONPATH" in environment and "PYTHONPATH" in os.environ:
            # In front of what is there, so that it is still this package that is tested.
            environment["PYTHONPATH"] += os.pathsep + os.environ["PYTHONPATH"]
        return subprocess.run(
            [sys.executable, *(["-c", code] if code else ["-m", module]), *arguments],
            cwd=cwd,
            env=os.environ | {"ABLATION_CACHE_DIR": str(cache_dir)} | environment,
            capture_output=True,
            text=True,
            timeout=timeout,
            preexec_fn=before,
        )

    return run


@pytest.fixture(scope="session")
def tiny_study(cli, tmp_path_factory):
    """A study trained once for every test that only reads it: (its folder, what was printed)."""
    folder = tmp_path_factory.mktemp("study")
    done = cli("-m", *TINY, "plain=true,false", cwd=folder, cold=True)
    assert done.returncode == 0, done.stderr
    return folder / "runs" / "main", done


@pytest.fixture(scope="session")
def config():
    """Composes the real conf/ with overrides and settles the network's parts."""

    def composed(*overrides):
        composed = typed_config(_plain(command.without_options(overrides)))
        if composed.arch not in registry.ARCHS:
            return composed
        parts = registry.find(composed.arch).settled(composed.parts)
        return replace(composed, parts=parts)

    return composed


_VARIED = ("epochs", "seed", "study", "runs_dir", "arch")
"""Keys that choose nothing else, so that what Hydra makes of the others is kept."""


def _plain(words):
    """What Hydra composes; that takes a tenth of a second, and stored studies have many runs."""
    parsed = OverridesParser.create().parse_overrides(words)
    varied, others = {}, []
    for word, override in zip(words, parsed, strict=True):
        key = override.key_or_group
        if override.type is OverrideType.CHANGE and (key in _VARIED or key.startswith("parts.")):
            varied[key] = override.value()
        else:
            others.append(word)
    cache_dir = os.environ.get("ABLATION_CACHE_DIR")
    found = copy.deepcopy(_kept(tuple(others), cache_dir))
    arch = varied.get("arch", found["arch"])
    known = arch in registry.ARCHS or (isinstance(arch, str) and source.is_own(arch))
    parts = registry.find(arch).parts if known else {}
    for key, value in varied.items():
        name = key.removeprefix("parts.")
        if name == key:
            group, fits = found, type(value) is type(found[key])
        else:
            group = found["parts"]
            fits = name in parts and isinstance(value, (bool, int, float, str, type(None)))
        if not fits:
            return _kept(tuple(words), cache_dir)  # Which says what is wrong.
        group[name] = value
    return found


@functools.cache
def _kept(words, cache_dir):
    with initialize_config_dir(str(CONF_DIR), version_base="1.3"):
        return to_plain(compose("config", overrides=list(words)))


@pytest.fixture
def stored_run(config, tmp_path):
    """Writes the directory of a run as if it had been trained; returns the directory.

    Nothing waits for the disk, which would take a third of that; no test here cuts the power.
    """

    def write(*overrides, **facts):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(durable, "sync", lambda path: None)
            return _write(*overrides, **facts)

    def _write(
        *overrides,
        val_accuracy=0.5,
        state=store.COMPLETE,
        reason=None,
        data="d1",
        provenance=None,
        **result,
    ):
        run = run_of(config(*overrides, f"runs_dir={tmp_path}"), data)
        run.directory.mkdir(parents=True)
        durable.write_yaml(run.directory / "config.yaml", run.described)
        status = store.Status().begun().ended(state, reason)
        store.write_status(run.directory, status)
        facts = {"fingerprint": data, "source_sha256": "s1", "threads": 2} | (provenance or {})
        durable.write_json(run.directory / "provenance.json", facts)
        epochs = range(1, run.config.epochs + 1)
        rows = [f"{e},{2 / e},{0.1 * e},{3 / e},{val_accuracy},{0.01},{1.5}" for e in epochs]
        header = ",".join(store.HISTORY_COLUMNS)
        durable.write_text(run.directory / "history.csv", "\n".join([header, *rows]) + "\n")
        if state == store.COMPLETE:
            budget = {
                "epochs": run.config.epochs,
                "steps": 110,
                "examples_seen": 7040,
                "schedule_completed": 1.0,
                "classes": [str(digit) for digit in range(10)],
                "train_per_class": [144] * 7 + [143] * 3,
                "val_per_class": [36] * 10,
                "left_out": [],
                "lost": [],
                "order_sha256": f"order {run.config.seed}",
                "train_fingerprint": f"train {data}",
                "val_fingerprint": f"val {data}",
                "train_images": 1437,
                "val_images": 360,
            }
            metrics = {"loss": 0.4, "accuracy": 0.9, "val_loss": 0.6, "val_accuracy": val_accuracy}
            cost = {
                "trainable": 1000,
                "total": 1100,
                "multiply_adds": 5000,
                "seconds_per_epoch": 1.5,
                "seconds": 9.0,
                "peak_memory_bytes": 2**30,
            }
            durable.write_json(run.directory / "result.json", metrics | budget | cost | result)
        return run.directory

    return write


@pytest.fixture
def stored_design(stored_run, tmp_path):
    """Writes the runs of a design as if a command had trained them; returns the study's folder."""

    def write(
        design, named, accuracy, *overrides, seeds=(0,), rejected=(), without=(), result=None
    ):
        """`accuracy` takes an arm's levels and a seed, and so does `result`, of other numbers.

        `without` has the places of arms that have no runs.
        """
        space = with_reference(named, {}, rejected)
        names = []
        for place, arm in enumerate(DESIGNS[design].arms(space)):
            words = [f"{key}={spelled(level)}" for key, level in arm.levels.items()]
            names.append([])
            for seed in seeds if place not in without else ():
                score = accuracy(dict(arm.levels), seed)
                more = result(dict(arm.levels), seed) if result else {}
                try:
                    run = stored_run(*overrides, *words, f"seed={seed}", val_accuracy=score, **more)
                except FileExistsError as error:  # Two arms that come to one net.
                    run = Path(error.filename)
                names[-1].append(run.name)
        study = tmp_path / "main"
        plan = Planned(design, space.levels, space.rejected, {}, tuple(map(tuple, names)))
        asked.add(study, list(named), current_sources(study), plan)
        return study

    return write


@pytest.fixture
def resumed(cli, cache_dir, config, tmp_path):
    """Checks that a run on a backend goes on as if nothing had happened.

    Returns the result of the run that was left alone, and its configuration.
    """

    def check(backend, *overrides):
        places = f"cache_dir={cache_dir}", f"runs_dir={tmp_path}"
        given = {word.partition("=")[0] for word in overrides}
        small = (word for word in TINY if word.partition("=")[0] not in given)
        keys = config(*small, "plain=true", f"backend={backend}", *places, *overrides)
        script = Path(__file__).with_name("stopped_and_resumed.py").read_text()
        order = json.dumps(asdict(keys)), str(tmp_path)
        done = cli(*order, code=script, cwd=tmp_path, **environment.child(keys))
        assert done.returncode == 0, done.stderr
        untouched, *stopped = json.loads(done.stdout)
        check_resumed(untouched, *stopped)
        history, *others = (
            pd.read_csv(tmp_path / name / "history.csv").drop(columns="seconds")
            for name in ("untouched", "stopped", "within")
        )
        for other in others:
            pd.testing.assert_frame_equal(history, other, check_exact=True)
        return untouched, keys

    return check
