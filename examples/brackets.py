"""A small transformer for tokens: are the brackets balanced?

The texts are generated: 12 to 24 brackets. Half are balanced; the others are balanced ones of which
two brackets changed places, so that counting tells none of them. Attention after Vaswani et al.
2017, arXiv 1706.03762, with positions learned or left out; layers that normalise first, Xiong et
al. 2020, arXiv 2002.04745.

    python -m ablation -m arch=examples/brackets.py:build design=leave_one_out
        parts.attention=true,false parts.positions=true,false seed=0,1,2 dataset=function
        dataset.name=examples/brackets.py:load dataset.vocabulary=examples/brackets.txt
        recipe=adam recipe.learning_rate=3e-3 epochs=10 study=brackets
"""

import keras
import numpy as np
from keras import layers, ops

WIDTH, BLOCKS, HEADS = 32, 2, 4
COUNT, LONGEST = 6000, 12
OPEN, CLOSE = 1, 2


def balanced(rng, pairs):
    """Returns the tokens of so many pairs of brackets: each goes around or behind what is there."""
    tokens = []
    for start in rng.integers(0, 2, pairs):
        tokens = [OPEN, *tokens, CLOSE] if start else [*tokens, OPEN, CLOSE]
    return tokens


def is_balanced(tokens):
    """Returns whether none is closed before it is open."""
    return min(np.cumsum([1 if token == OPEN else -1 for token in tokens])) == 0


def load():
    """Returns tokens (6000, 24), 0 behind the end of a text, labels and the classes."""
    rng = np.random.default_rng(0)
    x, y = np.zeros((COUNT, 2 * LONGEST), np.int32), np.arange(COUNT) % 2
    for row, is_whole in zip(x, y, strict=True):
        tokens = balanced(rng, rng.integers(6, LONGEST + 1))
        while not is_whole and is_balanced(tokens):
            one, other = rng.choice(len(tokens), 2, replace=False)
            tokens[one], tokens[other] = tokens[other], tokens[one]
        row[: len(tokens)] = tokens
    return {"x": x, "y": y, "classes": ["broken", "balanced"]}


class Positions(layers.Layer):
    """Adds a learned vector for each place of a text."""

    def build(self, shape):
        self.table = self.add_weight(shape=shape[1:], initializer="random_normal", name="table")

    def call(self, x):
        return x + self.table


def build(
    input_shape,
    classes,
    *,
    vocabulary: int,
    attention: bool = True,
    positions: bool = True,
    residual: bool = True,
    norm: bool = True,
) -> keras.Model:
    """Returns a model from tokens (length,) to logits."""
    tokens = keras.Input(input_shape, dtype="int32")
    x = layers.Embedding(vocabulary, WIDTH)(tokens)
    x = Positions()(x) if positions else x
    is_text = ops.not_equal(tokens, 0)

    def block(x, function):
        y = function(layers.LayerNormalization()(x) if norm else x)
        return layers.Add()([x, y]) if residual else y

    for _ in range(BLOCKS):
        if attention:
            attend = layers.MultiHeadAttention(HEADS, WIDTH // HEADS)
            x = block(x, lambda y, attend=attend: attend(y, y, attention_mask=is_text[:, None]))
        wide, narrow = layers.Dense(4 * WIDTH, "gelu"), layers.Dense(WIDTH)
        x = block(x, lambda y, wide=wide, narrow=narrow: narrow(wide(y)))
    x = layers.GlobalAveragePooling1D()(x, mask=is_text)
    return keras.Model(tokens, layers.Dense(classes, name="logits")(x))
