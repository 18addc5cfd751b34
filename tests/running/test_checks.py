import pytest

from ablation.config import UserError
from ablation.running import checks

FUNCTION = "def build(input_shape, classes, *, norm: bool = True): ...\n"


@pytest.fixture
def network(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)

    def written(imports):
        (tmp_path / "blocks.py").write_text("import keras\n")
        (tmp_path / "net.py").write_text(f"{imports}\n{FUNCTION}")
        return "arch=net.py:build"

    return written


@pytest.mark.parametrize("backend", ["tensorflow", "jax"])
@pytest.mark.parametrize(
    "imports", ["import torch", "from torch import nn", "import torch.nn as n"]
)
def test_a_pytorch_network_on_another_backend_is_told_at_once(network, config, imports, backend):
    configs = [config("backend=torch"), config(network(imports), f"backend={backend}")]
    with pytest.raises(UserError, match=r"arch=net\.py:build imports torch .* backend=torch"):
        checks.check_backends(configs)


@pytest.mark.parametrize(
    ("imports", "backend"),
    [
        ("import torch", "torch"),
        ("import keras", "tensorflow"),
        # Each can make a Keras model: by itself, by what it imports, by another library.
        ("import keras, torch", "tensorflow"),
        ("import torch\nimport blocks", "tensorflow"),
        ("import torch\nfrom tensorflow import keras", "tensorflow"),
        ("import torch\nimport keras_hub", "jax"),
    ],
)
def test_what_may_make_a_keras_model_is_left_to_show_it(network, config, imports, backend):
    checks.check_backends([config(network(imports), f"backend={backend}")])
