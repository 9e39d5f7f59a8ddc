#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Runs a network in ONNX Runtime (onnxruntime-node, CPU). See `usage`.
import {UserError} from './npz.mjs';
import {main, requirePackage} from './runtime.mjs';

const usage = `usage: run_onnx.mjs MODEL.onnx INPUT.npy|.npz OUT.npz [MODEL INPUT OUT ...] [options]
The first axis of the inputs is the sample; OUT.npz holds the network's outputs by name.
  --batch N             samples per call of a network with a free batch axis (64)
  --threads N           intra-op threads (1)
  --optimization LEVEL  disabled, basic, extended, layout or all (all)
  --config KEY=VALUE    a session configuration entry, repeatable
  --optimized FILE      also write the optimized network`;

/** Entries like session.disable_quant_qdq=1 as the nested object that onnxruntime-node takes. */
function configuration(entries) {
  const extra = {};
  for (const entry of entries) {
    const [key, value] = entry.split(/=(.*)/s);
    const words = key.split('.');
    const last = words.pop();
    let node = extra;
    for (const word of words) node = node[word] ??= {};
    node[last] = value ?? '';
  }
  return extra;
}

async function load(file, options) {
  const {InferenceSession, Tensor} = requirePackage('onnxruntime-node');
  let session;
  try {
    session = await InferenceSession.create(file, {
      executionProviders: ['cpu'],
      intraOpNumThreads: Number(options.threads),
      interOpNumThreads: 1,
      graphOptimizationLevel: options.optimization,
      logSeverityLevel: 3,
      extra: configuration(options.config),
      ...(options.optimized && {optimizedModelFilePath: options.optimized}),
    });
  } catch (error) {
    throw new UserError(`${file}: ONNX Runtime refuses it: ${error.message}`);
  }
  const inputs = session.inputMetadata.map(({name, type, shape}) => ({name, dtype: type, shape}));
  return {
    inputs,
    close: () => session.release(),
    async run(arrays) {
      const feeds = {};
      arrays.forEach(({dtype, shape, data}, i) => {
        feeds[inputs[i].name] = new Tensor(dtype, data, shape);
      });
      const results = await session.run(feeds);
      return session.outputNames.map((name) => {
        const {type, dims, data} = results[name];
        return {name, dtype: type, shape: [...dims], data};
      });
    },
  };
}

await main({
  usage,
  runtime: 'onnxruntime-node',
  defaults: {threads: '1', optimization: 'all', config: [], optimized: ''},
  load,
});
