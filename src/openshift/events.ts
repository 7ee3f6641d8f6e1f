import { createHash } from "node:crypto";

import { z } from "zod";

import type { Failure } from "../errors/error.ts";
import { type Cancellable, within } from "../lib/cancel.ts";
import { printable } from "../lib/error.ts";
import type { Log } from "../lib/log.ts";
import { parseAnswer } from "./answer.ts";
import type { Cluster } from "./cluster.ts";
import type { ImageStream, StreamName } from "./image-stream.ts";

export type EventAbout = {
  readonly tag: string;
  readonly mirror: string;
  readonly failure: Failure;
  readonly installation: string;
  readonly log: Log;
  readonly get: (stream: StreamName, options: Cancellable) => Promise<ImageStream | undefined>;
};

const eventSchema = z.object({ kind: z.literal("Event"), count: z.int().min(0).nullish() });
const EVENT_TIMEOUT_MS = 10_000;
const MESSAGE_MAX_LENGTH = 1_000;

/**
 * Records an Event on the stream, so that `oc describe is` shows it. If the same tag fails again in the same way, the
 * count of the existing Event is increased. A failure to write the Event is only logged: it must not fail a run.
 */
export async function recordEvent(
  cluster: Cluster,
  stream: StreamName,
  about: EventAbout,
  { signal }: Cancellable,
): Promise<void> {
  const options = { signal: within(EVENT_TIMEOUT_MS, { signal }) };
  try {
    const current = await about.get(stream, options);
    if (!current) return;
    await write(cluster, stream, current, about, options);
  } catch (error) {
    signal?.throwIfAborted();
    about.log.debug(
      { err: error, stream: `${stream.namespace}/${stream.name}` },
      "an Event could not be written",
    );
  }
}

async function write(
  cluster: Cluster,
  stream: StreamName,
  current: ImageStream,
  about: EventAbout,
  options: Cancellable,
): Promise<void> {
  const { tag, mirror, failure, installation } = about;
  const where = `${stream.namespace}/${stream.name}`;
  const path = `/api/v1/namespaces/${stream.namespace}/events`;
  const hash = createHash("sha256")
    .update(JSON.stringify([stream.name, tag, failure.code, failure.message]))
    .digest("hex")
    .slice(0, 16);
  const name = `${stream.name}.tagferry-${hash}`;
  const now = new Date().toISOString().replace(/\.\d+Z$/, "Z");
  const existing = await cluster.call(
    { method: "GET", path: `${path}/${name}`, where, expect: [404] },
    options,
  );
  if (existing.status !== 404) {
    const { count } = parseAnswer(eventSchema, existing.body, { what: "an Event", where });
    const body = { count: (count ?? 1) + 1, lastTimestamp: now };
    await cluster.call(
      { method: "PATCH", path: `${path}/${name}`, contentType: "application/merge-patch+json", body, where },
      options,
    );
    return;
  }
  const body = {
    apiVersion: "v1",
    kind: "Event",
    metadata: { name, namespace: stream.namespace },
    involvedObject: {
      apiVersion: "image.openshift.io/v1",
      kind: "ImageStream",
      name: stream.name,
      namespace: stream.namespace,
      ...(current.metadata.uid === undefined ? {} : { uid: current.metadata.uid }),
    },
    type: "Warning",
    reason: failure.code,
    message: printable(`tag ${tag} (mirror ${mirror}): ${failure.message}. ${failure.next}`, {
      maxLength: MESSAGE_MAX_LENGTH,
    }),
    source: { component: "tagferry", host: installation },
    firstTimestamp: now,
    lastTimestamp: now,
    count: 1,
  };
  await cluster.call({ method: "POST", path, body, where, expect: [409] }, options);
}
