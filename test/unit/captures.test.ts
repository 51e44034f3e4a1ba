import t from 'tap';
import { dirname } from 'node:path';
import { renderBaseline } from '../../lab/regress/baseline.ts';
import { baselineOfCapture } from '../../lab/regress/describe-capture.ts';
import { captureTitle, dissectFile } from '../../lab/regress/read-capture.ts';
import { listCaptures, readFixture, splitByInterface } from './support/capture-library.ts';
import { compareWithTshark, FIELDS } from './support/oracle.ts';

t.setTimeout(300_000);

const captures = await listCaptures();
const library = captures.filter((path) => dirname(path) === 'captures');

/** HBONE, and a port of `mixed.pcapng`. */
const TLS = ['tcp.port==15008,tls', 'tcp.port==15009,tls'];
/** A stand-in for ztunnel made these: CONNECT without TLS. */
const CLEAR = 'runs/without-tls/';

t.test('dissect() says of every frame of every committed capture what tshark says', async (t) => {
  t.ok(captures.length > 120, `${captures.length} captures`);
  const seen = new Set<string>();
  let frames = 0;
  for (const [decodeAs, isOurs] of [
    [TLS, (path: string) => !path.startsWith(CLEAR)],
    [['tcp.port==15008,http2'], (path: string) => path.startsWith(CLEAR)],
  ] as const) {
    const singles = await Promise.all(captures.filter(isOurs).map(splitByInterface));
    const result = await compareWithTshark(singles.flat(), decodeAs);
    t.same(result.different.slice(0, 5), [], `${result.frames} frames, ${decodeAs.join()}`);
    frames += result.frames;
    for (const field of result.seen) seen.add(field);
  }
  t.ok(frames > 3000, `${frames} frames were compared`);
  const never = FIELDS.filter((field) => !seen.has(field));
  t.same(never, [], 'each field has a value in some frame');
});

t.test(
  'compareWithTshark() tells frame and field of what one of both reads otherwise',
  async (t) => {
    const singles = await splitByInterface('captures/denied.pcapng');
    const control = await compareWithTshark(singles, TLS);
    t.same(control.different, []);
    t.ok(control.frames > 50);
    const misled = await compareWithTshark(singles, ['tcp.port==15008,echo']);
    t.match(
      misled.different.find(({ field }) => field === 'http2.headers.authority'),
      { capture: /denied\.pcapng far\.demo\/eth0/, ours: '10.244.2.5:8080', theirs: '' },
      'tshark was told that HBONE is something else',
    );
  },
);

t.test('baselineOfCapture() says of every capture of the library what is committed', async (t) => {
  t.ok(library.length >= 20, `${library.length} captures`);
  for (const path of library) {
    const bytes = await readFixture(path);
    const baseline = baselineOfCapture(captureTitle(path), dissectFile(path, bytes));
    const committed = (await readFixture(`${path}.facts.txt`)).toString();
    t.equal(renderBaseline(baseline), committed, path);
    t.ok(baseline.blocks.length > 0, `${path} says something`);
  }
});
