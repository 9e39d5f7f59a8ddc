// SPDX-License-Identifier: Apache-2.0
// numpy's .npy and .npz in node, without conversions: an array is {dtype, shape, data} with a typed
// array of the file's own integers (BigInt64Array for 64 bits). Written like numpy's savez: stored
// members, little endian, C order.
import fs from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import zlib from 'node:zlib';

const kTypes = {
  '|i1': ['int8', Int8Array],
  '|u1': ['uint8', Uint8Array],
  '|b1': ['bool', Uint8Array],
  '<i2': ['int16', Int16Array],
  '<u2': ['uint16', Uint16Array],
  '<i4': ['int32', Int32Array],
  '<u4': ['uint32', Uint32Array],
  '<i8': ['int64', BigInt64Array],
  '<u8': ['uint64', BigUint64Array],
  '<f4': ['float32', Float32Array],
  '<f8': ['float64', Float64Array],
};
const kWords = Object.fromEntries(Object.entries(kTypes).map(([word, [dtype]]) => [dtype, word]));

export const arrayClass = Object.fromEntries(Object.values(kTypes));

/** An error for the user: a message without a stack. */
export class UserError extends Error {}

export const count = (shape) => shape.reduce((product, extent) => product * extent, 1);

function parseNpy(bytes, place) {
  if (bytes.length < 10 || bytes.toString('latin1', 0, 6) !== '\x93NUMPY') {
    throw new UserError(`${place}: not a .npy array`);
  }
  const start = bytes[6] === 1 ? 10 : 12;
  const length = bytes[6] === 1 ? bytes.readUInt16LE(8) : bytes.readUInt32LE(8);
  const header = bytes.toString('latin1', start, start + length);
  const descr = /'descr'\s*:\s*'([^']*)'/.exec(header)?.[1];
  const order = /'fortran_order'\s*:\s*(True|False)/.exec(header)?.[1];
  const extents = /'shape'\s*:\s*\(([^)]*)\)/.exec(header)?.[1];
  if (!(descr in kTypes)) throw new UserError(`${place}: dtype ${descr} is not read here`);
  if (order !== 'False' || extents === undefined) {
    throw new UserError(`${place}: the array is not in C order`);
  }
  const shape = extents.split(',').filter((word) => word.trim() !== '').map(Number);
  const [dtype, Type] = kTypes[descr];
  const size = count(shape) * Type.BYTES_PER_ELEMENT;
  const data = bytes.subarray(start + length);
  if (data.length !== size) {
    throw new UserError(`${place}: ${data.length} bytes of data, expected ${size}`);
  }
  // A copy: the elements must lie on addresses that are multiples of their size.
  return {dtype, shape, data: new Type(new Uint8Array(data).buffer)};
}

function npyBytes({dtype, shape, data}) {
  const tuple = shape.length === 1 ? `${shape[0]},` : shape.join(', ');
  let header = `{'descr': '${kWords[dtype]}', 'fortran_order': False, 'shape': (${tuple}), }`;
  header = header.padEnd(Math.ceil((header.length + 11) / 64) * 64 - 11) + '\n';
  const prefix = Buffer.from('\x93NUMPY\x01\x00\x00\x00' + header, 'latin1');
  prefix.writeUInt16LE(header.length, 8);
  return Buffer.concat([prefix, Buffer.from(data.buffer, data.byteOffset, data.byteLength)]);
}

/** Where the central directory starts, and its number of members. */
function centralDirectory(bytes, place) {
  let end = bytes.length - 22;
  while (end >= 0 && bytes.readUInt32LE(end) !== 0x06054b50) --end;
  if (end < 0) throw new UserError(`${place}: not a .npz archive`);
  const members = bytes.readUInt16LE(end + 10), offset = bytes.readUInt32LE(end + 16);
  if (members !== 0xffff && offset !== 0xffffffff) return {members, offset};
  const wide = Number(bytes.readBigUInt64LE(end - 20 + 8));
  return {
    members: Number(bytes.readBigUInt64LE(wide + 32)),
    offset: Number(bytes.readBigUInt64LE(wide + 48)),
  };
}

/** Sizes and offset of a member; zip64 keeps those that do not fit in an extra field. */
function memberPlace(bytes, at) {
  const fields = {
    size: bytes.readUInt32LE(at + 24),
    stored: bytes.readUInt32LE(at + 20),
    offset: bytes.readUInt32LE(at + 42),
  };
  const nameLength = bytes.readUInt16LE(at + 28), extraLength = bytes.readUInt16LE(at + 30);
  let extra = at + 46 + nameLength;
  const end = extra + extraLength;
  while (extra + 4 <= end) {
    let value = extra + 4;
    if (bytes.readUInt16LE(extra) === 1) {
      for (const key of ['size', 'stored', 'offset']) {
        if (fields[key] !== 0xffffffff) continue;
        fields[key] = Number(bytes.readBigUInt64LE(value));
        value += 8;
      }
    }
    extra += 4 + bytes.readUInt16LE(extra + 2);
  }
  return fields;
}

