#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Computes quantized layers with PyTorch's QNNPACK engine: qnnpack.py LAYERS.npz OUTPUTS.npz

LAYERS.npz, as tests/peers/qnnpack_test.cc writes it: `meta` int64 [layers, columns] (COLUMNS
below), `scale` float32 [layers, 3] (input, second input, output) and flat arrays in layer order:
`x` uint8 (NHWC or [N, C]; both inputs of add), `w` int8 (OHWI or [O, I]), `w_scale` float32 and
`w_zero_point` int64 (1 or O), `b` float32. OUTPUTS.npz: `y` uint8, flat, NHWC or [N, C].
"""
import sys

import numpy as np
import torch

COLUMNS = ("op n h w c oc kh kw ic groups stride_h stride_w dilation_h dilation_w pad_h pad_w "
           "relu zx z2 zy has_bias scales").split()


class Flat:
    """Takes the next elements of a flat array."""

    def __init__(self, array):
        self.array, self.at = array, 0

    def take(self, *shape):
        count = int(np.prod(shape))
        part = self.array[self.at:self.at + count].reshape(shape)
        self.at += count
        return torch.from_numpy(part.copy())


def quantized(codes, scale, zero_point):
    return torch._make_per_tensor_quantized_tensor(codes, float(scale), int(zero_point))


def main(source, target):
    torch.backends.quantized.engine = "qnnpack"
    torch.set_num_threads(1)
    data = np.load(source)
    x_flat, w_flat, b_flat = Flat(data["x"]), Flat(data["w"]), Flat(data["b"])
    ws_flat, wz_flat = Flat(data["w_scale"]), Flat(data["w_zero_point"])
    outputs = []
    for row, (sx, s2, sy) in zip(data["meta"], data["scale"]):
        m = dict(zip(COLUMNS, (int(v) for v in row)))
        nhwc = m["op"] != 1
        shape = (m["n"], m["h"], m["w"], m["c"]) if nhwc else (m["n"], m["c"])

        def activation(scale, zero_point):
            codes = x_flat.take(*shape)
            return quantized(codes.permute(0, 3, 1, 2) if nhwc else codes, scale, zero_point)

        x = activation(sx, m["zx"])
        if m["op"] <= 1:
            if nhwc:
                w = w_flat.take(m["oc"], m["kh"], m["kw"], m["ic"]).permute(0, 3, 1, 2)
            else:
                w = w_flat.take(m["oc"], m["c"])
            ws, wz = ws_flat.take(m["scales"]), wz_flat.take(m["scales"])
            w = w.contiguous()
            if m["scales"] > 1:
                w = torch._make_per_channel_quantized_tensor(w, ws.double(), wz, 0)
            else:
                w = quantized(w, ws[0], wz[0])
            bias = b_flat.take(m["oc"]) if m["has_bias"] else None
        quantized_ops = torch.ops.quantized
        if m["op"] == 0:
            packed = quantized_ops.conv2d_prepack(
                w, bias, [m["stride_h"], m["stride_w"]], [m["pad_h"], m["pad_w"]],
                [m["dilation_h"], m["dilation_w"]], m["groups"])
            run = quantized_ops.conv2d_relu if m["relu"] else quantized_ops.conv2d
            y = run(x, packed, float(sy), m["zy"])
        elif m["op"] == 1:
            run = quantized_ops.linear_relu if m["relu"] else quantized_ops.linear
            y = run(x, quantized_ops.linear_prepack(w, bias), float(sy), m["zy"])
        elif m["op"] == 2:
            run = quantized_ops.add_relu if m["relu"] else quantized_ops.add
            y = run(x, activation(s2, m["z2"]), float(sy), m["zy"])
        elif m["op"] == 3:
            y = torch.nn.functional.max_pool2d(x, [m["kh"], m["kw"]],
                                               [m["stride_h"], m["stride_w"]],
                                               [m["pad_h"], m["pad_w"]])
        else:
            y = x.mean([2, 3], keepdim=True)
        codes = y.int_repr()
        codes = codes.permute(0, 2, 3, 1) if nhwc else codes
        outputs.append(codes.contiguous().numpy().reshape(-1))
    np.savez(target, y=np.concatenate(outputs))


main(sys.argv[1], sys.argv[2])
