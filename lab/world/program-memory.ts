/**
 * Flags of Node for a ztunnel, which has to stay small: without V8's middle compiler, and with a young
 * generation that holds what is under way (measured: 12 MB less after many connections).
 */
export const ZTUNNEL_FLAGS: readonly string[] = [
  '--no-maglev',
  '--max-semi-space-size=4',
  // It sets these two itself; set before, what V8 keeps of its code fits at the next start.
  '--heap-growing-percent=50',
  '--no-parallel-scavenge',
];

/** One heap of malloc for all threads of a program instead of one each. */
export const MEMORY_ENV: Readonly<Record<string, string>> = { MALLOC_ARENA_MAX: '1' };
