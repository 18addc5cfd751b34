r"""A small network for a table of numbers: 30 measures of cells, benign or malignant.

The data is Wolberg, Street and Mangasarian's, 569 rows, which scikit-learn carries. Residual
layers after Gorishniy et al. 2021, arXiv 2106.11959, §3.2, normalisation by batch (Ioffe and
Szegedy 2015, arXiv 1502.03167); dropout, Srivastava et al. 2014, JMLR 15.

    python -m ablation -m arch=examples/breast_cancer.py:build design=leave_one_out \
        parts.hidden=true,false parts.residual=true,false parts.norm=true,false \
        parts.dropout=0.2,0.0 seed=0,1,2,3,4 dataset=function \
        dataset.name=examples/breast_cancer.py:load dataset.val_fraction=0.4 recipe=adam \
        recipe.batch_size=32 epochs=20 study=breast_cancer
"""

import keras
from keras import layers

WIDTH, BLOCKS = 64, 2


def load():
    """Returns features (569, 30), labels and the names of the classes."""
    from sklearn.datasets import load_breast_cancer

    found = load_breast_cancer()
    return {"x": found.data, "y": found.target, "classes": found.target_names}


def build(
    input_shape,
    classes,
    *,
    hidden: bool = True,
    residual: bool = True,
    norm: bool = True,
    dropout: float = 0.2,
) -> keras.Model:
    """Returns a model from rows (features,) to logits; without hidden layers it is linear."""
    inputs = keras.Input(input_shape)
    if not hidden:
        return keras.Model(inputs, layers.Dense(classes, name="logits")(inputs))
    x = layers.Dense(WIDTH)(inputs)
    for _ in range(BLOCKS):
        y = layers.BatchNormalization()(x) if norm else x
        y = layers.ReLU()(layers.Dense(WIDTH, kernel_initializer="he_normal")(y))
        y = layers.Dense(WIDTH)(layers.Dropout(dropout)(y) if dropout else y)
        x = layers.Add()([x, y]) if residual else y
    return keras.Model(inputs, layers.Dense(classes, name="logits")(layers.ReLU()(x)))