function parseNpz(bytes, place) {
  const arrays = new Map();
  const directory = centralDirectory(bytes, place);
  let at = directory.offset;
  for (let i = 0; i < directory.members; ++i) {
    const nameLength = bytes.readUInt16LE(at + 28);
    const name = bytes.toString('utf8', at + 46, at + 46 + nameLength).replace(/\.npy$/, '');
    const method = bytes.readUInt16LE(at + 10);
    const member = memberPlace(bytes, at);
    const start =
        member.offset + 30 + bytes.readUInt16LE(member.offset + 26) +
        bytes.readUInt16LE(member.offset + 28);
    const raw = bytes.subarray(start, start + member.stored);
    if (method !== 0 && method !== 8) {
      throw new UserError(`${place}!${name}: compression ${method} is not read here`);
    }
    const inflated =
        method === 0 ? raw : zlib.inflateRawSync(raw, {maxOutputLength: Math.max(member.size, 1)});
    arrays.set(name, () => parseNpy(inflated, `${place}!${name}`));
    at += 46 + nameLength + bytes.readUInt16LE(at + 30) + bytes.readUInt16LE(at + 32);
  }
  return arrays;
}

/**
 * The arrays of a file by name, each parsed when asked for: a map of name to function. A .npy has
 * one, under the file's stem.
 */
export function readArrays(file) {
  let bytes;
  try {
    bytes = fs.readFileSync(file);
  } catch (error) {
    throw new UserError(`${file}: ${error.message}`);
  }
  try {
    if (bytes.toString('latin1', 0, 6) === '\x93NUMPY') {
      return new Map([[path.parse(file).name, () => parseNpy(bytes, file)]]);
    }
    return parseNpz(bytes, file);
  } catch (error) {
    if (error instanceof RangeError) throw new UserError(`${file}: the archive is damaged`);
    throw error;
  }
}

const kCrcTable = Int32Array.from({length: 256}, (_, byte) => {
  for (let k = 0; k < 8; ++k) byte = byte & 1 ? 0xedb88320 ^ (byte >>> 1) : byte >>> 1;
  return byte;
});

function crc32(bytes) {
  let crc = -1;
  for (let i = 0; i < bytes.length; ++i) crc = kCrcTable[(crc ^ bytes[i]) & 255] ^ (crc >>> 8);
  return (crc ^ -1) >>> 0;
}

/** Writes arrays by name; the file appears when it is complete. Members below 4 GiB. */
export function writeNpz(file, arrays) {
  const parts = [], directory = [];
  let offset = 0;
  for (const [name, array] of arrays) {
    const bytes = npyBytes(array), member = Buffer.from(`${name}.npy`, 'utf8');
    const fields = Buffer.alloc(26);  // from "version needed" to the extra field's length
    fields.writeUInt16LE(20, 0);
    fields.writeUInt16LE(0x800, 2);        // names are UTF-8
    fields.writeUInt32LE(0x00210000, 6);   // 1980-01-01
    fields.writeUInt32LE(crc32(bytes), 10);
    fields.writeUInt32LE(bytes.length, 14);
    fields.writeUInt32LE(bytes.length, 18);
    fields.writeUInt16LE(member.length, 22);
    parts.push(Buffer.from('PK\x03\x04'), fields, member, bytes);
    const tail = Buffer.alloc(14);
    tail.writeUInt32LE(offset, 10);
    directory.push(Buffer.from('PK\x01\x02\x14\x00'), fields, tail, member);
    offset += 30 + member.length + bytes.length;
  }
  const central = Buffer.concat(directory);
  const end = Buffer.alloc(18);
  end.writeUInt16LE(arrays.size, 4);
  end.writeUInt16LE(arrays.size, 6);
  end.writeUInt32LE(central.length, 8);
  end.writeUInt32LE(offset, 12);
  parts.push(central, Buffer.from('PK\x05\x06'), end);

  const temporary = `${file}.tmp-${process.pid}-${os.hostname()}`;
  try {
    fs.writeFileSync(temporary, Buffer.concat(parts));
    fs.renameSync(temporary, file);
  } catch (error) {
    fs.rmSync(temporary, {force: true});
    throw new UserError(`${file}: ${error.message}`);
  }
}
