"""Modules as users write them, and what `tests/networks/test_torch_module.py` asks of them.

    python torch_networks.py QUESTIONS

QUESTIONS is a JSON object of functions with their arguments. Keras's backend must be PyTorch. The
answers go to standard output as JSON.
"""

import csv
import json
import sys
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import torch
from torch import nn

from ablation.analysis.starts import shared
from ablation.networks import cost
from ablation.networks.pairing import initial_digests, pair, transplant
from ablation.networks.torch_module import wrap
from ablation.records.saves import BEGINNING


class Net(nn.Module):
    """Has what is hard to resume: running statistics, a counter that matters, dropout."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(1, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4, momentum=None)  # Its mean is over all batches so far.
        self.dropout = nn.Dropout(0.5)
        self.head = nn.Linear(4 * 64, 10)
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.seen = self.seen + x.mean()  # Another tensor, not another value of the same one.
        x = torch.relu(self.norm(self.conv(x)))
        return self.head(self.dropout(x.view(len(x), -1)))


class Grows(nn.Module):
    """Has a buffer that gets another shape in training."""

    def __init__(self, grown):
        super().__init__()
        self.head = nn.Linear(64, 10)
        self.grown = grown
        self.register_buffer("seen", torch.zeros(1))

    def forward(self, x):
        if self.training:
            self.seen = self.grown
        return self.head(x.flatten(1))


class Rows(nn.Module):
    """Reads each row of pixels as a step, or a token."""

    channels_last = True

    def __init__(self, layer, classes=10):
        super().__init__()
        self.layer = layer
        self.classes = classes

    def forward(self, x):
        x = x[..., 0]
        x = self.layer(x, x, x) if isinstance(self.layer, nn.MultiheadAttention) else self.layer(x)
        x = x[0] if isinstance(x, tuple) else x
        return x.flatten(1)[:, : self.classes]


class ByHand(nn.Module):
    """Multiplies by a sign and by a function, without layers."""

    channels_last = True

    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.ones(64, 10))

    def forward(self, x):
        x = x.flatten(1)
        return x @ self.weight + torch.einsum("bi,ij->bj", x, self.weight)


def _flat(*layers):
    return nn.Sequential(nn.Flatten(), *layers, nn.LazyLinear(10))


# Images are 8x8 with one channel; the head's products are added by `_flat`.
COUNTS = {
    "linear": (_flat(), 64 * 10),
    "convolution": (nn.Sequential(nn.Conv2d(1, 6, 3), _flat()), 36 * 54 + 216 * 10),
    "groups": (
        nn.Sequential(nn.Conv2d(1, 4, 1), nn.Conv2d(4, 6, 3, 2, 1, groups=2), _flat()),
        64 * 4 + 16 * 9 * 2 * 6 + 96 * 10,
    ),
    "transposed": (nn.Sequential(nn.ConvTranspose2d(1, 3, 3, 2), _flat()), 64 * 27 + 867 * 10),
    "1d": (nn.Sequential(nn.Flatten(2), nn.Conv1d(1, 5, 3), _flat()), 62 * 15 + 310 * 10),
    "3d": (
        nn.Sequential(nn.Unflatten(1, (1, 1)), nn.Conv3d(1, 2, (1, 3, 3)), _flat()),
        36 * 18 + 72 * 10,
    ),
    "attention": (
        Rows(nn.MultiheadAttention(8, 2, batch_first=True)),
        4 * 8 * 8 * 8 + 2 * 8 * 8 * 8,
    ),
    "encoder": (
        Rows(nn.TransformerEncoderLayer(8, 2, 16, batch_first=True)),
        4 * 8 * 8 * 8 + 2 * 8 * 8 * 8 + 2 * 8 * 8 * 16,
    ),
    "lstm": (Rows(nn.LSTM(8, 10, batch_first=True)), 8 * 4 * (8 * 10 + 10 * 10)),
    "gru": (
        Rows(nn.GRU(8, 10, bidirectional=True, batch_first=True)),
        2 * 8 * 3 * (8 * 10 + 10 * 10),
    ),
    "rnn": (Rows(nn.RNN(8, 10, 2, batch_first=True)), 8 * (8 * 10 + 3 * 10 * 10)),
    "by hand": (ByHand(), 2 * 64 * 10),
    "norms": (nn.Sequential(nn.BatchNorm2d(1), nn.GroupNorm(1, 1), nn.PReLU(), _flat()), 640),
}


class Wrapped(nn.Module):
    """Has all in one module, with a list that is never called as one, and weights of its own."""

    def __init__(self):
        super().__init__()
        self.net = Listed()

    def forward(self, x):
        return self.net(x)


class Listed(nn.Module):
    def __init__(self):
        super().__init__()
        self.scale = nn.Parameter(torch.ones(64, 64))
        self.body = nn.ModuleList([nn.Linear(64, 32), nn.Linear(32, 16)])
        self.act = nn.ReLU()
        self.lstm = nn.LSTM(16, 8)
        self.head = nn.Linear(8, 10)

    def forward(self, x):
        x = x.flatten(1) @ self.scale
        for layer in self.body:
            x = self.act(layer(x))
        return self.head(self.lstm(x[None])[0][0])


class Bilinear(nn.Bilinear):
    channels_last = True

    def forward(self, x):
        return super().forward(x.flatten(1), x.flatten(1))


def stages():
    """What a module is made of, each line with its shape and counts; and whether lines add up."""
    found = {}
    for module in (Net(), Wrapped()):
        lines = cost.by_stage(wrap(module, (8, 8, 1), 10))
        found[type(module).__name__] = [
            (one.name, one.output, one.parameters, one.multiply_adds) for one in lines
        ]
    sums = {}
    for name, (module, _) in COUNTS.items():
        model = wrap(module, (8, 8, 1), 10)
        lines, whole = cost.by_stage(model), cost.count(model)
        sums[name] = (
            [sum(one.parameters for one in lines), sum(one.multiply_adds for one in lines)],
            [whole.trainable, whole.multiply_adds],
        )
    return found | {"sums": sums}


def counts():
    """What is counted, and what is right, of each module; and what nobody counts."""
    found = {}
    for name, (module, by_hand) in COUNTS.items():
        counted = cost.count(wrap(module, (8, 8, 1), 10))
        found[name] = counted.multiply_adds, by_hand, counted.uncounted
    return found | {"bilinear": cost.count(wrap(Bilinear(64, 64, 10), (8, 8, 1), 10)).uncounted}


def parameters():
    """The costs of `Net`."""
    return vars(cost.count(wrap(Net(), (8, 8, 1), 10)))


def modes():
    """The running mean before and after predict, evaluate and fit, and how predictions differ."""
    model = wrap(Net(), (8, 8, 1), 10)
    model.compile("sgd", keras.losses.SparseCategoricalCrossentropy(from_logits=True))
    rng = np.random.default_rng(0)
    images, labels = rng.random((16, 8, 8, 1), np.float32), np.arange(16) % 10
    norm = model.layers[-1].module.norm
    before = norm.running_mean.tolist()
    first, second = (model.predict(images, verbose=0) for _ in range(2))
    model.evaluate(images, labels, verbose=0)
    unchanged = norm.running_mean.tolist()
    model.fit(images, labels, verbose=0, batch_size=8)
    mean = next(v for v in model.non_trainable_weights if tuple(v.shape) == (4,))
    return {
        "before": before,
        "after_predict": unchanged,
        "after_fit": norm.running_mean.tolist(),
        "variable": keras.ops.convert_to_numpy(mean).tolist(),
        "predictions_differ": float(np.abs(first - second).max()),
        "training_differs": float((model(images, training=True) - model(images)).abs().max()),
    }


class Stages(nn.Module):
    """Has named layers, numbered ones, a drawn buffer, and a weight that two layers share."""

    def __init__(self, stem=True, blocks=3, tied=True, drawn=None):
        super().__init__()
        self.stem = nn.Linear(64, 64) if stem else nn.Identity()
        self.blocks = nn.Sequential(
            *(nn.Sequential(nn.Linear(64, 64), nn.LayerNorm(64), nn.ReLU()) for _ in range(blocks))
        )
        self.first, self.second = nn.Linear(64, 64), nn.Linear(64, 64)
        if tied:
            self.second.weight = self.first.weight
        self.register_buffer("frequencies", torch.randn(64))
        self.head = nn.Linear(64, 10)
        for layer in (self.head, self.blocks[0][0]) if drawn else ():
            drawn(layer.weight)

    def forward(self, x):
        x = self.blocks(self.stem(x.flatten(1) * self.frequencies))
        return self.head(self.second(self.first(x)))


def paired():
    """How many parameters of arms start as in the full network, and how many there are.

    And whether a buffer does, and what a trained network has no values for.
    """
    found = {}
    for name, parts in {
        "alike": {},
        "no stem": {"stem": False},
        "one block": {"blocks": 1},
        "untied": {"tied": False},
        "drawn otherwise": {"drawn": nn.init.kaiming_normal_},
    }.items():
        torch.manual_seed(0)
        reference = wrap(Stages(), (8, 8, 1), 10)
        torch.manual_seed(1)
        model = wrap(Stages(**parts), (8, 8, 1), 10)
        before = shared(initial_digests(model), initial_digests(reference))
        said = pair(model, reference, 0)
        digests = initial_digests(model)
        buffers = [net.layers[-1].module.frequencies.tolist() for net in (model, reference)]
        found[name] = {
            "before": before,
            "after": shared(digests, initial_digests(reference)),
            "parameters": sum(size for _, size in digests),
            "buffer": buffers[0] == buffers[1],
            "said": said,
            "missing": transplant(model, reference),
            "surplus": transplant(reference, model),
        }
    return found


class WithAuxiliary(nn.Module):
    """Puts out logits of two heads in training, as Inception does."""

    def __init__(self):
        super().__init__()
        self.head = nn.Linear(64, 10)

    def forward(self, x):
        logits = self.head(x.flatten(1))
        return (logits, logits) if self.training else logits


def refusals():
    """What is said about modules that do not fit."""
    said = []
    for module in (
        nn.Sequential(_flat(), nn.Linear(10, 7)),
        nn.Flatten(),
        Rows(nn.Identity(), classes=3),
    ):
        try:
            wrap(module, (8, 8, 1), 10)
        except ValueError as error:
            said.append(str(error))
    try:
        wrap(WithAuxiliary(), (8, 8, 1), 10)
    except ValueError as error:
        said.append(str(error))
    for grown in (torch.zeros(3), torch.zeros(1, 1)):  # One that memory would hold, too.
        try:
            wrap(Grows(grown), (8, 8, 1), 10)(np.zeros((2, 8, 8, 1), np.float32), training=True)
        except ValueError as error:
            said.append(str(error))
    return said


def diagnosed(path):
    """What diagnostics measure in a module, and what PyTorch itself makes of it."""
    from ablation.training.diagnostics import Diagnostics

    torch.manual_seed(0)
    body = nn.Sequential(
        nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Conv2d(4, 5, 3)
    )
    net = nn.ModuleDict({"body": body, "shortcut": nn.Conv2d(1, 5, 5), "head": nn.Linear(80, 10)})
    net.forward = lambda x: net["head"]((net["body"](x) + net["shortcut"](x)).flatten(1))
    model = wrap(net, (8, 8, 1), 10)
    model.loss = lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p, from_logits=True)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(32, 8, 8, 1)).astype("float32")
    labels = rng.integers(0, 10, 32).astype("int32")
    batches = SimpleNamespace(epoch=lambda _: iter([(images, labels)]))
    before = {name: value.clone() for name, value in net.state_dict().items()}
    Diagnostics(Path(path), model, batches, BEGINNING).on_train_begin()
    kept = all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    net.train()
    x = torch.tensor(images).movedim(-1, 1)
    first = body[1](body[0](x))
    second = body[3](torch.relu(first))
    responses = [first, second, net["shortcut"](x)]
    loss = nn.functional.cross_entropy(net(x), torch.tensor(labels, dtype=torch.long))
    weights = [body[0].weight, body[3].weight, net["shortcut"].weight]
    gradients = torch.autograd.grad(loss, weights)
    return {
        "rows": list(csv.DictReader(Path(path).open())),
        "kept": kept,
        "responses": [float(one.std(unbiased=False)) for one in responses],
        "gradients": [float(one.norm()) for one in gradients],
    }


def parametrized(path):
    """What diagnostics measure in a module with its head first and weights made of others."""
    from ablation.training.diagnostics import Diagnostics

    class Net(nn.Module):
        def __init__(self):
            super().__init__()
            self.head = nn.Linear(5, 10)
            self.second = nn.utils.parametrizations.spectral_norm(nn.Linear(6, 5))
            self.first = nn.utils.parametrizations.weight_norm(nn.Linear(64, 6))

        def forward(self, x):
            return self.head(self.second(self.first(x.flatten(1))))

    torch.manual_seed(0)
    net = Net()
    model = wrap(net, (8, 8, 1), 10)
    model.loss = lambda y, p: keras.losses.sparse_categorical_crossentropy(y, p, from_logits=True)
    rng = np.random.default_rng(0)
    images = rng.normal(size=(32, 8, 8, 1)).astype("float32")
    labels = rng.integers(0, 10, 32).astype("int32")
    batches = SimpleNamespace(epoch=lambda _: iter([(images, labels)]))
    Diagnostics(Path(path), model, batches, BEGINNING).on_train_begin()
    net.eval()  # In training the spectral norm goes on from where it was.
    x = torch.tensor(images).movedim(-1, 1).flatten(1)
    first = net.first(x)
    loss = nn.functional.cross_entropy(net.head(net.second(first)), torch.tensor(labels).long())
    (gradient,) = torch.autograd.grad(loss, [net.first.parametrizations.weight.original1])
    return {
        "rows": list(csv.DictReader(Path(path).open())),
        "first": [float(first.std(unbiased=False)), float(gradient.norm())],
    }


def resumed(config, room):
    """The results of a run left alone and of two that were stopped, on `Net`."""
    from ablation.training import train
    from ablation.typed_config import typed_config
    from stopped_and_resumed import stopped_and_resumed

    train.build = lambda arch, shape, classes, **_: wrap(Net(), shape, classes)
    return stopped_and_resumed(typed_config(json.loads(config)), Path(room))


if __name__ == "__main__":
    questions = json.loads(sys.argv[1])
    json.dump({name: globals()[name](*words) for name, words in questions.items()}, sys.stdout)
