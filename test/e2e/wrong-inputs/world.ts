import { mkdir, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { Readable, Writable } from "node:stream";

import { runCommandLine } from "../../../src/cli/cli.ts";
import { makeAuthority } from "../../support/certificates.ts";
import { freePort } from "../../support/free-port.ts";
import { buildImage, pushTo } from "../../support/images/images.ts";
import { startRegistry } from "../../support/registry/registry.ts";
import { temporaryDirectory } from "../../support/temporary.ts";

export type Answer = { readonly exit: number; readonly text: string };

/** The servers that wrong command lines meet, and a directory with right and wrong files. */
export type World = AsyncDisposable & {
  /** Runs a command line in a directory of its own. Names stand for hosts in it, and in the answer. */
  run(args: readonly string[], options?: RunOptions): Promise<Answer>;
};

type RunOptions = {
  readonly env?: Readonly<Record<string, string>>;
  /** Of tagferry.yaml. */
  readonly file?: string;
};

export async function openWorld(): Promise<World> {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const hosts = await startHosts(stack);
  let runs = 0;
  const owned = stack.move();
  return {
    run: async (args, { env = {}, file } = {}) => {
      runs += 1;
      const path = directory.join(`run-${runs}`);
      const right = ABOUT_IMAGES.has(args[0] ?? "") ? REGISTRIES : MIRRORS;
      await writeFiles(path, file ?? withHosts(right, hosts));
      const output: string[] = [];
      const sink = (): Writable =>
        new Writable({
          write: (chunk: Buffer, _, done) => {
            output.push(chunk.toString());
            done();
          },
        });
      const { code } = await runCommandLine(
        args.map((arg) => withHosts(arg, hosts)),
        {
          env: { HOME: path, KUBECONFIG: `${path}/kubeconfig`, ...inDirectory(env, path) },
          directory: path,
          nodeVersion: process.version,
          stdin: Readable.from([]),
          stdout: sink(),
          stderr: sink(),
          signal: AbortSignal.timeout(25_000),
        },
      );
      return { exit: code, text: withNames(saidOf(output.join(""), path), hosts) };
    },
    [Symbol.asyncDispose]: () => owned.disposeAsync(),
  };
}

/** Name in the cases → host of this run. */
type Hosts = ReadonlyMap<string, string>;

async function startHosts(stack: AsyncDisposableStack): Promise<Hosts> {
  const unknown = await (await makeAuthority("wrong-inputs")).issue("localhost");
  const registry = stack.use(await startRegistry());
  await pushTo(registry, "team/app", buildImage({}), "1");
  const plain = stack.use(await startRegistry());
  const foreign = stack.use(await startRegistry({ tls: unknown }));
  const auth = { kind: "basic", username: "robot", password: "right" } as const;
  const login = stack.use(await startRegistry({ auth }));
  const closed = await freePort();
  const website = await startServer(stack, 200, "<html>Welcome</html>");
  // what Go's net/http answers to plain HTTP at a port with TLS
  const secure = await startServer(stack, 400, "Client sent an HTTP request to an HTTPS server.\n");
  return new Map([
    ["registry.example", registry.host],
    ["plain.example", plain.host],
    ["secure.example", secure],
    ["unknown.example", foreign.host],
    ["login.example", login.host],
    ["private.example", stack.use(await startRegistry({ auth })).host],
    ["closed.example", `127.0.0.1:${closed}`],
    ["website.example", website],
  ]);
}

/** A server with one answer. Returns its host. */
async function startServer(stack: AsyncDisposableStack, status: number, body: string): Promise<string> {
  const server = createServer((_, answer) => {
    answer.writeHead(status, { "content-type": "text/html" }).end(body);
  });
  await new Promise<void>((resolve) => void server.listen(0, "127.0.0.1", resolve));
  stack.defer(() => {
    server.closeAllConnections();
    server.close();
  });
  return `127.0.0.1:${(server.address() as AddressInfo).port}`;
}

/** Without the log, paths and digests of this run. */
function saidOf(output: string, path: string): string {
  return output
    .replaceAll(/^\{"level".*\n/gm, "")
    .replaceAll(`${path}/`, "")
    .replaceAll(/sha256:[0-9a-f]{64}/g, "sha256:…");
}

/** The variables that name files. */
function inDirectory(env: Readonly<Record<string, string>>, path: string): Record<string, string> {
  const { KUBECONFIG: file, ...others } = env;
  return file === undefined ? others : { ...others, KUBECONFIG: `${path}/${file}` };
}

const ABOUT_IMAGES: ReadonlySet<string> = new Set(["auth", "copy", "tags"]);

const REGISTRIES = `version: 1
registries:
  registry.example: {plainHttp: true}
  secure.example: {plainHttp: true}
  login.example: {plainHttp: true, credentials: {username: robot, passwordFile: password}}
  private.example: {plainHttp: true}
  closed.example: {plainHttp: true, timeouts: {retries: 1s}}
  nowhere.invalid: {timeouts: {retries: 1s}}
  website.example: {plainHttp: true}
`;

const MIRRORS = `version: 1
registries:
  registry.example: {plainHttp: true}
mirrors:
  - name: app
    source: registry.example/team/app
    target: oci:mirror
    tags: ["1"]
  - name: stream
    source: registry.example/team/app
    target: imagestream:web/app
    tags: ["1"]
`;

async function writeFiles(path: string, file: string): Promise<void> {
  await mkdir(`${path}/folder`, { recursive: true });
  const files = {
    "tagferry.yaml": file,
    "wrong.yaml":
      "version: 1\nmirrors:\n  - sorce: quay.io/team/app\n    target: oci:mirror\n    tags: [latest]\n",
    "notes.txt": "buy milk\n",
    "nothing.txt": "",
    password: "wrong\n",
    kubeconfig: "",
  };
  await Promise.all(Object.entries(files).map(([name, text]) => writeFile(`${path}/${name}`, text)));
}

function withHosts(text: string, hosts: Hosts): string {
  return [...hosts].reduce((soFar, [name, host]) => soFar.replaceAll(name, host), text);
}

function withNames(text: string, hosts: Hosts): string {
  return [...hosts].reduce((soFar, [name, host]) => soFar.replaceAll(host, name), text);
}
