"""What several test modules share beside fixtures."""

TINY = ("arch=20", "epochs=2", "recipe.batch_size=256", "dataset.image_size=8")
"""Keys of a run that is trained in a second once TensorFlow is loaded."""
