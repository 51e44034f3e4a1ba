import { isReply, type Direction, type WalkStep } from '../../dataplane/redirect/walk.ts';
import { wrapText } from './wrap.ts';

export interface Walk {
  readonly direction: Direction;
  readonly steps: readonly WalkStep[];
}

export interface WalkTextOptions {
  readonly width: number;
  /** What is worth a note beside a rule: that it was altered, say. */
  readonly noteOf?: (step: WalkStep) => string | undefined;
}

const TITLES: Readonly<Record<Direction, string>> = {
  inbound: 'What the first packet of an inbound connection meets:',
  outbound: 'What the first packet of an outbound connection meets:',
  forwarded: 'What the first packet of a forwarded connection meets:',
  'reply-to-inbound': 'What replies to inbound connections meet (and all later packets out):',
  'reply-to-outbound': 'What replies to outbound connections meet (and all later packets in):',
  'reply-to-forwarded': 'What later packets of forwarded connections meet, both ways:',
};

/**
 * Walks as text: hook by hook, table by table, into each chain at its jump, with counters where they
 * were read. Reasons are told once, where a connection begins; its replies meet the same rules but
 * for nat.
 */
export function renderWalks(walks: readonly Walk[], options: WalkTextOptions): readonly string[] {
  return walks.flatMap(({ direction, steps }) => [
    TITLES[direction],
    ...(steps.length === 0 ? ['  no rule'] : renderSteps(direction, steps, options)),
    ...(isReply(direction) ? ['  (nat: not asked, conntrack knows the connection)'] : []),
    '',
  ]);
}

function renderSteps(
  direction: Direction,
  steps: readonly WalkStep[],
  options: WalkTextOptions,
): readonly string[] {
  let hook = '';
  return steps.flatMap((step) => {
    const heading = step.hook === hook ? [] : [`  at ${step.hook}`];
    hook = step.hook;
    return [...heading, ...renderStep(step, isReply(direction), options)];
  });
}

function renderStep(step: WalkStep, isBrief: boolean, options: WalkTextOptions): readonly string[] {
  const indent = 4 + step.depth * 2;
  const { table, chain, ruleNumber, packets, bytes } = step;
  const place = `${table} ${chain}${ruleNumber === undefined ? '' : ` ${ruleNumber}`}`;
  const counters = packets === undefined ? '' : `  [${packets} packets, ${bytes} bytes]`;
  const text = step.kind === 'again' ? '(as above)' : step.text;
  const line = wrapText(`${place}: ${text}${counters}`, indent, options.width, indent + 4);
  const note = options.noteOf?.(step);
  return [
    line,
    ...(note === undefined ? [] : [wrapText(`!! ${note}`, indent + 4, options.width, indent + 7)]),
    ...(step.why && !isBrief
      ? [wrapText(`why: ${step.why}`, indent + 4, options.width, indent + 9)]
      : []),
  ];
}
