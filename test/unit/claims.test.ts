import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { ALL_CLAIMS } from '../../lab/claims/all-claims.ts';
import { settle, together } from '../../lab/claims/finding.ts';
import { type ClaimResult, unsettled } from '../../lab/claims/run-claims.ts';
import { renderClaims, renderClaimsJunit, renderClaimsMarkdown } from '../../lab/report/claims.ts';

const ROWS = join(import.meta.dirname, '..', '..', 'lab', 'claims', 'rows');

/** How many rows each group of the field notes has. */
const GROUPS: Readonly<Record<string, number>> = {
  ...{
    encap: 6,
    path: 8,
    sock: 3,
    rule: 8,
    cni: 4,
    id: 2,
    pol: 3,
    obs: 2,
    l7: 2,
    cost: 4,
    life: 2,
  },
  redirect: 67,
};

t.test('ALL_CLAIMS holds every file of the rows, and every row of the notes', async (t) => {
  const ids = ALL_CLAIMS.map(({ id }) => id);
  const files = readdirSync(ROWS).map((name) => name.replace(/\.ts$/, ''));
  t.same([...ids].sort(), files.sort());
  t.equal(new Set(ids).size, ids.length, 'no id twice');
  const wanted = Object.entries(GROUPS).flatMap(([group, count]) =>
    Array.from({ length: count }, (_, index) => `${group}-${String(index + 1).padStart(2, '0')}`),
  );
  t.same([...ids].sort(), wanted.sort());
});

t.test('ALL_CLAIMS: each has a check or says what it needs, and a reason to differ', async (t) => {
  for (const claim of ALL_CLAIMS) {
    t.ok((claim.check === undefined) !== (claim.needs === undefined), claim.id);
    t.ok(claim.eras.length > 0 && claim.statement !== '' && claim.source !== '', claim.id);
  }
  t.ok(ALL_CLAIMS.filter(({ check }) => check !== undefined).length > 30);
});

t.test('together() is refuted by one part, and never held by missing evidence', async (t) => {
  const good = settle(true, 'good', { frames: [{ file: 'a', frames: [2] }] });
  const bad = settle(false, 'bad', { frames: [{ file: 'a', frames: [1] }] });
  const lost = { outcome: 'could not run', text: 'lost', evidence: [], frames: [] } as const;
  t.match(together(good, good), { outcome: 'holds' });
  t.match(together(good, bad, lost), {
    outcome: 'refuted',
    text: 'bad',
    frames: [{ file: 'a', frames: [1, 2] }],
  });
  t.match(together(good, lost), { outcome: 'could not run' });
});

t.test('claims that nobody could ask are told as such, in table, JUnit and Markdown', async (t) => {
  const [claim] = ALL_CLAIMS;
  t.ok(claim);
  const [absent] = unsettled([claim!], 'geneve');
  t.match(absent, { outcome: 'could not run', asExpected: true });
  const differing: ClaimResult = {
    ...absent!,
    outcome: 'refuted',
    expected: 'holds',
    asExpected: false,
    text: 'a < b | c',
  };
  const held: ClaimResult = { ...absent!, outcome: 'holds', expected: 'holds' };
  const text = renderClaims([absent!, differing, held], { color: false, width: 100 });
  t.match(text, 'DIFFERS from what is recorded: holds');
  t.match(text, /3 claims: 1 hold, 1 refuted, 1 could not run; other than recorded: encap-01/);
  const junit = renderClaimsJunit([absent!, differing, held]);
  t.match(junit, 'tests="3" failures="1" errors="0" skipped="1"');
  t.match(junit, 'a &lt; b | c');
  t.match(renderClaimsMarkdown([differing]), 'a < b \\| c');
});
