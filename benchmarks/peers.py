"""The peers that the throughput is measured against, written as their users would write them."""

import torch
from torch import nn


class Block(nn.Module):
    """A basic or a bottleneck block of He15 Fig. 5, with option A or B as its shortcut."""

    def __init__(self, channels: int, width: int, stride: int, bottleneck: bool, zero_pad: bool):
        super().__init__()
        kernels = [(1, width), (3, width), (1, 4 * width)] if bottleneck else [(3, width)] * 2
        layers: list[nn.Module] = []
        inputs = channels
        for i, (kernel, filters) in enumerate(kernels):
            step = stride if i == 0 else 1
            layers += [
                nn.Conv2d(inputs, filters, kernel, step, kernel // 2, bias=False),
                nn.BatchNorm2d(filters),
                nn.ReLU(inplace=True),
            ]
            inputs = filters
        self.branch = nn.Sequential(*layers[:-1])
        self.shortcut: nn.Module = nn.Identity()
        if channels != inputs and zero_pad:
            self.shortcut = ZeroPad(inputs - channels, stride)
        elif channels != inputs or stride != 1:
            projection = nn.Conv2d(channels, inputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(projection, nn.BatchNorm2d(inputs))
        self.relu = nn.ReLU(inplace=True)

    def forward(self, x):
        """Maps (batch, channels, height, width) to the block's output."""
        return self.relu(self.branch(x) + self.shortcut(x))


class ZeroPad(nn.Module):
    """Option A: every second pixel, and channels of zeros."""

    def __init__(self, added: int, stride: int):
        super().__init__()
        self.added, self.stride = added, stride

    def forward(self, x):
        """Maps (batch, channels, height, width) to the subsampled, widened image."""
        subsampled = x[:, :, :: self.stride, :: self.stride]
        return nn.functional.pad(subsampled, (0, 0, 0, 0, 0, self.added))


def torch_resnet(arch: str, classes: int) -> nn.Module:
    """Returns ResNet-20 (CIFAR stem, option A), 34 or 50 (ImageNet stem, option B)."""
    cifar, bottleneck = arch == "20", arch == "50"
    blocks, widths = ((3, 3, 3), (16, 32, 64)) if cifar else ((3, 4, 6, 3), (64, 128, 256, 512))
    kernel, stride, padding = (3, 1, 1) if cifar else (7, 2, 3)
    channels = widths[0]
    layers: list[nn.Module] = [
        nn.Conv2d(3, channels, kernel, stride, padding, bias=False),
        nn.BatchNorm2d(channels),
        nn.ReLU(inplace=True),
    ]
    if not cifar:
        layers.append(nn.MaxPool2d(3, 2, 1))
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        for block in range(count):
            step = 2 if stage and not block else 1
            layers.append(Block(channels, width, step, bottleneck, zero_pad=cifar))
            channels = width * (4 if bottleneck else 1)
    layers += [nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(channels, classes)]
    return nn.Sequential(*layers)


class TorchTrainer:
    """A PyTorch training loop: channels_last, autocast, SGD with momentum and weight decay."""

    def __init__(self, arch: str, images, labels, device: str, bfloat16: bool, compiled: bool):
        self._device, self._bfloat16 = device, bfloat16
        layout = torch.channels_last
        model = torch_resnet(arch, 10).to(device, memory_format=layout)
        self._optimizer = torch.optim.SGD(
            model.parameters(), lr=0.01, momentum=0.9, weight_decay=1e-4
        )
        self._model = torch.compile(model) if compiled else model
        self._loss = nn.CrossEntropyLoss()
        self._images = torch.from_numpy(images).permute(0, 3, 1, 2).to(device, memory_format=layout)
        self._labels = torch.from_numpy(labels).long().to(device)

    def step(self) -> float:
        """Trains one step and returns its loss, which waits for the device."""
        self._optimizer.zero_grad()
        with torch.autocast(self._device, torch.bfloat16, enabled=self._bfloat16):
            loss = self._loss(self._model(self._images), self._labels)
        loss.backward()
        self._optimizer.step()
        return loss.item()
