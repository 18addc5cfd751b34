import keras
import numpy as np
import pytest

from ablation.training.callbacks import KeptWeights


@pytest.fixture
def model():
    inputs = keras.Input((3,))
    model = keras.Model(inputs, keras.layers.Dense(2)(inputs))
    model.compile(keras.optimizers.Adam(), "mse")
    return model


def fit(model, folder, epochs, kept, finished=0):
    images, targets = np.ones((8, 3)), np.zeros((8, 2))
    callback = KeptWeights(folder, kept, finished)
    model.fit(
        images, targets, initial_epoch=finished, epochs=epochs, verbose=0, callbacks=[callback]
    )


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
    (folder / "writing.weights.h5").write_bytes(b"half a file")
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
