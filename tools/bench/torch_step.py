#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Times one training step of a float network in PyTorch: float, and eager-mode QAT of the fused modules.

Prints one line per variant: name threads batch median_ms min_ms, as bench_qat does.
usage: torch_step.py [--network FILE] [--batch N] [--rounds N] [--threads N] [--clock wall|cpu]
    [--only VARIANT]
"""
import argparse
import json
import pathlib
import re
import time

import torch
from torch import nn
from torch.ao import quantization

DEFAULT = pathlib.Path(__file__).parents[2] / "configs/networks/fashion_cnn.json"
FIELDS = ("op", "name", "inputs")  # of a node; the others are the module's arguments


def read_network(path):
    """A configs/networks/*.json, whose comments are whole lines."""
    text = re.sub(r"^\s*//.*$", "", pathlib.Path(path).read_text(), flags=re.MULTILINE)
    return json.loads(text)


def make_module(node):
    if node["op"] == "Add":
        return torch.nn.quantized.FloatFunctional()
    return getattr(nn, node["op"])(**{k: v for k, v in node.items() if k not in FIELDS})


class Network(nn.Module):
    """The graph, node by node; a node without inputs takes the one before it."""

    def __init__(self, network):
        super().__init__()
        self.nodes = network["nodes"]
        self.quant = quantization.QuantStub()
        for node in self.nodes:
            self.add_module(node["name"], make_module(node))

    def forward(self, images):
        last = self.quant(images)
        values = {"input": last}
        for node in self.nodes:
            inputs = [values[name] for name in node.get("inputs", [])] or [last]
            module = getattr(self, node["name"])
            last = module.add(*inputs) if node["op"] == "Add" else module(*inputs)
            values[node["name"]] = last
        return last

    def fusible(self):
        """[convolution, batch norm, ReLU if one follows], by name."""
        groups = []
        for i, node in enumerate(self.nodes):
            if node["op"] != "Conv2d" or self.nodes[i + 1]["op"] != "BatchNorm2d":
                continue
            length = 3 if self.nodes[i + 2]["op"] == "ReLU" else 2
            groups.append([n["name"] for n in self.nodes[i:i + length]])
        return groups


def fused_qat(network):
    model = Network(network).train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    quantization.fuse_modules_qat(model, model.fusible(), inplace=True)
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
    parser.add_argument("--network", default=DEFAULT)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--clock", choices=["wall", "cpu"], default="wall")
    parser.add_argument("--only", help="a variant's name; without it all take turns")
    args = parser.parse_args()
    clock = time.process_time if args.clock == "cpu" else time.perf_counter
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    network = read_network(args.network)
    images = torch.randn(args.batch, *network["input"]["shape"])
    labels = torch.arange(args.batch) % 10
    last = {"memory_format": torch.channels_last}
    makers = {
        "torch-float": lambda: make_step(Network(network), images, labels),
        # Whichever layout is faster on this machine is the one to beat.
        "torch-float-channels-last":
            lambda: make_step(Network(network).to(**last), images.to(**last), labels),
        "torch-qat": lambda: make_step(fused_qat(network), images, labels),
    }
    steps = {name: make() for name, make in makers.items() if args.only in (None, name)}
    times = {name: [] for name in steps}
    for round_number in range(-2, args.rounds):
        for name, step in steps.items():
            start = clock()
            step()
            if round_number >= 0:
                times[name].append(1e3 * (clock() - start))
    for name, values in times.items():
        values.sort()
        print(f"{name} {args.threads} {args.batch} {values[len(values) // 2]:.3f} {values[0]:.3f}")


if __name__ == "__main__":
    main()
