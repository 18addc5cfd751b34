"""What a report says of the controls of a comparison: sentences, and how to read their table."""

from collections.abc import Iterator

from ablation.analysis.comparison import Comparison, ControlArm
from ablation.analysis.controls import arm_effect, cell_name, control_effects
from ablation.analysis.effects import Effect
from ablation.analysis.starts import is_of_one_start
from ablation.designs.controls import CAPACITY, LESION, SHAM
from ablation.terminal import counted

TITLE = "Controls"

ABOUT = (
    "What stands beside the arms, so that a reader can tell what they mean. A control asks no "
    "question: it is in no correction, and neither helps nor hurts. Its interval holds with 95 % "
    "for it alone."
)


def sentences(comparison: Comparison) -> list[str]:
    """Returns what the controls of a comparison say, a sentence or two each."""
    effects = control_effects(comparison)
    return [
        text
        for control, effect in zip(comparison.controls, effects, strict=True)
        for text in _SAID[control.kind](comparison, control, effect)
    ]


def of_the_draw(comparison: Comparison) -> Iterator[str]:
    """Yields how large a difference the draw of the weights alone makes, where that is known."""
    every = zip(comparison.controls, control_effects(comparison), strict=True)
    shams = [(control, effect) for control, effect in every if control.kind == SHAM]
    if not shams:
        return
    control, effect = max(shams, key=lambda one: abs(one[1].mean) if one[1].n else -1.0)
    (text,) = _sham(comparison, control, effect)
    if others := len(shams) - 1:
        verb = "stands" if others == 1 else "stand"
        text += f" {counted(others, 'more sham')} {verb} under {TITLE}."
    yield text


def _sham(comparison: Comparison, control: ControlArm, effect: Effect) -> Iterator[str]:
    name = cell_name(comparison, control.of)
    if not effect.n:
        yield f"No seed has a score of both {name} and its sham."
        return
    if is_of_one_start(comparison, control):
        yield (
            f"The sham of {name} started from the same weights as {name}, because the network sets "
            "them itself. So it does not show what their draw changes."
        )
        return
    text = f"By the draw of the initial weights alone, {name} changes by {_size(effect)}"
    if effect.concludes:
        text += (
            "; that is more than chance explains, as it is in one of twenty studies, and nothing "
            "else differs"
        )
    yield f"{text}."


def _capacity(comparison: Comparison, control: ControlArm, effect: Effect) -> Iterator[str]:
    name, facts = cell_name(comparison, control.of), control.facts
    full = cell_name(comparison, control.against)
    own, target, parameters = (int(facts[key]) for key in ("own", "target", "parameters"))
    lost = target - own
    text = f"Fewer parameters: {name} has {lost:,} ({100 * lost / target:.1f} %) fewer than {full}"
    as_it_is = arm_effect(comparison, control.of, control.against)
    if as_it_is.n:
        text += f" and differs from it by {_size(as_it_is)}"
    how = f"{facts['part']}={facts['level']}, {100 * (parameters - target) / target:+.1f} %"
    said = _size(effect) if effect.n else "an unknown amount, for no seed has a score of both"
    text += f"; widened to as many ({how}) it differs by {said}"
    if abs(parameters - target) > 0.01 * target:
        text += ". No width comes closer than that, so the counts are not equal"
    yield f"{text}."


def _lesion(comparison: Comparison, control: ControlArm, effect: Effect) -> Iterator[str]:
    name, full = cell_name(comparison, control.of), cell_name(comparison, control.against)
    if not effect.n:
        reasons = [one for one in control.runs["reason"].unique() if one]
        if reasons:
            yield f"Lesion: {full} cannot be made {name} after training ({'; '.join(reasons)})."
        else:
            yield f"Lesion: no seed has a score of both {full} and it made {name} after training."
        return
    trained = arm_effect(comparison, control.of, control.against)
    text = f"Ablated, trained so from the start, {name} differs from {full} by {_size(trained)}"
    if not trained.n:
        text = f"{name} has no score to compare with"
    yield (
        f"{text}; lesioned, that is switched off in the trained {full} and not retrained, by "
        f"{_size(effect)}."
    )


_SAID = {SHAM: _sham, CAPACITY: _capacity, LESION: _lesion}


def _size(effect: Effect) -> str:
    """Returns a difference with its interval and seeds."""
    said = effect.metric.difference(effect.mean)
    low, high = effect.metric.bounds(*effect.interval)
    if low:
        return f"{said} ({low} to {high}, {counted(effect.n, 'seed')})"
    return f"{said} ({counted(effect.n, 'seed')})"
