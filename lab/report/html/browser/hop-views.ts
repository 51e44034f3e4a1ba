import type { PackedFrame, PackedHop, PageData } from '../page-data.ts';
import { all, element } from './elements.ts';

/** Fills each hop with the headers of its frames when it is opened for the first time. */
export function watchHops(data: PageData): void {
  for (const hop of all('details.hop', HTMLDetailsElement)) {
    hop.addEventListener('toggle', () => {
      if (hop.open) fill(hop, data);
    });
  }
}

function fill(hop: HTMLDetailsElement, data: PageData): void {
  const place = hop.querySelector('.views');
  const packed = data.hops[hop.id];
  if (place === null || packed === undefined || place.childElementCount > 0) return;
  place.append(
    element('h5', {}, 'Frames of this leg here'),
    ...packed.frames.map((frame) => frameDetails(frame, packed, data)),
  );
  if (packed.others > 0) {
    const text = `${packed.others} more frames here (acknowledgements and what came after)`;
    place.append(element('p', { class: 'note' }, text));
  }
}

function frameDetails(frame: PackedFrame, hop: PackedHop, data: PageData): HTMLElement {
  const way = frame.isFromClient ? '→' : '←';
  const summary = element(
    'summary',
    {},
    element('span', { class: 'frame' }, `#${frame.number}`),
    element(
      'span',
      { class: 'way', title: frame.isFromClient ? 'from the client' : 'answer' },
      way,
    ),
    element('span', { class: 'says' }, frame.says || 'data'),
    element('span', { class: 'size' }, `${frame.bytes} B`),
    element('span', { class: 'since' }, frame.at),
    element('span', { class: 'marks' }, frame.mark === '' ? '' : `mark ${frame.mark}`),
  );
  const details = element(
    'details',
    { class: frame.isPassage ? 'view passage' : 'view', ...(frame.isPassage && { open: '' }) },
    summary,
    element('div', { class: 'layers' }, ...frame.layers.map((index) => layerBox(data, index))),
    element(
      'p',
      { class: 'note' },
      'In Wireshark: ',
      element('code', {}, `frame.number == ${frame.number}`),
      ' of ',
      element('code', {}, hop.file),
    ),
  );
  return details;
}

function layerBox(data: PageData, index: number): HTMLElement {
  const [name, fields] = data.layers[index] ?? ['unknown', []];
  const rows = fields.map(([key, value]) =>
    element('div', {}, element('dt', {}, key), element('dd', {}, value)),
  );
  return element(
    'section',
    { class: 'layer' },
    element('h6', {}, name),
    element('dl', {}, ...rows),
  );
}

/** The headers of the frame that carried the request past a hop, as a strip of boxes. */
export function stripOf(data: PageData, hop: string | undefined): readonly HTMLElement[] {
  const frames = hop === undefined ? undefined : data.hops[hop]?.frames;
  const frame = frames?.find(({ isPassage }) => isPassage);
  return (frame?.layers ?? []).map((index) => {
    const [name, fields] = data.layers[index] ?? ['unknown', []];
    const text = shortOf(fields);
    return element(
      'span',
      { class: 'box' },
      element('b', {}, name),
      ...(text === '' ? [] : [element('span', {}, text)]),
    );
  });
}

/** What tells one header from another of its kind. */
function shortOf(fields: readonly (readonly [string, string])[]): string {
  const of = (name: string): string | undefined => fields.find(([key]) => key === name)?.[1];
  const way = (from?: string, to?: string): string | undefined =>
    from === undefined || to === undefined ? undefined : `${from} → ${to}`;
  const parts = [
    way(of('source'), of('destination')),
    way(of('source port'), of('destination port')),
    of('TTL') && `TTL ${of('TTL')}`,
    of('VNI') && `VNI ${of('VNI')}`,
    of('flags') && of('source port') && of('flags'),
    of(':method') && `${of(':method')} ${of(':authority') ?? ''}`,
    of('request'),
    of('on the wire'),
  ];
  return parts.filter(Boolean).join(' · ');
}
