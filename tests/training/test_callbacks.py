import math
import time

import keras
import numpy as np
import pytest

from ablation.training import spacing
from ablation.training.callbacks import Checkpoint, KeptWeights


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
    checkpoint = Checkpoint(folder, epochs + 1, share=math.inf)
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
    assert Checkpoint(folder, 9).restore(again, at_most=2) == 2
    checkpointed(model, tmp_path / "other", 5, finished=2)
    checkpointed(again, tmp_path / "another", 5, finished=2)
    states = [[*each.variables, *each.optimizer.variables] for each in (model, again)]
    for ours, theirs in zip(*states, strict=True):
        np.testing.assert_array_equal(ours.numpy(), theirs.numpy())


def test_a_checkpoint_is_not_changed_by_the_training_that_follows_it(model, tmp_path):
    checkpoint = Checkpoint(tmp_path / "checkpoint", 9)
    checkpoint.set_model(model)
    before = [np.copy(weight) for weight in model.get_weights()]
    checkpoint.save(1)
    fit(model, tmp_path / "weights", 1, [])
    checkpoint.close()
    checkpoint.restore(model, at_most=1)
    for ours, theirs in zip(model.get_weights(), before, strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_a_checkpoint_beyond_the_history_is_not_loaded(model, tmp_path):
    checkpoint = checkpointed(model, tmp_path / "checkpoint", 3)
    assert checkpoint.restore(model, at_most=2) == 0


@pytest.mark.parametrize("size", [0, 100, -1])
def test_of_a_damaged_checkpoint_the_one_before_is_loaded(model, tmp_path, size, capsys):
    folder = tmp_path / "checkpoint"
    before = checkpointed(model, folder, 1)
    older = (folder / "epoch-1.npz").read_bytes()
    checkpoint = checkpointed(model, folder, 2, finished=1)
    (folder / "epoch-1.npz").write_bytes(older)
    newer = folder / "epoch-2.npz"
    newer.write_bytes(newer.read_bytes()[:size])
    assert checkpoint.restore(model, at_most=2) == 1
    assert "checkpoint of epoch 2 cannot be read" in capsys.readouterr().out
    assert before.restore(model, at_most=1) == 1
    (folder / "epoch-1.npz").unlink()
    assert checkpoint.restore(model, at_most=2) == 0


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
    checkpoint = Checkpoint(tmp_path / "checkpoint", 101)
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
