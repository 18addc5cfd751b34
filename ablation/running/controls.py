"""The jobs of controls: each is a job of the command with some keys changed.

So a control has all that its arm has, also what was tuned for it and what is chosen only while a
command runs.
"""

import copy
import hashlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any

from ablation import environment, keys
from ablation.config import UserError, flatten
from ablation.data import cache
from ablation.designs.controls import CAPACITY, LESION, OF_SHAM, SHAM
from ablation.designs.registry import DESIGNS, GRID
from ablation.factors import PARTS, spelled
from ablation.networks import registry, widen
from ablation.orders import LesionOrder, written
from ablation.records import controls, durable, saves, store
from ablation.records.controls import Control
from ablation.records.store import Run
from ablation.running import children
from ablation.running.arms import of_command
from ablation.running.jobs import Change, Expansion, Job


def added(expansion: Expansion, kinds: Sequence[str]) -> Expansion:
    """Returns the jobs of a command with those of its controls behind them.

    Args:
        expansion: of the arms.
        kinds: of controls, as the command names them.
    """
    found = list(_changes(expansion, kinds))
    return replace(expansion, jobs=[*expansion.jobs, *_jobs(expansion.jobs, found)])


def again(expansion: Expansion, arms: Sequence[Job]) -> list[Job]:
    """Returns the arms' jobs, which may have changed since, with the same controls behind them."""
    return [*arms, *_jobs(arms, [job.control for job in expansion.jobs if job.control])]


def _changes(expansion: Expansion, kinds: Sequence[str]) -> Iterator[Change]:
    if SHAM in kinds:
        for place, job in enumerate(expansion.jobs):
            if job.arm == OF_SHAM:
                yield Change(SHAM, place, {"draw": 1})


def _jobs(arms: Sequence[Job], changes: Sequence[Change]) -> Iterator[Job]:
    for change in changes:
        job = arms[change.of]
        words = tuple(f"{key}={spelled(value)}" for key, value in change.keys.items())
        changed = copy.deepcopy(job.config)
        for key, value in change.keys.items():
            group: Any = changed
            *path, leaf = key.split(".")
            for name in path:
                group = group[name]
            group[leaf] = value
        yield replace(job, words=(*job.words, *words), config=changed, control=change)


@dataclass(frozen=True)
class Widened:
    """What widening the arms of a command comes to.

    Attributes:
        expansion: its jobs, with those of widened arms, and why others have none.
        said: a line for each arm that lost parameters, or one that none did.
    """

    expansion: Expansion
    said: list[str]


def widened(expansion: Expansion, runs: Sequence[Run], design: str) -> Widened:
    """Returns the jobs of a command with those of arms that are widened to the full network's size.

    Args:
        expansion: of the command.
        runs: of its jobs, in order.
        design: its name.

    Raises:
        UserError: a network has no part to widen it by, or is not known before something is tuned,
            or the design has no full network.
    """
    tuned = _tuned_parts(runs[0]) if runs else set()
    if tuned:
        named = ", ".join(f"tune.{PARTS}{name}" for name in sorted(tuned))
        raise UserError(
            f"control=capacity counts the parameters of networks, which {named} changes for each "
            "arm; leave out one of them."
        )
    jobs, called = expansion.of_arms, _called(expansion, runs)
    pairs = {one: full for one, full in full_of(expansion, runs, design).items() if one != full}
    searches: dict[str, dict[str, Any]] = {}
    of_pair: dict[int, str] = {}
    for place, full in pairs.items():
        search = _search(runs[place], runs[full])
        of_pair[place] = hashlib.sha256(json.dumps(search, sort_keys=True).encode()).hexdigest()[:8]
        searches[of_pair[place]] = search | {"backend": runs[place].config.backend}
    answers = _answers(searches, runs[0])
    found, said, without = [], dict[str, None](), dict[int, str]()
    for place, full in pairs.items():
        answer = answers[of_pair[place]]
        if "why" in answer:
            without[place] = f"control=capacity: {called[place]} cannot be widened: {answer['why']}"
            continue
        if "level" not in answer:
            continue
        if answer["level"] == runs[place].config.parts[widen.PART]:
            closest = "no width comes closer than the arm as it is"
            without[place] = f"{_lost(called[place], answer)}; {closest}"
            continue
        facts = answer | {"search": of_pair[place], "part": widen.PART}
        setting = {f"{PARTS}{widen.PART}": answer["level"]}
        found.append(Change(CAPACITY, place, setting, facts, full))
        said[_told(called[place], answer)] = None
    if not found and not without:
        none = "control=capacity: no arm has 1 % fewer parameters than the full network"
        without = dict.fromkeys(range(len(jobs)), none)
    known = [job.control for job in expansion.jobs if job.control]
    jobs = [*jobs, *_jobs(jobs, [*known, *found])]
    uncontrolled = expansion.uncontrolled | {CAPACITY: without}
    lines = dict.fromkeys([*said, *without.values()])
    return Widened(replace(expansion, jobs=jobs, uncontrolled=uncontrolled), list(lines))


