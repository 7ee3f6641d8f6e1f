import { openLayout } from "../../src/layout/layout.ts";
import { storeContract } from "../support/store-contract.ts";
import { temporaryDirectory } from "../support/temporary.ts";

storeContract("an OCI image layout", async () => {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const layout = stack.use(await openLayout(directory.join("layout"), { create: true }));
  const owned = stack.move();
  return { source: layout, target: layout, [Symbol.asyncDispose]: () => owned.disposeAsync() };
});

storeContract("one repository of an OCI image layout", async () => {
  await using stack = new AsyncDisposableStack();
  const directory = stack.use(await temporaryDirectory());
  const layout = stack.use(await openLayout(directory.join("layout"), { create: true }));
  const repository = layout.repository("quay.io/team/app");
  const owned = stack.move();
  return { source: repository, target: repository, [Symbol.asyncDispose]: () => owned.disposeAsync() };
});
