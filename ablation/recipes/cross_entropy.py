"""The cross-entropy of labels of both forms that training and validation have."""

import keras
from keras import ops


class CrossEntropy(keras.losses.Loss):
    """The cross-entropy of logits with labels that are numbers, or shares of every class.

    Validation has numbers: what training does to its labels is no part of a validation loss.
    """

    def call(self, y_true, y_pred):
        """Returns the loss of each image (batch,)."""
        if len(y_true.shape) == 2:
            return ops.categorical_crossentropy(y_true, y_pred, from_logits=True)
        labels = ops.cast(y_true, "int32")
        return ops.sparse_categorical_crossentropy(labels, y_pred, from_logits=True)
