import { z } from "zod";

/** Kinds of fields of the configuration file. The descriptions are for users. */

export const text = (description: string, ...examples: readonly string[]): z.ZodString =>
  z.string().min(1).meta({ description, examples });
export const path = (description: string, ...examples: readonly string[]): z.ZodString =>
  text(`${description} Relative to the configuration file.`, ...examples);
export const flag = (description: string): z.ZodBoolean => z.boolean().meta({ description });
export const list = (item: z.ZodString, description: string): z.ZodArray<z.ZodString> =>
  z.array(item).min(1).meta({ description });
