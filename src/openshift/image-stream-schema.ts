import { z } from "zod";

import { parseAnswer } from "./answer.ts";
import type { ImageStream } from "./image-stream.ts";
import { OWNERSHIP_ANNOTATION } from "./ownership.ts";
import { wholeTagReference } from "./tag-reference.ts";

/**
 * The fields of `image.openshift.io/v1` that Tagferry reads. Lists may be null. Other fields are left out (except of spec
 * tags), which also saves the memory for them.
 */
const tagEvent = z.object({
  dockerImageReference: z.string(),
  image: z.string(),
  created: z.string().nullish().catch(undefined),
});

const namedTagEvents = z.object({ tag: z.string(), items: z.array(tagEvent).nullish() });

const managedFields = z.object({
  manager: z.string().optional(),
  time: z.string().nullish(),
  fieldsV1: z.unknown().optional(),
});

const imageStream = z.object({
  metadata: z.object({
    name: z.string().min(1),
    namespace: z.string().min(1),
    uid: z.string().optional(),
    resourceVersion: z.string().min(1),
    annotations: z.object({ [OWNERSHIP_ANNOTATION]: z.string().optional() }).nullish(),
    managedFields: z.array(managedFields).nullish(),
  }),
  spec: z.object({ tags: z.array(wholeTagReference).nullish() }).optional(),
  status: z
    .object({
      dockerImageRepository: z.string().optional(),
      publicDockerImageRepository: z.string().optional(),
      tags: z.array(namedTagEvents).nullish(),
    })
    .optional(),
});

/** @throws {TagferryError} CLUSTER_ANSWER */
export function parseImageStream(body: unknown, where: string): ImageStream {
  return parseAnswer(imageStream, body, { what: "an image stream", where });
}
