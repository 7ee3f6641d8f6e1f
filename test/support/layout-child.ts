import { failureOf } from "../../src/errors/error.ts";
import { openLayout } from "../../src/layout/layout.ts";
import { buildImage } from "./images/images.ts";
import { pushBuilt } from "./port.ts";

/**
 * Writes images into a layout until it fails or is killed: `node layout-child.ts DIR SIZE`. Prints each tag when it is
 * written, and the failure.
 */
const [directory = "", sizeBytes = "1000"] = process.argv.slice(2);

try {
  await using layout = await openLayout(directory, { create: true });
  for (let position = 0; ; position += 1) {
    const image = buildImage({ seed: `child-${position}`, layers: [Number(sizeBytes)] });
    await pushBuilt(layout, image, `v${position}`);
    process.stdout.write(`v${position} ${image.manifest.digest}\n`);
  }
} catch (error) {
  process.stdout.write(`${JSON.stringify(failureOf(error))}\n`);
}
