r"""A small transformer for tokens: are the brackets balanced?

The texts are generated: 20 to 24 brackets. Half are balanced; the others are balanced ones of which
two brackets changed places, so that counting tells none of them. Attention after Vaswani et al.
2017, arXiv 1706.03762, with positions learned or left out; layers that normalise first, Xiong et
al. 2020, arXiv 2002.04745.

    python -m ablation -m arch=examples/brackets.py:build design=leave_one_out \
        parts.attention=true,false parts.positions=true,false seed=0,1,2 dataset=function \
        dataset.name=examples/brackets.py:load dataset.vocabulary=examples/brackets.txt \
        recipe=adam recipe.learning_rate=3e-3 epochs=10 study=brackets
"""

import keras
import numpy as np
from keras import layers, ops

WIDTH, BLOCKS, HEADS = 32, 2, 4
COUNT, LONGEST, OPEN, CLOSE = 6000, 12, 1, 2


def balanced(rng, pairs):
    """Returns the tokens of so many pairs of brackets: each opens or closes by chance."""
    tokens, depth = [], 0
    while len(tokens) < 2 * pairs:
        opens = depth == 0 or (depth < 2 * pairs - len(tokens) and rng.random() < 0.5)
        tokens.append(OPEN if opens else CLOSE)
        depth += 1 if opens else -1
    return tokens


def is_balanced(tokens):
    """Returns whether none is closed before it is open."""
    return min(np.cumsum([1 if token == OPEN else -1 for token in tokens])) == 0


def load():
    """Returns tokens (6000, 24), 0 behind the end of a text, labels and classes; none twice."""
    rng, texts = np.random.default_rng(0), {}
    while len(texts) < COUNT:
        tokens, label = balanced(rng, rng.integers(10, LONGEST + 1)), len(texts) % 2
        while not label and is_balanced(tokens):
            one, other = rng.choice(len(tokens), 2, replace=False)
            tokens[one], tokens[other] = tokens[other], tokens[one]
        texts[tuple(tokens)] = label
    x = np.zeros((COUNT, 2 * LONGEST), np.int32)
    for row, tokens in zip(x, texts, strict=True):
        row[: len(tokens)] = tokens
    return {"x": x, "y": np.array([*texts.values()]), "classes": ["broken", "balanced"]}


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