def full_of(expansion: Expansion, runs: Sequence[Run], design: str) -> dict[int, int]:
    """Returns for the job of each arm that of the full network, which has all that it may lack.

    That is the reference of a design that has one. In a grid it is the arm with most parts as the
    network has them by default, among those that differ in parts alone.

    Raises:
        UserError: the design has neither.
    """
    arms = DESIGNS[design].arms(expansion.space)
    jobs = expansion.of_arms
    if arms[0].role != "reference" and design != GRID:
        raise UserError(
            f"control=capacity and control=lesion need the full network among the arms, "
            f"which design={design} has not; use design=both or design=leave_one_out."
        )
    groups: dict[tuple, list[int]] = {}
    for place, (job, run) in enumerate(zip(jobs, runs, strict=False)):
        others = {key: level for key, level in job.levels.items() if not key.startswith(PARTS)}
        key: tuple = run.config.seed, others.get("dataset")
        if design == GRID:
            key = run.config.seed, run.fingerprint, run.config.dataset.name, *others.items()
        groups.setdefault(key, []).append(place)
    found: dict[int, int] = {}
    for places in groups.values():
        full = max(places, key=lambda place: (_defaults(runs[place]), -place))
        if design != GRID:
            full = next(place for place in places if jobs[place].arm == 0)
        found |= dict.fromkeys(places, full)
    return found


def _defaults(run: Run) -> int:
    """Returns how many parts of a run's network are as the network has them by default.

    What is tuned for its arm, and so is another before and after, does not count.
    """
    defaults, tuned = registry.find(run.config.arch).settled({}), _tuned_parts(run)
    return sum(
        run.config.parts.get(name, ...) == level
        for name, level in defaults.items()
        if name not in tuned
    )


def _tuned_parts(run: Run) -> set[str]:
    """Returns which parts are tuned for the arm of a run."""
    tuned = [keys.full(word.partition("=")[0]) for word in run.config.tune.grid]
    return {key.removeprefix(PARTS) for key in tuned if key.startswith(PARTS)}


def _search(run: Run, full: Run) -> dict[str, Any]:
    """Returns the order to widen the network of a run to the size of another's."""
    network = registry.find(run.config.arch)
    part = network.parts.get(widen.PART)
    if part is None or part.kinds != (int,) or None in part.levels:
        named = ", ".join(map(registry.typed, network.parts)) or "none"
        raise UserError(
            f"control=capacity widens a network by a part named {widen.PART}, a whole number, "
            f"which arch={run.config.arch} has not: add {widen.PART}: int = ... to its function. "
            f"Parts: {named}."
        )

    def described(one: Run) -> dict[str, Any]:
        data = cache.find(one.config.dataset, one.config.cache_dir)
        assert data
        return {
            "arch": one.config.arch,
            "parts": one.config.parts,
            "shape": list(data.input_shape),
            "classes": len(data.meta["classes"]),
            "vocabulary": data.meta.get("vocabulary"),
            "source": one.network.source,
        }

    listed = {"levels": list(part.levels)} if part.levels else {}
    return described(run) | {"target": described(full)} | listed


def _answers(searches: Mapping[str, dict[str, Any]], run: Run) -> dict[str, dict[str, Any]]:
    """Returns what each search finds; what is on record of the study is not looked for again."""
    found: dict[str, dict[str, Any]] = {}
    for one in controls.controls(store.study_directory(run.config)):
        key = str(one.facts.get("search"))
        if one.kind == CAPACITY and key in searches:
            found[key] = {
                name: one.facts[name] for name in ("own", "target", "level", "parameters")
            }
    # A process for each network, as for a run: several may import modules of one name.
    together: dict[tuple[str, str], list[str]] = {}
    for key, search in searches.items():
        if key not in found:
            together.setdefault((search["backend"], search["arch"]), []).append(key)
    for (backend, _), names in together.items():
        order = {"backend": backend, "searches": [searches[name] for name in names]}
        variables = environment.child(replace(run.config, backend=backend))
        try:
            answer = children.answer("ablation.networks.widen", json.dumps(order), variables)
        except UserError as error:
            raise UserError(f"control=capacity could not count parameters: {error}") from None
        found |= dict(zip(names, json.loads(answer), strict=True))
    return found


def _told(arm: str, answer: Mapping[str, Any]) -> str:
    """Returns how an arm is widened, in words, and whether that reaches the full network's size."""
    target, parameters = answer["target"], answer["parameters"]
    text = f"{_lost(arm, answer)}; {widen.PART}={answer['level']} gives it {parameters:,}"
    if abs(parameters - target) > widen.WITHIN * target:
        share = 100 * (parameters - target) / target
        text += f", the closest that was found, though {share:+.1f} % off"
    return text


def _lost(arm: str, answer: Mapping[str, Any]) -> str:
    """Returns how many parameters an arm has, and the full network."""
    own, target = answer["own"], answer["target"]
    return f"control=capacity: {arm} has {own:,} parameters, the full network {target:,}"


