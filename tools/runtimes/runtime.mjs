// SPDX-License-Identifier: Apache-2.0
// What run_onnx.mjs and run_tflite.mjs share: the command line, where the packages are, and cutting
// arrays of samples into the batches that a network takes.
import fs from 'node:fs';
import {createRequire} from 'node:module';
import path from 'node:path';
import {fileURLToPath} from 'node:url';

import {UserError, arrayClass, count, readArrays, writeNpz} from './npz.mjs';

/** Exit codes, as facsim's. */
const kUsage = 2, kInvalid = 3, kUnsupported = 4;

/** The packages are not there: exit code 4. */
class MissingRuntime extends Error {}

/**
 * A package's folder. It is looked for beside the scripts (install.sh copies them to the packages), in
 * FACSIM_RUNTIMES, and in build/runtimes of the source tree.
 */
export function packageFolder(name) {
  const here = path.dirname(fileURLToPath(import.meta.url));
  const places =
      [here, process.env.FACSIM_RUNTIMES, path.join(here, '../../build/runtimes')].filter(Boolean);
  for (const place of places) {
    const folder = path.resolve(place, 'node_modules', name);
    if (fs.existsSync(path.join(folder, 'package.json'))) return folder;
  }
  throw new MissingRuntime(
      `${name} is not installed; run tools/runtimes/install.sh (looked in ${places.join(', ')})`);
}

export function packageVersion(name) {
  return JSON.parse(fs.readFileSync(path.join(packageFolder(name), 'package.json'))).version;
}

export function requirePackage(name) {
  return createRequire(path.join(packageFolder(name), 'package.json'))(packageFolder(name));
}

/** Positional arguments and `--key value` options with defaults. */
function parse(defaults) {
  const options = {...defaults}, positional = [];
  const args = process.argv.slice(2);
  for (let i = 0; i < args.length; ++i) {
    if (!args[i].startsWith('--')) {
      positional.push(args[i]);
      continue;
    }
    const key = args[i].slice(2);
    if (!(key in defaults) || i + 1 === args.length) return undefined;
    ++i;
    options[key] = Array.isArray(defaults[key]) ? [...options[key], args[i]] : args[i];
  }
  if (positional.length === 0 || positional.length % 3 !== 0) return undefined;
  return {options, positional};
}

/** The array of each network input, in the network's order. Error: names, types, shapes. */
function matched(inputs, arrays, file) {
  const single = inputs.length === 1 && arrays.size === 1;
  return inputs.map((input) => {
    const name = single ? [...arrays.keys()][0] : input.name;
    if (!arrays.has(name)) {
      const names = [...arrays.keys()].join(', ');
      throw new UserError(`${file}: no array "${name}" for the network's input; it holds ${names}`);
    }
    const array = arrays.get(name)();
    if (array.dtype !== input.dtype) {
      throw new UserError(
          `${file}!${name}: dtype ${array.dtype}, the network's input ${input.name} takes ${input.dtype}`);
    }
    return {name: `${file}!${name}`, input, array};
  });
}

/** Extents are numbers; anything else (a symbol, -1) takes every number. */
const fits = (shape, extents, from) =>
    shape.length === extents.length &&
    extents.every((extent, axis) => axis < from || !(extent >= 0) || extent === shape[axis]);

/** How many samples each call takes, and how many there are. */
function batches(feeds, largest) {
  if (feeds.every(({input, array}) => fits(array.shape, input.shape, 0) && input.shape[0] >= 0)) {
    return {rows: feeds[0]?.array.shape[0] ?? 1, samples: feeds[0]?.array.shape[0] ?? 1, whole: true};
  }
  for (const {name, input, array} of feeds) {
    if (fits(array.shape, input.shape, 1) && array.shape.length > 0) continue;
    throw new UserError(
        `${name}: shape [${array.shape}], the network's input ${input.name} takes [${input.shape}]`);
  }
  const samples = feeds[0].array.shape[0];
  const fixed = feeds.map(({input}) => input.shape[0]).filter((extent) => extent >= 0);
  const rows = fixed.length > 0 ? fixed[0] : Math.min(largest, samples);
  for (const {name, input, array} of feeds) {
    if (array.shape[0] !== samples || (input.shape[0] >= 0 && input.shape[0] !== rows)) {
      throw new UserError(`${name}: ${array.shape[0]} samples, expected ${samples} in batches of ${rows}`);
    }
  }
  if (samples === 0 || (fixed.length > 0 && samples % rows !== 0)) {
    throw new UserError(`${feeds[0].name}: ${samples} samples do not fill batches of ${rows}`);
  }
  return {rows, samples, whole: false};
}

/** Puts a batch's outputs behind those of the batches before it. */
function collect(outputs, batch, done, rows, plan) {
  for (const {name, dtype, shape, data} of batch) {
    if (plan.whole) {
      outputs.set(name, {dtype, shape, data: arrayClass[dtype].from(data)});
      continue;
    }
    if (shape[0] !== rows) {
      throw new UserError(`output ${name}: shape [${shape}] for ${rows} samples: it has no batch axis`);
    }
    if (!outputs.has(name)) {
      const all = [plan.samples, ...shape.slice(1)];
      outputs.set(name, {dtype, shape: all, data: new arrayClass[dtype](count(all))});
    }
    outputs.get(name).data.set(data, done * count(shape.slice(1)));
  }
}

async function runSamples(model, inputFile, largest) {
  const feeds = matched(model.inputs, readArrays(inputFile), inputFile);
  const plan = batches(feeds, largest);
  const outputs = new Map();
  for (let done = 0; done < plan.samples; done += plan.rows) {
    const rows = Math.min(plan.rows, plan.samples - done);
    const batch = feeds.map(({array}) => {
      if (plan.whole) return array;
      const row = count(array.shape.slice(1));
      return {
        dtype: array.dtype,
        shape: [rows, ...array.shape.slice(1)],
        data: array.data.subarray(done * row, (done + rows) * row),
      };
    });
    collect(outputs, await model.run(batch), done, rows, plan);
  }
  return {outputs, samples: plan.samples};
}

/**
 * The whole program. `load(modelFile, options)` gives {inputs: [{name, dtype, shape}], run, close};
 * `run(arrays)` gives [{name, dtype, shape, data}] in the network's order. Prints one line of JSON per
 * network.
 */
export async function main({usage, runtime, defaults, load}) {
  const command = parse({batch: '64', ...defaults});
  if (command === undefined) {
    console.error(usage);
    process.exit(kUsage);
  }
  const {options, positional} = command;
  try {
    const version = packageVersion(runtime);
    for (let i = 0; i < positional.length; i += 3) {
      const [modelFile, inputFile, outputFile] = positional.slice(i, i + 3);
      const model = await load(modelFile, options);
      try {
        const start = performance.now();
        const {outputs, samples} = await runSamples(model, inputFile, Number(options.batch));
        const seconds = (performance.now() - start) / 1000;
        writeNpz(outputFile, outputs);
        console.log(JSON.stringify({runtime, version, model: modelFile, samples, seconds}));
      } finally {
        model.close();
      }
    }
  } catch (error) {
    console.error(`error: ${error.message}`);
    process.exit(error instanceof MissingRuntime ? kUnsupported : kInvalid);
  }
}
