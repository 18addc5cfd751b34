"""A study as a folder for TensorBoard: one event file a run, and one of what they have in common.

The files are made of TensorBoard's own messages. Its writers are not used: where TensorFlow is
installed they load it to find a file system, and they put the time of writing into every record.
"""

import hashlib
import io
import shlex
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from tensorboard.compat.proto import event_pb2, summary_pb2, tensor_pb2, types_pb2
from tensorboard.plugins.hparams import api_pb2, plugin_data_pb2, summary_v2
from tensorboard.plugins.hparams import metadata as hparams_metadata
from tensorboard.plugins.scalar import metadata as scalar_metadata
from tensorboard.plugins.text import metadata as text_metadata
from tensorboard.summary.writer.record_writer import RecordWriter

from ablation.config import expanded
from ablation.export.exported import FINAL, ExportedRun, ExportedStudy, Level, Track, Written
from ablation.factors import spelled
from ablation.records import durable, store

_PREFIX, _SUFFIX = "events.out.tfevents.", ".ablation"
"""By the first TensorBoard knows its files, by both an export its own."""

_VERSION = "brain.Event:2"
_STATUS = {
    store.COMPLETE: api_pb2.STATUS_SUCCESS,
    store.FAILED: api_pb2.STATUS_FAILURE,
    store.DIVERGED: api_pb2.STATUS_FAILURE,
    store.REFUSED: api_pb2.STATUS_FAILURE,
}


def export(study: ExportedStudy, where: str, track: Track) -> Written:
    """Writes a study into a folder, but for what is there already.

    Args:
        study: what to write.
        where: the folder; each run gets one of its own in it.
        track: shows how far it is.

    Raises:
        OSError: the folder cannot be written.
    """
    folder = expanded("tensorboard", where)
    shown = _shown(study.runs)
    _replace(folder, _experiment(study, shown))
    changed = sum(
        _replace(folder / run.name, _events(run, hyperparameters))
        for run, hyperparameters in zip(track(study.runs), shown, strict=True)
    )
    return Written(changed, str(folder), f"tensorboard --logdir {shlex.quote(str(folder))}")


def _shown(runs: Sequence[ExportedRun]) -> list[dict[str, Level]]:
    """Returns what the HParams tab shows of each run; it wants values of one type in a column."""
    # What a run costs is here because as curves it would be a page of single dots.
    tables = [
        {"arm": run.arm, "state": run.state, **run.hyperparameters, **run.cost} for run in runs
    ]
    kinds: dict[str, set[type]] = {}
    for table in tables:
        for key, value in table.items():
            kinds.setdefault(key, set()).add(float if type(value) is int else type(value))
    return [{key: _as(kinds[key], value) for key, value in table.items()} for table in tables]


def _as(kinds: set[type], value: Level) -> Level:
    if len(kinds) > 1:
        return spelled(value)
    return float(value) if type(value) is int else value


def _experiment(
    study: ExportedStudy, shown: Sequence[Mapping[str, Level]]
) -> Iterator[event_pb2.Event]:
    """Yields what says which columns the HParams tab has."""
    keys = dict.fromkeys(key for one in shown for key in one)
    values = {key: {one[key] for one in shown if key in one} for key in keys}
    columns = [summary_v2.HParam(key, _domain(found)) for key, found in values.items()]
    judged = [name for name in FINAL if any(name in run.curves for run in study.runs)]
    metrics = [summary_v2.Metric(f"final/{name}") for name in reversed(judged)]
    summary = summary_v2.hparams_config_pb(columns, metrics, time_created_secs=0.0)
    data = _hparams(summary)
    for info in data.experiment.hparam_infos:
        # Only these are shown unasked, and only few of them.
        info.differs = not info.name.startswith("cost/") and len(values[info.name]) > 1
    yield event_pb2.Event(summary=_with_hparams(summary, data))


def _domain(values: set[Level]) -> summary_v2.Domain:
    """Returns what the tab filters a column by."""
    if all(type(value) is float for value in values):
        return summary_v2.RealInterval(min(values), max(values))
    return summary_v2.Discrete(sorted(values))


