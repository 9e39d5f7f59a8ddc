#!/usr/bin/env node
// SPDX-License-Identifier: Apache-2.0
// Times networks in ONNX Runtime (onnxruntime-node, CPU) on random codes. See `usage`.
import {performance} from 'node:perf_hooks';

import {UserError, arrayClass, count} from './npz.mjs';
import {packageVersion, requirePackage} from './runtime.mjs';

const usage = `usage: time_onnx.mjs MODEL.onnx [--threads N] [--batch N] [--seconds S]
Prints one line of JSON: nanoseconds per run, the minimum and the median of runs in S seconds.`;

const options = {threads: 1, batch: 1, seconds: 2};
const models = [];
for (let i = 2; i < process.argv.length; ++i) {
  const word = process.argv[i];
  if (!word.startsWith('--')) {
    models.push(word);
  } else if (word.slice(2) in options && i + 1 < process.argv.length) {
    options[word.slice(2)] = Number(process.argv[++i]);
  } else {
    models.length = 0;
    break;
  }
}
if (models.length !== 1) {
  console.error(usage);
  process.exit(2);
}

/** Codes that fill the type; reals in [-1, 1). The same for every run of the program. */
function randomArray(dtype, shape) {
  let state = 12345;
  const next = () => (state = (Math.imul(state, 1103515245) + 12345) >>> 0) >>> 8;
  const Type = arrayClass[dtype];
  if (Type === undefined || Type.name.startsWith('Big')) throw new UserError(`inputs of ${dtype}`);
  const isReal = dtype.startsWith('float');
  return Type.from({length: count(shape)}, () => (isReal ? next() / 2 ** 23 - 1 : next()));
}

try {
  const {InferenceSession, Tensor} = requirePackage('onnxruntime-node');
  const session = await InferenceSession.create(models[0], {
    executionProviders: ['cpu'],
    intraOpNumThreads: options.threads,
    interOpNumThreads: 1,
    graphOptimizationLevel: 'all',
    logSeverityLevel: 3,
  });
  const feeds = {};
  for (const {name, type, shape} of session.inputMetadata) {
    const extents = shape.map((extent, axis) => (axis === 0 ? options.batch : extent));
    feeds[name] = new Tensor(type, randomArray(type, extents), extents);
  }
  const times = [];
  for (let i = 0; i < 5; ++i) await session.run(feeds);
  const end = performance.now() + 1000 * options.seconds;
  while (performance.now() < end || times.length < 3) {
    const start = performance.now();
    await session.run(feeds);
    times.push(1e6 * (performance.now() - start));
  }
  times.sort((a, b) => a - b);
  console.log(JSON.stringify({
    runtime: 'onnxruntime-node',
    version: packageVersion('onnxruntime-node'),
    model: models[0],
    threads: options.threads,
    batch: options.batch,
    runs: times.length,
    minimum_ns: Math.round(times[0]),
    median_ns: Math.round(times[times.length >> 1]),
  }));
} catch (error) {
  console.error(`error: ${error.message}`);
  process.exit(error.constructor.name === 'MissingRuntime' ? 4 : 3);
}
