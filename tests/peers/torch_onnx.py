# SPDX-License-Identifier: Apache-2.0
"""Networks that PyTorch's exporter writes as ONNX, with what PyTorch computes.

usage: torch_onnx.py FOLDER

For each network: NAME.onnx, and NAME.npz with an input x (NCHW, float32), the output y that the same
network gives in float64 (its bits as int64), and y32 in float32. BN statistics and affine parameters are moved away from their start, so
that forgetting one shows. "exported" networks are as torch.onnx.export writes them by default (batch
norm folded into convolutions), "raw" ones keep their batch norms.
"""
import sys
import warnings

import numpy
import torch
from torch import nn
from torch.nn import functional

warnings.filterwarnings("ignore")


def conv_bn(channels, out, kernel=3, stride=1, groups=1):
    return [nn.Conv2d(channels, out, kernel, stride, kernel // 2, groups=groups, bias=False),
            nn.BatchNorm2d(out)]


class Residual(nn.Module):
    """Two 3x3 convolutions beside the identity, or a 1x1 convolution where the shape changes."""

    def __init__(self, channels, out, stride):
        super().__init__()
        self.body = nn.Sequential(*conv_bn(channels, out, 3, stride), nn.ReLU(), *conv_bn(out, out))
        same = stride == 1 and channels == out
        self.side = nn.Identity() if same else nn.Sequential(*conv_bn(channels, out, 1, stride))

    def forward(self, x):
        return functional.relu(self.body(x) + self.side(x))


class ResNet8(nn.Module):
    def __init__(self):
        super().__init__()
        self.stem = nn.Sequential(*conv_bn(1, 16), nn.ReLU())
        self.blocks = nn.Sequential(Residual(16, 16, 1), Residual(16, 32, 2), Residual(32, 64, 2))
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(64, 10)

    def forward(self, x):
        return self.fc(torch.flatten(self.pool(self.blocks(self.stem(x))), 1))


class Inverted(nn.Module):
    """MobileNetV2's block: expand, depthwise, project; added to its input where the shape is the same."""

    def __init__(self, channels, out, stride, expand):
        super().__init__()
        wide = channels * expand
        layers = [] if expand == 1 else [*conv_bn(channels, wide, 1), nn.ReLU6()]
        layers += [*conv_bn(wide, wide, 3, stride, wide), nn.ReLU6(), *conv_bn(wide, out, 1)]
        self.body = nn.Sequential(*layers)
        self.adds = stride == 1 and channels == out

    def forward(self, x):
        return x + self.body(x) if self.adds else self.body(x)


class MobileNet(nn.Module):
    def __init__(self):
        super().__init__()
        self.features = nn.Sequential(
            *conv_bn(1, 16, 3, 2), nn.ReLU6(),
            Inverted(16, 16, 1, 1), Inverted(16, 24, 2, 4), Inverted(24, 24, 1, 4),
            Inverted(24, 32, 2, 4), Inverted(32, 32, 1, 4),
            *conv_bn(32, 128, 1), nn.ReLU6())
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(128, 10))

    def forward(self, x):
        return self.classifier(self.features(x).mean([2, 3]))


class Zoo(nn.Module):
    """The other layers, and the ways to write the same that exporters know."""

    def __init__(self):
        super().__init__()
        self.pad = nn.ZeroPad2d((0, 1, 0, 1))
        self.stem = nn.Conv2d(3, 8, 3, 2)
        self.left = nn.Conv2d(8, 4, (3, 1), padding=(1, 0), dilation=1)
        self.right = nn.Conv2d(8, 6, 3, padding=2, dilation=2, groups=2)
        self.slope = nn.LeakyReLU(0.2)
        self.swish = nn.Hardswish()
        self.max = nn.MaxPool2d(3, 2, 1)
        self.average = nn.AvgPool2d(2)
        self.up = nn.ConvTranspose2d(10, 6, 3, 2, 1, 1, groups=2)
        self.norm = nn.BatchNorm2d(6)
        self.nearest = nn.Upsample(scale_factor=2, mode="nearest")
        self.bilinear = nn.Upsample(scale_factor=2, mode="bilinear", align_corners=False)
        self.hidden = nn.Linear(6 * 8 * 8, 12, bias=False)
        self.hidden_norm = nn.BatchNorm1d(12)
        self.matrix = nn.Parameter(torch.randn(12, 5) * 0.3)
        self.offset = nn.Parameter(torch.randn(5))

    def forward(self, x):
        x = self.swish(self.stem(self.pad(x)))
        x = torch.cat([self.slope(self.left(x)), torch.sigmoid(self.right(x))], 1)
        x = self.norm(self.up(self.max(x)))
        x = self.bilinear(self.average(self.nearest(x))) + self.nearest(x)
        x = self.average(x)
        x = self.hidden_norm(self.hidden(x.view(x.size(0), -1)))
        return torch.matmul(functional.relu(x), self.matrix) + self.offset


class Corners(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(2, 3, 3, bias=True)
        self.up = nn.Upsample(scale_factor=(2, 3), mode="bilinear", align_corners=True)
        self.pool = nn.AvgPool2d(3, 2, 1)

    def forward(self, x):
        return torch.clamp(self.pool(self.up(self.conv(x))), 0, 6).reshape(-1, 3 * 6 * 9)


def disturb(model):
    with torch.no_grad():
        for module in model.modules():
            if not isinstance(module, (nn.BatchNorm1d, nn.BatchNorm2d)):
                continue
            module.weight.uniform_(0.5, 1.5)
            module.bias.normal_(0, 0.3)
            module.running_mean.normal_(0, 0.3)
            module.running_var.uniform_(0.5, 2)


def write(folder, name, model, shape, **options):
    torch.manual_seed(len(name))
    x = torch.randn(4, *shape)
    torch.onnx.export(model, x[:1], f"{folder}/{name}.onnx", **options)
    y32 = model.eval()(x).detach()
    y = model.double()(x.double()).detach()
    numpy.savez(f"{folder}/{name}.npz", x=x.numpy(), y=y.numpy().view(numpy.int64), y32=y32.numpy())
    model.float()


def main(folder):
    torch.set_num_threads(1)
    torch.manual_seed(1)
    raw = {"training": torch.onnx.TrainingMode.PRESERVE, "do_constant_folding": False}
    dynamic = {"input_names": ["image"], "output_names": ["logits"],
               "dynamic_axes": {"image": {0: "batch"}, "logits": {0: "batch"}}}
    for name, model, shape in (("resnet8", ResNet8(), (1, 28, 28)),
                               ("mobilenet", MobileNet(), (1, 28, 28)), ("zoo", Zoo(), (3, 16, 16)),
                               ("corners", Corners(), (2, 8, 8))):
        disturb(model)
        model.eval()
        write(folder, name + "_exported", model, shape)
        write(folder, name + "_raw", model, shape, **raw)
        write(folder, name + "_dynamic", model, shape, opset_version=11, **dynamic)


if __name__ == "__main__":
    main(sys.argv[1])
