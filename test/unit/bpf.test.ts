import t from 'tap';
import { programTags } from '../../dataplane/kernel/bpf.ts';
import { assemble, type BpfLine, listProgram } from '../../dataplane/kernel/bpf-assembler.ts';
import { headerInstructions, headerProgram } from '../../dataplane/tunnels/header-program.ts';

/** Bytes as `llvm-mc -triple=bpfel` has them. */
const KNOWN: readonly (readonly [string, string])[] = [
  ['r6 = r1', 'bf16000000000000'],
  ['r0 = -1', 'b7000000ffffffff'],
  ['r4 += 30', '070400001e000000'],
  ['r2 += r3', '0f32000000000000'],
  ['r3 <<= 2', '6703000002000000'],
  ['r4 &= 0xffffff', '57040000ffffff00'],
  ['r3 = *(u8 *)(r8 + 23)', '7183170000000000'],
  ['r4 = *(u16 *)(r2 + 16)', '6924100000000000'],
  ['r8 = *(u32 *)(r6 + 76)', '61684c0000000000'],
  ['*(u32 *)(r2 + 22) = 0x58650000', '6202160000006558'],
  ['call 11', '850000000b000000'],
  ['exit', '9500000000000000'],
];

/** A jump over one instruction each. */
const JUMPS: readonly (readonly [string, string])[] = [
  ['goto end', '0500010000000000'],
  ['if r2 > r9 goto end', '2d92010000000000'],
  ['if w3 != 17 goto end', '5603010011000000'],
  ['if w4 == 0xe80300 goto end', '160401000003e800'],
  ['if w2 <= 90 goto end', 'b60201005a000000'],
];

t.test('assemble() makes the bytes that others make', async (t) => {
  for (const [text, bytes] of KNOWN) t.equal(assemble([{ text }]).toString('hex'), bytes, text);
  for (const [text, bytes] of JUMPS) {
    const program = assemble([{ text }, { text: 'exit' }, { text: 'exit', label: 'end' }]);
    t.equal(program.toString('hex', 0, 8), bytes, text);
  }
});

t.test('assemble() refuses what it does not know', async (t) => {
  const bad: readonly (readonly [BpfLine, RegExp])[] = [
    [{ text: 'r1 = r2 + r3' }, /Cannot assemble "r1 = r2 \+ r3": it has none of the known forms/],
    [{ text: 'goto nowhere' }, /no line has the label "nowhere"/],
    [{ text: '' }, /Cannot assemble/],
  ];
  for (const [line, message] of bad) {
    t.throws(() => assemble([line]), { code: 'DATAPLANE_KERNEL_EINVAL', message });
  }
});

t.test('headerProgram() differs by tunnel and way, and reads as it was written', async (t) => {
  const spec = { remote: '10.9.0.2', port: 6081, vni: 1000 };
  const specs = [
    spec,
    { ...spec, vni: 1001 },
    { ...spec, port: 6082 },
    { ...spec, remote: '10.9.0.3' },
  ];
  const tags = specs.flatMap((one) =>
    (['leaving', 'arriving'] as const).flatMap((way) => programTags(headerInstructions(one, way))),
  );
  t.equal(new Set(tags).size, 16, 'no two have a tag in common');
  const listing = listProgram(headerProgram(spec, 'arriving'));
  t.match(listing[0], /^ {3}0 {2}r6 = r1 +; /);
  t.ok(listing.includes('drop:'));
  t.ok(listing.some((line) => /if w4 != 0xe80300 goto pass +; VNI 1000$/.test(line)));
});
