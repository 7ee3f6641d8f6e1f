import { runCommandLine } from "./cli/cli.ts";

// The process: argv, env, signals, streams, exit code. No other file uses `process`.

const stop = new AbortController();
let signalled: "SIGINT" | "SIGTERM" | undefined;
const EXIT_OF_SIGNAL = { SIGINT: 130, SIGTERM: 143 } as const;

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    // the second signal ends the process at once
    if (signalled) process.exit(EXIT_OF_SIGNAL[signal]);
    signalled = signal;
    stop.abort(new DOMException(`stopped by ${signal}`, "AbortError"));
  });
}

// a closed pipe (`| head`) is not an error
for (const stream of [process.stdout, process.stderr])
  stream.on("error", (error: NodeJS.ErrnoException) => {
    if (error.code === "EPIPE") process.exit(141);
    throw error;
  });

/** No top-level await, because the built program is CommonJS. */
async function main(): Promise<void> {
  // used when a promise never settles and Node runs out of work, as with a top-level await
  process.exitCode = 13;
  const { code, endsBySignal } = await runCommandLine(process.argv.slice(2), {
    env: process.env,
    directory: process.cwd(),
    nodeVersion: process.version,
    get stdin() {
      return process.stdin; // opened only when it is used
    },
    stdout: process.stdout,
    stderr: process.stderr,
    signal: stop.signal,
  });
  process.exitCode = signalled && !endsBySignal ? EXIT_OF_SIGNAL[signalled] : code;
  // the daemon has closed everything it can; a pending Redis connection must not keep the process alive
  if (endsBySignal) process.exit();
}

void main();
