import t from 'tap';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { collectHalves } from '../../lab/facts/half-flow-table.ts';
import { dissect } from '../../lab/facts/dissect/dissect.ts';
import type { Frame, Layer } from '../../lab/facts/dissect/types.ts';

const FIXTURES = join(import.meta.dirname, '../fixtures/captures');
const capture = dissect([readFileSync(join(FIXTURES, 'geneve.pcapng'))]);
const observed = capture.interfaces[0]!;
const frames = Array.from(
  { length: observed.frames.count },
  (_, row) => observed.frames.at(row + 1)!,
);

/** What tshark prints with `-T fields -E occurrence=a`: outermost first, commas between. */
function fieldsOf({ number, layers }: Frame): string {
  const all = (read: (layer: Layer) => string | number | undefined): string =>
    layers.flatMap((layer) => read(layer) ?? []).join(',');
  const ip = (read: (layer: Layer & { kind: 'ipv4' }) => string | number): string =>
    all((layer) => (layer.kind === 'ipv4' ? read(layer as never) : undefined));
  const udp = (field: 'sourcePort' | 'destinationPort'): string =>
    all((layer) => (layer.kind === 'udp' ? layer[field] : undefined));
  const tcp = (field: 'sourcePort' | 'destinationPort' | 'sequence'): string =>
    all((layer) => (layer.kind === 'tcp' ? layer[field] : undefined));
  const eth = (field: 'source' | 'destination'): string =>
    all((layer) => (layer.kind === 'ethernet' ? layer[field] : undefined));
  return [
    number,
    ...[ip((layer) => layer.source), ip((layer) => layer.destination), ip((layer) => layer.ttl)],
    ...[udp('sourcePort'), udp('destinationPort')],
    all((layer) => (layer.kind === 'geneve' ? hex(layer.vni, 6) : undefined)),
    all((layer) => (layer.kind === 'geneve' ? hex(layer.protocol, 4) : undefined)),
    ...[eth('source'), eth('destination')],
    ...[tcp('sourcePort'), tcp('destinationPort'), tcp('sequence')],
    all((layer) => (layer.kind === 'tcp' ? hex(layer.flags, 4) : undefined)),
  ].join('\t');
}

const hex = (value: number, digits: number): string =>
  `0x${value.toString(16).padStart(digits, '0')}`;

t.test('dissect() gives of Geneve frames, outside and inside, what tshark gave', async (t) => {
  const theirs = readFileSync(join(FIXTURES, 'geneve.tshark.txt'), 'latin1')
    .split('\n')
    .slice(0, -1);
  t.ok(theirs.length > 20, 'there are frames');
  t.same(frames.map(fieldsOf), theirs);
  for (const end of ['10.9.0.1', '10.9.0.2']) {
    t.ok(
      theirs.some((line) => line.split('\t')[1]?.startsWith(end)),
      `${end} has sent some: the device is one end, the fall-back the other`,
    );
  }
});

t.test('collectHalves() counts what was wrapped, and says in what', async (t) => {
  const halves = collectHalves(observed, observed.frames.baseNs);
  const opener = halves.find((half) => half.opens);
  t.match(opener?.wrapped, {
    layers: [{ kind: 'geneve', vni: 1000, protocol: 0x6558, optionBytes: 0, destinationPort: 6081 }],
    frameCount: opener?.frameCount,
    isOnlySyn: false,
  });
  t.equal(opener?.wrapped?.layers.length, 1);
});