def _called(expansion: Expansion, runs: Sequence[Run]) -> list[str]:
    """Returns what the arm of each job is called: as in its table, in a grid as a user types it."""
    names = of_command(expansion, [run.config for run in runs])
    return [
        names[job.arm] if names else ", ".join(f"{key}={one}" for key, one in job.levels.items())
        for job in expansion.of_arms
    ]


@dataclass(frozen=True)
class Lesioned:
    """What came of switching parts off.

    Attributes:
        controls: for the record.
        said: what could not be done, of the run of each arm.
    """

    controls: list[Control]
    said: dict[str, str]


def keeping(expansion: Expansion, runs: Sequence[Run], design: str) -> Expansion:
    """Returns the jobs of a command, those of full networks so that their weights are kept."""
    jobs = list(expansion.jobs)
    for place in set(full_of(expansion, runs, design).values()):
        config = runs[place].config
        if not config.keep_checkpoints:
            kept = {"keep_checkpoints": config.epochs}
            (keeping_job,) = _jobs(jobs, [Change(LESION, place, kept)])
            jobs[place] = replace(keeping_job, control=None)
    return replace(expansion, jobs=jobs)


def lesions(
    expansion: Expansion, runs: Sequence[Run], design: str, trained: Collection[str]
) -> Lesioned:
    """Judges each full network with the part switched off that an arm was trained without.

    What was judged before, of the same trained weights, is not judged again.

    Args:
        expansion: of the command.
        runs: of its jobs, in order.
        design: its name.
        trained: the names of the runs that the command has trained.
    """
    by_full: dict[str, tuple[Run, dict[str, _Lesion]]] = {}
    everyone = full_of(expansion, runs, design).items()
    called = _called(expansion, runs)
    pairs = [
        (runs[one], runs[full], called[one])
        for one, full in everyone
        if runs[one].name != runs[full].name
    ]
    if not any(_in_parts_alone(run, full) for run, full, _ in pairs):
        text = "control=lesion: no arm differs from the full network in parts alone"
        return Lesioned([], {run.name: text for run in runs})
    found, said = [], dict[str, str]()
    for run, full, arm in pairs:
        if not _in_parts_alone(run, full):
            said[run.name] = f"control=lesion: {arm} differs in more than parts"
            continue
        if not {run.name, full.name} <= {*trained}:
            continue
        if store.read_status(full.directory).state != store.COMPLETE:
            continue  # It is a hole, and said as such.
        if full.config.epochs not in saves.kept_weights(full.directory / "weights"):
            text = f"control=lesion: {full.name} has no weights, since it was trained before"
            said[run.name] = f"{text}; with rerun=all it is trained again and keeps them"
            continue
        weights = durable.read_json(full.directory / "result.json")["weights_sha256"]
        # What was tuned for the arm is no part that it lacks.
        own = {name: full.config.parts[name] for name in _tuned_parts(run)}
        parts = run.config.parts | own
        text = json.dumps([parts, weights], sort_keys=True)
        name = f"{full.name}/{store.LESIONS}/{hashlib.sha256(text.encode()).hexdigest()[:8]}"
        facts = {"against": full.name}
        found.append(Control(LESION, name, run.name, facts))
        folder = full.directory.parent / name
        if not (folder / "result.json").exists():
            by_full.setdefault(full.name, (full, {}))[1][str(folder)] = _Lesion(run, parts)
    for full, ordered in by_full.values():
        said |= _judged(full, ordered)
    return Lesioned(found, said)


@dataclass(frozen=True)
class _Lesion:
    """The run of an arm, and the parts that a full network is judged with in its stead."""

    run: Run
    parts: dict[str, Any]


def _judged(full: Run, lesions: Mapping[str, _Lesion]) -> dict[str, str]:
    """Judges a trained network with parts switched off.

    Args:
        full: its run.
        lesions: by the folder of each.

    Returns:
        Why some could not be judged, by the names of the arms' runs.
    """
    order = LesionOrder(full, {folder: one.parts for folder, one in lesions.items()})
    told = f"control=lesion: {full.name} could not be judged"
    try:
        line = written(order)
        answer = children.answer("ablation.training.lesion", line, environment.child(full.config))
    except UserError as error:
        return {full.name: f"{told}: {error}"}
    return {
        lesions[folder].run.name: f"{told} as {lesions[folder].run.network.name}: {reason}"
        for folder, reason in json.loads(answer).items()
    }


def _in_parts_alone(run: Run, full: Run) -> bool:
    """Returns whether the network of a run is all that sets it apart from a full network's."""
    one, other = (flatten(asdict(each.config) | {"parts": {}}) for each in (run, full))
    # A lesion trains nothing, so that it does not matter with what the arm was trained best.
    own = {"keep_checkpoints", *(word.partition("=")[0] for word in run.config.tune.grid)}
    return all(one[key] == other[key] for key in one.keys() - own)
