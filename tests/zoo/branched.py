"""Families whose layers branch and meet again."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import nn


class DenseLayer(nn.Module):
    """Huang et al. 2017: batch norm after the concatenation and before the ReLU."""

    def __init__(self, inputs, growth):
        super().__init__()
        self.norm = nn.BatchNorm2d(inputs)
        self.conv = nn.Conv2d(inputs, growth, 3, padding=1, bias=False)

    def forward(self, x):
        return torch.cat([x, self.conv(F.relu(self.norm(x)))], 1)


class DenseNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv0 = nn.Conv2d(3, 4, 3, padding=1, bias=False)
        self.block1 = nn.Sequential(DenseLayer(4, 3), DenseLayer(7, 3))
        self.norm = nn.BatchNorm2d(10)
        self.transition = nn.Conv2d(10, 5, 1, bias=False)
        self.block2 = DenseLayer(5, 3)
        self.final = nn.BatchNorm2d(8)
        self.classifier = nn.Linear(8, 4)

    def forward(self, x):
        x = self.block1(self.conv0(x))
        x = F.avg_pool2d(self.transition(F.relu(self.norm(x))), 2)
        x = F.relu(self.final(self.block2(x)), inplace=True)
        return self.classifier(torch.flatten(F.adaptive_avg_pool2d(x, 1), 1))


class InceptionBlock(nn.Module):
    """Szegedy et al. 2015: four branches, joined along the channels."""

    def __init__(self, inputs):
        super().__init__()
        self.one = nn.Conv2d(inputs, 2, 1)
        self.three = nn.Sequential(nn.Conv2d(inputs, 2, 1), nn.ReLU(), nn.Conv2d(2, 3, 3, padding=1))
        self.wide = nn.Sequential(nn.Conv2d(inputs, 2, (1, 3), padding=(0, 1)), nn.Conv2d(2, 2, (3, 1), padding=(1, 0)))
        self.pool = nn.Sequential(nn.MaxPool2d(3, 1, 1), nn.Conv2d(inputs, 2, 1))

    def forward(self, x):
        return F.relu(torch.cat([self.one(x), self.three(x), self.wide(x), self.pool(x)], dim=1))


class Inception(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, stride=2, padding=1)
        self.mixed1 = InceptionBlock(4)
        self.mixed2 = InceptionBlock(9)
        self.fc = nn.Linear(9, 4)

    def forward(self, x):
        x = self.mixed2(self.mixed1(F.relu(self.stem(x))))
        return self.fc(x.mean((2, 3)))


class UNet(nn.Module):
    """Ronneberger et al. 2015: one level down, up again by a transposed convolution, joined with the skip."""

    def __init__(self):
        super().__init__()
        self.down = nn.Sequential(nn.Conv2d(1, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU())
        self.bottom = nn.Sequential(nn.Conv2d(4, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU())
        self.up = nn.ConvTranspose2d(6, 4, 2, stride=2)
        self.norm = nn.BatchNorm2d(4)
        self.merge = nn.Sequential(nn.Conv2d(8, 4, 3, padding=1), nn.ReLU())
        self.mask = nn.Conv2d(4, 2, 1)

    def forward(self, x):
        skip = self.down(x)
        x = self.bottom(F.max_pool2d(skip, 2))
        x = self.norm(self.up(x))
        return self.mask(self.merge(torch.cat([skip, x], 1)))


class BasicBlock(nn.Module):
    """He et al. 2016, section 4.2, shortcut of option A: strided slice and channels of zeros."""

    def __init__(self, inputs, outputs, stride):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.extra = outputs - inputs

    def shortcut(self, x):
        if self.extra == 0:
            return x
        return F.pad(x[:, :, ::2, ::2], (0, 0, 0, 0, self.extra // 2, self.extra // 2), "constant", 0)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += self.shortcut(x)
        return F.relu(out)


class ResNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(4)
        self.layer1 = BasicBlock(4, 4, 1)
        self.layer2 = BasicBlock(4, 8, 2)
        self.linear = nn.Linear(8, 4)

    def forward(self, x):
        out = F.relu(self.bn1(self.conv1(x)))
        out = self.layer2(self.layer1(out))
        out = F.avg_pool2d(out, out.size()[3])
        out = out.view(out.size(0), -1)
        return self.linear(out)
