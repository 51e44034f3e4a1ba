import type { Test } from 'tap';
import { TYPED_ERRORS, fuzzTargets, mutate, randomSource } from './fuzz-wire.ts';

/** A single input may take this long on a busy machine; a loop without end takes longer. */
const MAX_INPUT_MS = 2000;
const MAX_GROWTH_BYTES = 300 * 1024 * 1024;

/** Feeds each reader `count` mutated inputs: each is taken or refused with a typed error, soon. */
export function fuzzWire(t: Test, count: number, seed: number): void {
  for (const target of fuzzTargets()) {
    t.test(
      `${target.name} takes ${count} mutated inputs or refuses them with typed errors`,
      async (t) => {
        const random = randomSource(seed);
        const results = { taken: 0, refused: 0 };
        const before = process.memoryUsage().rss;
        let slowestMs = 0;
        for (let i = 0; i < count; i++) {
          const input = mutate(target.seeds[random(target.seeds.length)]!, target.seeds, random);
          const startMs = performance.now();
          try {
            if (target.feed(input) === false) results.refused++;
            else results.taken++;
          } catch (error) {
            results.refused++;
            if (!TYPED_ERRORS.has((error as Error).name)) {
              t.fail(`input ${i} of seed ${seed}: ${(error as Error).stack}`, {
                input: input.toString('base64'),
              });
              return;
            }
          }
          slowestMs = Math.max(slowestMs, performance.now() - startMs);
        }
        const grownBytes = process.memoryUsage().rss - before;
        t.ok(results.taken > 0 && results.refused > 0, `both happened: ${JSON.stringify(results)}`);
        t.ok(slowestMs < MAX_INPUT_MS, `the slowest took ${slowestMs.toFixed(1)} ms`);
        t.ok(grownBytes < MAX_GROWTH_BYTES, `memory grew by ${grownBytes >> 20} MB`);
      },
    );
  }
}
