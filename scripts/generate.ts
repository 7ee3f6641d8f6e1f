import { writeFileSync } from "node:fs";

import { documents } from "./documents.ts";

// Writes the files that are generated from the code. Run it with `npm run generate` after a change of the schema, the error codes or the API.
for (const [path, text] of documents()) writeFileSync(new URL(`../${path}`, import.meta.url), text);
