import t from 'tap';
import { fuzzWire } from './fuzz-run.ts';

fuzzWire(
  t,
  Number(process.env['FUZZ_COUNT'] ?? 100_000),
  Number(process.env['FUZZ_SEED'] ?? 20_261_121),
);
