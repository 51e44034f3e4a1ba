import t from 'tap';
import { fuzzWire } from '../long/fuzz-run.ts';

// A few of the inputs that test/long tries by the hundred thousand.
fuzzWire(t, Number(process.env['FUZZ_COUNT'] ?? 2000), Number(process.env['FUZZ_SEED'] ?? 1));
