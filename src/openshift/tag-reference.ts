import { z } from "zod";

/** The fields of an entry of `spec.tags` that Tagferry reads. */
export const tagReferenceSchema = z.object({
  name: z.string(),
  from: z.object({ kind: z.string(), name: z.string(), namespace: z.string().optional() }).nullish(),
  reference: z.boolean().optional(),
  importPolicy: z
    .object({
      scheduled: z.boolean().optional(),
      insecure: z.boolean().optional(),
      importMode: z.string().optional(),
    })
    .optional(),
  referencePolicy: z.object({ type: z.string().optional() }).optional(),
});

/** An entry of `spec.tags` of a stream. @see openshift/api image/v1 TagReference */
export type TagReference = Readonly<z.infer<typeof tagReferenceSchema>>;

/** Checks an entry, and keeps its other fields: a replaced entry is recorded so that it can be restored. */
export const wholeTagReference = z.custom<TagReference>((value) => tagReferenceSchema.validate(value));
