import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import fc from 'fast-check';
import t, { type Test } from 'tap';
import { isMap, isPair, isScalar, LineCounter, parse, parseDocument, visit } from 'yaml';
import { parsePlainYaml } from '../../dataplane/ztunnel/state/plain-yaml.ts';
import { parseStaticFile } from '../../dataplane/ztunnel/state/static-file.ts';
import { renderBlock } from '../../lab/plan/block-yaml.ts';

const FIXTURE = join(import.meta.dirname, '..', 'fixtures', 'plan', 'two-nodes.ztunnel.yaml');

/** Values with the line and column of each scalar and key. */
function placesOf(node: unknown, lines: LineCounter): unknown[] {
  const places: unknown[] = [];
  visit(node as Parameters<typeof visit>[0], (_, item) => {
    if (isPair(item)) return;
    const at = (item as { range?: readonly number[] }).range?.[0] ?? -1;
    if (isScalar(item)) places.push([item.value, lines.linePos(at)]);
    else places.push([isMap(item) ? 'map' : 'list', lines.linePos(at)]);
  });
  return places;
}

function compare(t: Test, text: string): boolean {
  const own = new LineCounter();
  const node = parsePlainYaml(text, own);
  if (node === undefined) return false;
  const theirs = new LineCounter();
  const document = parseDocument(text, { lineCounter: theirs });
  t.same(document.errors, []);
  t.same(placesOf(node, own), placesOf(document.contents, theirs));
  return true;
}

t.test('parsePlainYaml() reads what a lab writes as the library does', async (t) => {
  t.ok(compare(t, readFileSync(FIXTURE, 'utf8')), 'and it does read it');
});

t.test('parsePlainYaml() leaves to the library what is not plain', async (t) => {
  const plain = 'a:\n  - b: 1\n    c: true\n# a comment\n\n  - x/y.z: 10.0.0.1\nd: {}\n';
  t.ok(compare(t, plain), 'the control');
  for (const text of [
    '',
    'just a word\n',
    'a: !Exact x\n',
    'a: "quoted"\n',
    'a: b # c\n',
    'a: null\n',
    'a:\n',
    'a: 1e3\n',
    'a: 0x10\n',
    'a: 007\n',
    'a: True\n',
    'a: ~\n',
    'a: b: c\n',
    'a: [b]\n',
    'a: |\n  b\n',
    'a: b\n c\n',
    'a: b \n',
    'a: &x b\n',
    'a:\tb\n',
    'a:\n- - b\n',
    'a: b\n---\nc: d\n',
    ' a: b\n',
    'a:\n  b: c\n d: e\n',
  ]) {
    t.equal(parsePlainYaml(text, new LineCounter()), undefined, JSON.stringify(text));
  }
});

t.test('parsePlainYaml() and renderBlock() agree with the library on any data', async (t) => {
  const word = fc.oneof(
    { weight: 9, arbitrary: fc.stringMatching(/^[a-z][a-z0-9/.-]{0,8}[a-z]$/) },
    fc.stringMatching(/^[A-Za-z0-9_/.:-]{1,12}$/),
    fc.constantFrom('', 'null', 'true', 'No', '1.5', '10.0.0.1', 'a:', '-', '0o7', '.inf', 'a: b'),
    fc.string({ maxLength: 6 }),
  );
  const key = fc.stringMatching(/^[a-z][a-z0-9./-]{0,8}$/);
  const leaf = fc.oneof(word, fc.nat(), fc.boolean());
  const item = fc.oneof(leaf, fc.dictionary(key, leaf, { minKeys: 1 }));
  const value = fc.oneof(
    leaf,
    fc.array(item, { maxLength: 4 }),
    fc.dictionary(key, fc.oneof(leaf, fc.array(leaf, { maxLength: 3 }))),
  );
  let read = 0;
  fc.assert(
    fc.property(fc.dictionary(key, value, { minKeys: 1 }), (data) => {
      const text = renderBlock(data);
      if (JSON.stringify(parse(text)) !== JSON.stringify(data)) return false;
      const own = new LineCounter();
      const node = parsePlainYaml(text, own);
      if (node === undefined) return true;
      read += 1;
      const theirs = new LineCounter();
      const document = parseDocument(text, { lineCounter: theirs });
      const [mine, other] = [placesOf(node, own), placesOf(document.contents, theirs)];
      return JSON.stringify(mine) === JSON.stringify(other);
    }),
    { numRuns: 500 },
  );
  t.ok(read > 5, `${read} of 500 were plain`);
});

t.test('parseStaticFile() names line and column of faults in plain text, too', async (t) => {
  const text = readFileSync(FIXTURE, 'utf8');
  t.ok(parseStaticFile('f.yaml', text).workloads.length > 0, 'the control');
  const line = text.split('\n').findIndex((one) => one.includes('protocol: HBONE')) + 1;
  t.throws(() => parseStaticFile('f.yaml', text.replace('protocol: HBONE', 'protocol: HBON')), {
    message: new RegExp(`f.yaml:${line}:\\d+`),
  });
  const twice = text.replace(/^( +)protocol: HBONE$/m, '$1protocol: HBONE\n$1protocol: HBONE');
  t.throws(() => parseStaticFile('f.yaml', twice), { message: /keys must be unique/ });
});
