#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times one training step of fashion_cnn in PyTorch: float, and eager-mode QAT of the fused modules.

Prints one line per variant: name threads batch median_ms min_ms, as bench_qat does.
usage: torch_step.py [--batch N] [--rounds N] [--threads N]
"""
import argparse
import time

import torch
from torch import nn
from torch.ao import quantization


def fashion_cnn():
    """configs/networks/fashion_cnn.json."""
    return nn.Sequential(
        nn.Conv2d(1, 32, 3, padding=1, bias=False), nn.BatchNorm2d(32), nn.ReLU(),
        nn.Conv2d(32, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Conv2d(64, 64, 3, stride=2, padding=1, bias=False), nn.BatchNorm2d(64), nn.ReLU(),
        nn.Flatten(), nn.Linear(3136, 10))


def fused_qat():
    model = nn.Sequential(quantization.QuantStub(), *fashion_cnn()).train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    groups = [["1", "2", "3"], ["4", "5", "6"], ["7", "8", "9"]]
    quantization.fuse_modules_qat(model, groups, inplace=True)
    quantization.prepare_qat(model, inplace=True)
    return model


def make_step(model, images, labels):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    loss_of = nn.CrossEntropyLoss()

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(images), labels).backward()
        optimizer.step()
    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    images = torch.randn(args.batch, 1, 28, 28)
    labels = torch.arange(args.batch) % 10
    last = {"memory_format": torch.channels_last}
    steps = {
        "torch-float": make_step(fashion_cnn(), images, labels),
        # Whichever layout is faster on this machine is the one to beat.
        "torch-float-channels-last": make_step(fashion_cnn().to(**last), images.to(**last), labels),
        "torch-qat": make_step(fused_qat(), images, labels),
    }
    times = {name: [] for name in steps}
    for round_number in range(-2, args.rounds):
        for name, step in steps.items():
            start = time.perf_counter()
            step()
            if round_number >= 0:
                times[name].append(1e3 * (time.perf_counter() - start))
    for name, values in times.items():
        values.sort()
        print(f"{name} {args.threads} {args.batch} {values[len(values) // 2]:.3f} {values[0]:.3f}")


if __name__ == "__main__":
    main()
