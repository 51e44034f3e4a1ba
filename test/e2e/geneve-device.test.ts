import t from 'tap';
import { compareEra, missingForBoth } from '../support/era-in-uml.ts';

const missing = await missingForBoth();
const needsBoth = missing === undefined ? {} : { skip: missing };

t.setTimeout(300_000);

t.test("era geneve is the same with the kernel's geneve device", needsBoth, async (t) => {
  await compareEra(t, 'same-node.yaml');
});
