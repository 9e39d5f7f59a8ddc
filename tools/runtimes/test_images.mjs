#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Test images of an MNIST-like folder as the float32 inputs of a deployed network, NHWC, by the
// preprocessing that its file names: (pixel / 255 - mean) / std.
import fs from 'node:fs';
import path from 'node:path';
import zlib from 'node:zlib';

import {UserError, writeNpz} from './npz.mjs';

const usage = 'usage: test_images.mjs MODEL.json DATA_FOLDER OUT.npz';

function testImages(folder) {
  const file = ['t10k-images-idx3-ubyte', 't10k-images-idx3-ubyte.gz']
      .map((name) => path.join(folder, name)).find((name) => fs.existsSync(name));
  if (!file) throw new UserError(`${folder}: no t10k-images-idx3-ubyte`);
  const raw = fs.readFileSync(file);
  const bytes = file.endsWith('.gz') ? zlib.gunzipSync(raw) : raw;
  if (bytes.readUInt32BE(0) !== 0x803) throw new UserError(`${file}: not an IDX file of images`);
  const shape = [4, 8, 12].map((at) => bytes.readUInt32BE(at));
  return {shape, pixels: bytes.subarray(16, 16 + shape[0] * shape[1] * shape[2])};
}

try {
  const [model, folder, out] = process.argv.slice(2);
  if (!out) {
    console.error(usage);
    process.exit(2);
  }
  const network = JSON.parse(fs.readFileSync(model));
  const [mean, std] = [network.preprocessing.mean, network.preprocessing.std].map((list) => {
    if (list.length !== 1) throw new UserError(`${model}: ${list.length} channels; the images have one`);
    return Math.fround(list[0]);
  });
  const {shape, pixels} = testImages(folder);
  const table = Float32Array.from({length: 256}, (_, p) => {
    return Math.fround(Math.fround(Math.fround(p / 255) - mean) / std);
  });
  const data = Float32Array.from(pixels, (pixel) => table[pixel]);
  writeNpz(out, new Map([[network.inputs[0], {dtype: 'float32', shape: [...shape, 1], data}]]));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(3);
}
