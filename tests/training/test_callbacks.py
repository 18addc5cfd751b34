import math
import time

import keras
import numpy as np
import pytest

from ablation.records.saves import Position
from ablation.training import spacing
from ablation.training.callbacks import KeptWeights
from ablation.training.checkpoint import Checkpoint, restore
from ablation.training.place import Place, Start


@pytest.fixture
def model():
    return new_model()


def new_model():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile(keras.optimizers.Adam(), "mse")
    model.optimizer.build(model.trainable_variables)
    return model


def train(model, callback, epochs, finished=0):
    images, targets = np.ones((8, 3)), np.zeros((8, 2))
    model.fit(
        images, targets, initial_epoch=finished, epochs=epochs, verbose=0, callbacks=[callback]
    )


def fit(model, folder, epochs, kept, finished=0):
    train(model, KeptWeights(folder, kept, finished), epochs, finished)


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def test_kept_weights_are_those_after_the_epoch_without_an_optimizer(model, tmp_path):
    folder = tmp_path / "weights"
    fit(model, folder, 3, [1, 3])
    assert names(folder) == ["epoch-1.weights.h5", "epoch-3.weights.h5"]
    last = model.get_weights()
    model.save_weights(tmp_path / "all.weights.h5")
    assert (folder / "epoch-3.weights.h5").stat().st_size < (
        tmp_path / "all.weights.h5"
    ).stat().st_size
    model.load_weights(folder / "epoch-1.weights.h5")
    assert not np.allclose(model.get_weights()[0], last[0])
    model.load_weights(folder / "epoch-3.weights.h5")
    for ours, theirs in zip(model.get_weights(), last, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_weights_of_epochs_that_are_trained_again_are_removed_first(model, tmp_path):
    folder = tmp_path / "weights"
    fit(model, folder, 4, [1, 2, 3, 4])
    (folder / "writing-epoch-5.weights.h5").write_bytes(b"half a file")
    fit(model, folder, 3, [], finished=2)
    assert names(folder) == ["epoch-1.weights.h5", "epoch-2.weights.h5"]


def test_a_full_disk_leaves_earlier_weights_and_no_half_file(model, tmp_path, monkeypatch):
    folder = tmp_path / "weights"
    fit(model, folder, 1, [1])

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        fit(model, folder, 2, [2], finished=1)
    assert names(folder) == ["epoch-1.weights.h5"]


def test_none_kept_makes_no_folder(model, tmp_path):
    fit(model, tmp_path / "weights", 2, [])
    assert not (tmp_path / "weights").exists()


def checkpointed(model, folder, epochs, finished=0):
    checkpoint = Checkpoint(folder, epochs + 1, 1, Place(Start()), share=math.inf)
    try:
        train(model, checkpoint, epochs, finished)
    finally:
        checkpoint.close()
    return checkpoint


def test_training_goes_on_from_a_checkpoint_as_if_never_stopped(model, tmp_path):
    folder = tmp_path / "checkpoint"
    first = [weight.copy() for weight in model.get_weights()]
    checkpointed(model, folder, 2)
    assert names(folder) == ["epoch-2.npz"]
    again = new_model()
    assert not np.array_equal(again.get_weights()[0], first[0])
    assert restore(folder, again, at_most=2).position == Position(2)
    checkpointed(model, tmp_path / "other", 5, finished=2)
    checkpointed(again, tmp_path / "another", 5, finished=2)
    states = [[*each.variables, *each.optimizer.variables] for each in (model, again)]
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_checkpoint_is_not_changed_by_the_training_that_follows_it(model, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint", 9, 1, Place(Start()))
    checkpoint.set_model(model)
    before = [np.copy(weight) for weight in model.get_weights()]
    checkpoint.save(Position(1))
    fit(model, tmp_path / "weights", 1, [])
    checkpoint.close()
    restore(tmp_path / "checkpoint", model, at_most=1)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_beyond_the_history_is_not_loaded(model, tmp_path):
    checkpointed(model, tmp_path / "checkpoint", 3)
    assert restore(tmp_path / "checkpoint", model, at_most=2) == Start()


@pytest.mark.parametrize("size", [0, 100, -1])
def test_of_a_damaged_checkpoint_the_one_before_is_loaded(model, tmp_path, size, capsys):
    folder = tmp_path / "checkpoint"
    checkpointed(model, folder, 1)
    older = (folder / "epoch-1.npz").read_bytes()
    checkpointed(model, folder, 2, finished=1)
    (folder / "epoch-1.npz").write_bytes(older)
    newer = folder / "epoch-2.npz"
    newer.write_bytes(newer.read_bytes()[:size])
    assert restore(folder, model, at_most=2).position == Position(1)
    assert "checkpoint epoch-2.npz cannot be read" in capsys.readouterr().out
    assert restore(folder, model, at_most=1).position == Position(1)
    (folder / "epoch-1.npz").unlink()
    assert restore(folder, model, at_most=2) == Start()


def test_a_full_disk_ends_the_training_and_leaves_the_checkpoint_before(
    model, tmp_path, monkeypatch
):
    folder = tmp_path / "checkpoint"
    checkpointed(model, folder, 1)

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space"):
        checkpointed(model, folder, 2, finished=1)
    assert names(folder) == ["epoch-1.npz"]


def test_checkpoints_take_a_bounded_share_of_a_run(model, tmp_path, monkeypatch):
    """A hundred epochs of a second each, and a checkpoint takes half of one."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    checkpoint = Checkpoint(tmp_path / "checkpoint", 101, 1, Place(Start()))
    checkpoint.set_model(model)
    ends = spacing.Spacing.ends
    monkeypatch.setattr(spacing.Spacing, "ends", lambda self, seconds: ends(self, 0.5))
    saved = []
    for epoch in range(100):
        now[0] += 1
        before = set(names(tmp_path / "checkpoint")) if epoch else set()
        checkpoint.on_epoch_end(epoch)
        checkpoint._wait()
        if set(names(tmp_path / "checkpoint")) != before:
            saved.append(epoch + 1)
    checkpoint.close()
    # The first, then one in ten seconds: 5 % of them.
    assert saved == [1, *range(11, 101, 10)]


def test_a_long_epoch_is_saved_within_for_a_bounded_share(model, tmp_path, monkeypatch):
    """A thousand steps of a second each, and a checkpoint takes five."""
    now = [100.0]
    monkeypatch.setattr(time, "monotonic", lambda: now[0])
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    place = Place(Start())
    checkpoint = Checkpoint(tmp_path / "checkpoint", 1, 1000, place)
    checkpoint.set_model(model)
    ends = spacing.Spacing.ends
    monkeypatch.setattr(spacing.Spacing, "ends", lambda self, seconds: ends(self, 5.0))
    place.on_epoch_begin(0)
    saved = []
    for step in range(1000):
        now[0] += 1
        place.on_train_batch_end(step)
        checkpoint.on_train_batch_end(step)
        checkpoint._wait()
        found = names(tmp_path / "checkpoint") if step >= 60 else []
        saved += [name for name in found if name not in saved]
    checkpoint.on_epoch_end(0)
    checkpoint.close()
    # After a minute, then one in a hundred seconds: 5 % of them.
    assert saved == [f"epoch-0-step-{step}-of-1000.npz" for step in range(60, 1000, 100)]
    start = restore(tmp_path / "checkpoint", new_model(), at_most=0)
    assert (start.position, start.seconds) == (Position(0, 960, 1000), 960.0)


def test_an_epoch_that_goes_on_counts_what_it_had(model, tmp_path, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    metrics = [np.array(7.0) for _ in model.metrics_variables]
    place = Place(Start(Position(1, 3, 8), seconds=30.0, metrics=metrics))
    place.set_model(model)
    for epoch, step, seconds in ((1, 3, 31.0), (2, 0, 1.0)):
        model.reset_metrics()
        place.on_epoch_begin(epoch)
        now[0] += 1
        assert (place.epoch, place.step, place.seconds) == (epoch, step, seconds)
        values = {float(variable.numpy()) for variable in model.metrics_variables}
        assert values == ({7.0} if step else {0.0})


def test_the_state_of_another_model_is_refused(model, tmp_path):
    checkpointed(model, tmp_path, 1)
    inputs = keras.Input((3,))
    other = keras.Model(inputs, keras.layers.Dense(2, use_bias=False)(inputs))
    other.compile(keras.optimizers.Adam(), "mse")
    other.optimizer.build(other.trainable_variables)
    with pytest.raises(ValueError):
        restore(tmp_path, other, at_most=1)


def test_where_epochs_are_long_each_is_saved():
    every = spacing.Spacing()
    assert every.due()
    every.begins()
    every.ends(0.0)
    assert every.due()
    every.ends(3600.0)
    assert not every.due()
    always = spacing.Spacing(math.inf)
    always.begins()
    always.ends(3600.0)
    assert always.due()
