import { memoryStore } from "../support/memory-store.ts";
import { storeContract } from "../support/store-contract.ts";

storeContract("a repository in memory", async () => {
  const store = memoryStore();
  return { source: store, target: store, [Symbol.asyncDispose]: async () => {} };
});
