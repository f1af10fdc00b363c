// calls.mjs BASE_URL DESCRIPTOR_SET: calls the suite with the clients of Connect and gRPC-Web, in each codec.
// Prints a line of JSON for each check: {"name", "holds", "detail"}. The service comes from the descriptors.
import { readFileSync } from "node:fs";
import { createFileRegistry, fromBinary } from "@bufbuild/protobuf";
import { FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import * as node from "@connectrpc/connect-node";
import * as web from "@connectrpc/connect-web";

const [baseUrl, descriptors] = process.argv.slice(2);
const registry = createFileRegistry(fromBinary(FileDescriptorSetSchema, readFileSync(descriptors)));
const functions = registry.getService("penstock.functions.v1.FunctionManagerService");
const broker = registry.getService("penstock.events.v1.EventBrokerService");
const errorInfo = registry.getMessage("google.rpc.ErrorInfo");

const onNode = { baseUrl, httpVersion: "1.1" };
const transports = {
  "connect, node, binary": node.createConnectTransport({ ...onNode, useBinaryFormat: true }),
  "connect, node, json": node.createConnectTransport({ ...onNode, useBinaryFormat: false }),
  "connect, node, gzip": node.createConnectTransport({
    ...onNode, sendCompression: node.compressionGzip, compressMinBytes: 0,
  }),
  "grpc-web, node, binary": node.createGrpcWebTransport(onNode),
  "connect, fetch, binary": web.createConnectTransport({ baseUrl, useBinaryFormat: true }),
  "connect, fetch, json": web.createConnectTransport({ baseUrl, useBinaryFormat: false }),
  "grpc-web, fetch, binary": web.createGrpcWebTransport({ baseUrl }),
};

function check(name, holds, detail = "") {
  console.log(JSON.stringify({ name, holds: Boolean(holds), detail: String(detail) }));
}

async function errorOf(call) {
  try {
    await call();
  } catch (error) {
    return ConnectError.from(error);
  }
  return undefined;
}

async function unary(name, client, id) {
  let trailer;
  const created = await client.createFunction(
    { parent: "spaces/default", functionId: id, function: { driver: { case: "http", value: { url: "http://127.0.0.1:9/" } } } },
    { onTrailer: (trailers) => (trailer = trailers.get("penstock-revision")) },
  );
  check(`${name}: a unary call`, created.name === `spaces/default/functions/${id}`, created.name);
  check(`${name}: its trailer`, trailer?.startsWith("function-manager:"), trailer);
  let header;
  await client.getFunction(
    { name: created.name },
    { headers: { "x-request-id": "mine" }, onHeader: (headers) => (header = headers.get("x-request-id")) },
  );
  check(`${name}: headers both ways`, header === "mine", header);
}

async function errors(name, client) {
  const missing = await errorOf(() => client.getFunction({ name: "spaces/default/functions/none" }));
  check(`${name}: an error`, missing?.code === Code.NotFound, missing);
  const [detail] = missing?.findDetails(errorInfo) ?? [];
  check(`${name}: its details`, detail?.reason === "FUNCTION_NOT_FOUND", JSON.stringify(missing?.details));
}

async function streams(name, client) {
  const sequences = [];
  const leaving = new AbortController();
  const left = await errorOf(async () => {
    const options = { signal: leaving.signal };
    for await (const event of client.tailEvents({ space: "default", fromSequence: 1n }, options)) {
      sequences.push(event.sequence);
      if (sequences.length === 3) leaving.abort();
    }
  });
  check(`${name}: a stream`, sequences.join() === "1,2,3", sequences);
  check(`${name}: that the client leaves`, left?.code === Code.Canceled, left);
  let ended;
  const late = await errorOf(async () => {
    for await (const event of client.tailEvents({ space: "default" }, { timeoutMs: 300 })) ended = event;
  });
  check(`${name}: its deadline`, late?.code === Code.DeadlineExceeded && !ended, late);
  const bad = await errorOf(async () => {
    for await (const event of client.tailEvents({ space: "default", type: "a*b*c*d*e*" })) ended = event;
  });
  check(`${name}: an error in a stream`, bad?.code === Code.InvalidArgument, bad);
}

let number = 0;
for (const [name, transport] of Object.entries(transports)) {
  try {
    const id = `web-${number++}`;
    await unary(name, createClient(functions, transport), id);
    await errors(name, createClient(functions, transport));
    await streams(name, createClient(broker, transport));
  } catch (error) {
    check(`${name}: runs to its end`, false, error?.stack ?? error);
  }
}
// Connections that are kept would keep the process.
process.exit(0);
