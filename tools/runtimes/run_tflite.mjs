#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Runs a network in TensorFlow Lite with the XNNPACK delegate, compiled to WebAssembly. See `usage`.
import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';

import {UserError} from './npz.mjs';
import {main, packageFolder} from './runtime.mjs';

const usage = `usage: run_tflite.mjs MODEL.tflite INPUT.npy|.npz OUT.npz [MODEL INPUT OUT ...]
The first axis of the inputs is the sample; OUT.npz holds the network's outputs by name.
Runs TensorFlow Lite of @tensorflow/tfjs-tflite, which gives XNNPACK every operator that it takes.`;

const kPackage = '@tensorflow/tfjs-tflite';

let module;
const complaints = [];

/** The package's WebAssembly module as it is: its JavaScript client would make int32 of int8. */
async function webAssembly() {
  const name = path.join(packageFolder(kPackage), 'wasm/tflite_web_api_cc_simd');
  const factory = createRequire(import.meta.url)(`${name}.js`);
  const said = (line) => {
    if (line.startsWith('ERROR')) complaints.push(line.replace(/^ERROR: /, ''));
  };
  return factory({wasmBinary: fs.readFileSync(`${name}.wasm`), print: said, printErr: said});
}

/** Why the runtime refused: the first thing that it said. */
const refusal = (file, what, otherwise) =>
    new UserError(`${file}: TensorFlow Lite ${what}: ${complaints[0] ?? otherwise}`);

/** Tensors of a runner: `data()` is a view of WebAssembly memory. */
function tensors(vector) {
  const infos = [];
  for (let i = 0; i < vector.size(); ++i) infos.push(vector.get(i));
  vector.delete();
  return infos.map((info) => ({
    name: info.name,
    dtype: info.dataType,
    shape: info.shape === '' ? [] : info.shape.split(',').map(Number),
    view: () => info.data(),
  }));
}


async function load(file) {
  module ??= await webAssembly();
  complaints.length = 0;
  let bytes;
  try {
    bytes = fs.readFileSync(file);
  } catch (error) {
    throw new UserError(error.message);
  }
  const memory = module._malloc(bytes.length);
  module.HEAPU8.set(bytes, memory);
  const created = module.TFLiteWebModelRunner.CreateFromBufferAndOptions(
      memory, bytes.length,
      {numThreads: 1, enableProfiling: false, maxProfilingBufferEntries: 1024});
  if (!created.ok()) throw refusal(file, 'refuses it', created.errorMessage());
  const runner = created.value();
  const inputs = tensors(runner.GetInputs()), outputs = tensors(runner.GetOutputs());
  return {
    inputs,
    close() {
      runner.delete();
      module._free(memory);
    },
    async run(arrays) {
      arrays.forEach(({data}, i) => inputs[i].view().set(data));
      if (!runner.Infer()) throw refusal(file, 'stopped', 'no reason given');
      return outputs.map(({name, dtype, shape, view}) => ({name, dtype, shape, data: view()}));
    },
  };
}

await main({usage, runtime: kPackage, defaults: {}, load});
