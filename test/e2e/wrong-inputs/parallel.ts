/** Runs at most `count` at once, and keeps the order. */
export async function inParallel<In, Out>(
  inputs: readonly In[],
  count: number,
  run: (input: In) => Promise<Out>,
): Promise<Out[]> {
  const outputs: Out[] = [];
  const rest = inputs.entries();
  const worker = async (): Promise<void> => {
    for (const [at, input] of rest) outputs[at] = await run(input);
  };
  await Promise.all(Array.from({ length: count }, worker));
  return outputs;
}
