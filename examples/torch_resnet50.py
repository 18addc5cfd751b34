r"""A ResNet-50 in PyTorch as one repository on the web has it, with what differs from the paper.

After He et al. 2015, arXiv 1512.03385, Table 1, but: biased convolutions; a stem without batch
normalisation; ReLU before the addition instead of after it; the last block of a stage halves the
image, not the first of the next; and every block's shortcut is a projection.

    python -m ablation -m arch=examples/torch_resnet50.py:build backend=torch \
        parts.shortcut=projection,identity parts.final_relu=false,true dataset=digits recipe=adam \
        epochs=5 study=torch_resnet50
"""

from typing import Literal

from torch import nn

STAGES = ((64, 3), (128, 4), (256, 6), (512, 3))


def build(
    input_shape,
    classes,
    *,
    shortcut: Literal["projection", "identity"] = "projection",
    final_relu: bool = False,
) -> nn.Module:
    """Returns a module from images (batch, channels, height, width) to logits.

    "identity" passes the input on unchanged wherever its shape is that of the block's output;
    `final_relu` puts the paper's ReLU behind each addition.
    """
    if shortcut not in ("projection", "identity"):
        raise ValueError(f"shortcut must be projection or identity. Received: {shortcut}")
    parts = [nn.Conv2d(input_shape[-1], 64, 7, 2, 3), nn.ReLU(), nn.MaxPool2d(3, 2, 1)]
    channels = 64
    for width, blocks in STAGES:
        for i in range(blocks):
            stride = 2 if i == blocks - 1 and width < 512 else 1
            parts.append(Bottleneck(channels, width, stride, shortcut == "projection", final_relu))
            channels = 4 * width
    head = [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*parts, *head)


class Bottleneck(nn.Module):
    def __init__(self, channels, width, stride, projection, final_relu):
        super().__init__()
        self.body = nn.Sequential(
            *convolution(channels, width, 1, stride),
            *convolution(width, width, 3),
            *convolution(width, 4 * width, 1),
        )
        fits = stride == 1 and channels == 4 * width
        keep = fits and not projection
        self.shortcut = nn.Identity() if keep else nn.Conv2d(channels, 4 * width, 1, stride)
        self.last = nn.ReLU() if final_relu else nn.Identity()

    def forward(self, x):
        return self.last(self.body(x) + self.shortcut(x))


def convolution(channels, filters, kernel, stride=1):
    layer = nn.Conv2d(channels, filters, kernel, stride, padding=kernel // 2)
    return layer, nn.BatchNorm2d(filters), nn.ReLU()
