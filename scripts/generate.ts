import { writeFileSync } from "node:fs";

import { documents } from "./documents.ts";

// Writes what is generated from the code: `npm run generate` after a change of the schema or of the error codes.
for (const [path, text] of documents()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
