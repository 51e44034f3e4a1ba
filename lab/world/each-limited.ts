/**
 * Calls `work` for each item, at most `limit` at once, and resolves when all are done.
 *
 * @throws the first fault; items not yet begun are left out then
 */
export async function eachLimited<T>(
  items: readonly T[],
  limit: number,
  work: (item: T) => Promise<void>,
): Promise<void> {
  const left = items.values();
  let isFailed = false;
  const worker = async (): Promise<void> => {
    for (const item of left) {
      if (isFailed) return;
      try {
        await work(item);
      } catch (error) {
        isFailed = true;
        throw error;
      }
    }
  };
  await Promise.all(Array.from({ length: Math.min(limit, items.length) }, worker));
}
