#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Training steps of a float network in PyTorch on request: float, and eager-mode QAT of the fused modules.

What `facsim bench qat --peers torch` starts. Writes "ready VERSION VARIANT..." (or "missing REASON" where PyTorch cannot
be imported), then makes one step for each line "VARIANT" that it reads and answers "done".
usage: torch_step.py --network FILE [--batch N] [--threads N]
"""
import argparse
import json
import pathlib
import re
import signal
import sys

try:
    import torch
    from torch import nn
    from torch.ao import quantization
except Exception as error:  # pylint: disable=broad-except
    print("missing", str(error).replace("\n", " "), flush=True)
    sys.exit(0)

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
            ops = [n["op"] for n in self.nodes[i:i + 3]]
            if ops[:2] != ["Conv2d", "BatchNorm2d"]:
                continue
            length = 3 if ops[2:] == ["ReLU"] else 2
            groups.append([n["name"] for n in self.nodes[i:i + length]])
        return groups


def fused_qat(network):
    model = Network(network).train()
    model.qconfig = quantization.get_default_qat_qconfig("fbgemm")
    if model.fusible():
        quantization.fuse_modules_qat(model, model.fusible(), inplace=True)
    quantization.prepare_qat(model, inplace=True)
    return model


def make_step(model, images):
    optimizer = torch.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9, weight_decay=1e-4)
    loss_of = nn.CrossEntropyLoss()
    with torch.no_grad():
        classes = min(10, model(images[:2]).shape[-1])
    labels = torch.arange(images.shape[0]) % classes

    def step():
        optimizer.zero_grad(set_to_none=True)
        loss_of(model(images), labels).backward()
        optimizer.step()
    return step


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--network", required=True)
    parser.add_argument("--batch", type=int, default=64)
    parser.add_argument("--threads", type=int, default=1)
    args = parser.parse_args()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # who asks also ends: at the end of the input
    torch.set_num_threads(args.threads)
    torch.manual_seed(1)
    network = read_network(args.network)
    images = torch.randn(args.batch, *network["input"]["shape"])
    last = {"memory_format": torch.channels_last}
    steps = {
        "torch-float": make_step(Network(network), images),
        # Whichever layout is faster on this machine is the one to beat.
        "torch-float-channels-last": make_step(Network(network).to(**last), images.to(**last)),
        "torch-qat": make_step(fused_qat(network), images),
    }
    print("ready", torch.__version__, *steps, flush=True)
    for line in sys.stdin:
        steps[line.strip()]()
        print("done", flush=True)


if __name__ == "__main__":
    main()