def _events(run: ExportedRun, shown: Mapping[str, Level]) -> Iterator[event_pb2.Event]:
    """Yields what TensorBoard is told of a run."""
    start = run.start or 0.0
    summary = summary_v2.hparams_pb(shown, trial_id=run.name, start_time_secs=start)
    yield event_pb2.Event(wall_time=start, summary=_with_hparams(summary, _hparams(summary)))
    yield event_pb2.Event(wall_time=start, summary=summary_pb2.Summary(value=[_text(run)]))
    for place, (epoch, time) in enumerate(zip(run.epochs, run.clock, strict=True)):
        values = [_scalar(f"curves/{name}", curve[place]) for name, curve in run.curves.items()]
        yield _event(time, epoch, values)
    end = run.clock[-1] if run.clock else start
    values = [_scalar(tag, number) for tag, number in run.final.items()]
    yield _event(end, run.epochs[-1] if run.epochs else 0, values)
    if run.state in _STATUS:
        ended = plugin_data_pb2.SessionEndInfo(status=_STATUS[run.state], end_time_secs=run.end)
        data = plugin_data_pb2.HParamsPluginData(session_end_info=ended)
        value = summary_pb2.Summary.Value(
            tag=hparams_metadata.SESSION_END_INFO_TAG, tensor=hparams_metadata.NULL_TENSOR
        )
        summary = summary_pb2.Summary(value=[value])
        yield event_pb2.Event(wall_time=end, summary=_with_hparams(summary, data))


def _event(time: float, step: int, values: Sequence[summary_pb2.Summary.Value]) -> event_pb2.Event:
    return event_pb2.Event(wall_time=time, step=step, summary=summary_pb2.Summary(value=values))


def _scalar(tag: str, number: float) -> summary_pb2.Summary.Value:
    tensor = tensor_pb2.TensorProto(dtype=types_pb2.DT_FLOAT, float_val=[number])
    metadata = scalar_metadata.create_summary_metadata(display_name="", description="")
    return summary_pb2.Summary.Value(tag=tag, metadata=metadata, tensor=tensor)


def _text(run: ExportedRun) -> summary_pb2.Summary.Value:
    """Returns what the Text tab shows: a block of code, in which a name means nothing."""
    lines = (f"    {key}: {fact}" for key, fact in run.facts.items())
    tensor = tensor_pb2.TensorProto(
        dtype=types_pb2.DT_STRING, string_val=["\n".join(lines).encode()]
    )
    metadata = text_metadata.create_summary_metadata(display_name="", description="")
    return summary_pb2.Summary.Value(tag="about", metadata=metadata, tensor=tensor)


def _hparams(summary: summary_pb2.Summary) -> plugin_data_pb2.HParamsPluginData:
    """Returns what a summary tells the HParams tab."""
    return plugin_data_pb2.HParamsPluginData.FromString(
        summary.value[0].metadata.plugin_data.content
    )


def _with_hparams(
    summary: summary_pb2.Summary, data: plugin_data_pb2.HParamsPluginData
) -> summary_pb2.Summary:
    """Returns a summary that tells the HParams tab something, in the same bytes every time."""
    metadata = hparams_metadata.create_summary_metadata(data)
    data.version = hparams_metadata.PLUGIN_DATA_VERSION
    metadata.plugin_data.content = data.SerializeToString(deterministic=True)
    summary.value[0].metadata.CopyFrom(metadata)
    return summary


def _replace(folder: Path, events: Iterator[event_pb2.Event]) -> bool:
    """Writes a folder's event file unless it is there; returns whether it was written.

    A TensorBoard that is open reads a file on from where it stopped and would not notice that
    another has its name. So another content has another name, and there is never more than one.
    """
    content = io.BytesIO()
    writer = RecordWriter(content)
    for event in (event_pb2.Event(file_version=_VERSION), *events):
        writer.write(event.SerializeToString(deterministic=True))
    written = content.getvalue()
    path = folder / f"{_PREFIX}{hashlib.sha256(written).hexdigest()[:16]}{_SUFFIX}"
    before = sorted(folder.glob(f"{_PREFIX}*{_SUFFIX}"))
    if before == [path] and path.read_bytes() == written:
        return False
    folder.mkdir(parents=True, exist_ok=True)
    new = folder / "ablation.new"  # TensorBoard takes no half of a file for one of its own.
    durable.write_bytes(new, written)
    for other in before[1:]:
        other.unlink()
    place = before[0] if before else path
    new.replace(place)
    place.replace(path)
    return True
