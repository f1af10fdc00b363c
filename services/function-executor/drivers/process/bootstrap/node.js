// Runs a JavaScript function as a worker of Penstock's process driver.
//
// Started as `node bootstrap.js SOURCE HANDLER` in the function's work folder. Requests arrive and answers
// leave as JSON lines on two private descriptors, so that console.log and subprocesses can write what
// they like.
'use strict';

const fs = require('fs');
const net = require('net');
const path = require('path');

const FRAMES_MAX = 64;
const WORK_DIR = process.cwd() + path.sep;

// Opens a descriptor anew under another number, closed on exec, and gives the old one up.
function hide(number, flags) {
  try {
    const hidden = fs.openSync(`/proc/self/fd/${number}`, flags);
    fs.closeSync(number);
    return hidden;
  } catch {
    return number; // Without /proc it stays; Node has marked it as closed on exec.
  }
}

const [requestNumber, answerNumber] = process.env.PENSTOCK_CHANNEL.split(',').map(Number);
delete process.env.PENSTOCK_CHANNEL;
const requestFd = hide(requestNumber, 'r');
const answerFd = hide(answerNumber, 'w');

function write(text) {
  let data = Buffer.from(text + '\n');
  while (data.length > 0) data = data.subarray(fs.writeSync(answerFd, data));
}

// Innermost frame last, as every runtime's stack traces have it.
function framesOf(error) {
  if (typeof error.stack !== 'string') return [];
  return error.stack
    .split('\n')
    .filter((line) => /^\s+at /.test(line))
    .filter((line) => !line.includes(__filename) && !line.includes('node:internal'))
    .slice(0, FRAMES_MAX)
    .map((line) => line.trim().replace(WORK_DIR, ''))
    .reverse();
}

// V8 tells where a syntax error is only in the first line of the stack.
function messageOf(error) {
  const message = String(error.message);
  if (error.name !== 'SyntaxError' || typeof error.stack !== 'string') return message;
  const first = error.stack.split('\n', 1)[0];
  return first.startsWith(WORK_DIR) ? `${message} (${first.slice(WORK_DIR.length)})` : message;
}

function describe(error) {
  if (!(error instanceof Error) && (typeof error !== 'object' || error === null)) {
    return failure('FunctionError', 'Error', String(error));
  }
  const name = String(error.name || 'Error');
  const category = name === 'InputError' ? 'InputError' : 'FunctionError';
  return failure(category, name, messageOf(error), framesOf(error));
}

function failure(category, type, message, stacktrace = []) {
  return { category, type, message, stacktrace };
}

function typeName(value) {
  if (typeof value !== 'object' || value === null) return typeof value;
  return value.constructor ? value.constructor.name : 'object';
}

function encodeResult(result) {
  if (result === undefined) return '{"payload":null}';
  let value = result;
  if (result instanceof Uint8Array) {
    value = {
      base64: Buffer.from(result.buffer, result.byteOffset, result.byteLength).toString('base64'),
      contentType: 'application/octet-stream',
    };
  }
  let reason = 'it has no JSON form';
  try {
    const text = JSON.stringify(value);
    if (text !== undefined) return `{"payload":${text}}`;
  } catch (error) {
    reason = String(error.message).replace(/\s+/g, ' ');
  }
  const message = `the result, of type ${typeName(result)}, is not JSON: ${reason}`;
  return JSON.stringify({ error: failure('FunctionError', 'Unserializable', message) });
}

function load(source, handlerName) {
  const module = require(path.resolve(source));
  const handler = module[handlerName];
  if (typeof handler !== 'function') {
    const error = new Error(`the source exports no function named '${handlerName}'`);
    error.name = 'LookupError';
    error.stack = undefined;
    throw error;
  }
  return handler;
}

const METRICS_MAX = 32;

let busy = false;

async function answerTo(handler, line) {
  let request;
  try {
    request = JSON.parse(line);
  } catch (error) {
    const message = `the payload cannot be read: ${error.message}`;
    return JSON.stringify({ error: failure('InputError', error.name, message) });
  }
  const metrics = [];
  request.context.metric = (name, value = 1, labels = {}) => {
    metrics.push({ name: String(name), value: Number(value), labels });
  };
  let answer;
  try {
    answer = encodeResult(await handler(request.context, request.payload));
  } catch (error) {
    answer = JSON.stringify({ error: describe(error) });
  }
  if (metrics.length === 0) return answer;
  return `${answer.slice(0, -1)},"metrics":${JSON.stringify(metrics.slice(0, METRICS_MAX))}}`;
}

function serve(handler) {
  const pieces = [];
  const input = new net.Socket({ fd: requestFd, readable: true, writable: false });
  input.on('data', async (chunk) => {
    // One request is under way at a time, so what follows a line end can only be the next request.
    const end = chunk.indexOf(10);
    if (end < 0) {
      pieces.push(chunk);
      return;
    }
    pieces.push(chunk.subarray(0, end));
    const line = Buffer.concat(pieces).toString();
    pieces.length = 0;
    busy = true;
    const answer = await answerTo(handler, line);
    busy = false;
    write(answer);
  });
  input.on('end', () => process.exit(0));
}

// What a function throws outside of its promise ends the worker, but the caller learns what it was.
process.on('uncaughtException', (error) => {
  if (busy) {
    write(JSON.stringify({ error: describe(error) }));
  } else {
    console.error(error);
  }
  process.exit(1);
});

const [source, handlerName] = process.argv.slice(2);
process.argv = [process.argv[0], path.resolve(source)];
let handler;
try {
  handler = load(source, handlerName);
} catch (error) {
  write(JSON.stringify({ ready: false, error: describe(error) }));
  process.exit(1);
}
write('{"ready":true}');
serve(handler);
