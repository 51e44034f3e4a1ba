import type { Leg, LegEnd, Path, RunFacts } from '../facts/facts.ts';
import { nameOf } from '../judge/places.ts';
import { ipOf } from '../facts/address.ts';

/**
 * One path as a Mermaid sequence diagram, for pasting into Markdown: a participant for each end of a
 * leg, a message for each leg, and the answer on the way back.
 */
export function renderMermaid(facts: RunFacts, path: Path): string {
  const names = new Map<string, string>();
  for (const { from, to } of path.legs) for (const end of [from, to]) name(names, end);
  const participants = [...names].map(([key, id]) => `  participant ${id} as ${quoted(key)}`);
  const asked = path.legs.flatMap((leg) => askLines(facts, leg, names));
  const answered = [...path.legs].reverse().map((leg) => answerLine(path, leg, names));
  return ['sequenceDiagram', ...participants, ...asked, ...answered].join('\n');
}

function name(names: Map<string, string>, end: LegEnd): string {
  const key = keyOf(end);
  const known = names.get(key);
  if (known !== undefined) return known;
  const id = `p${names.size + 1}`;
  names.set(key, id);
  return id;
}

/** A ztunnel has its sockets in each pod's namespace, but is one program a node. */
function keyOf({ kind, name, node, netns }: LegEnd): string {
  if (kind === 'envoy') return `envoy ${netns}`;
  return kind === 'ztunnel' ? `ztunnel ${node ?? netns}` : name;
}

function askLines(facts: RunFacts, leg: Leg, names: Map<string, string>): readonly string[] {
  const [from, to] = [name(names, leg.from), name(names, leg.to)];
  const wanted = leg.wanted === undefined ? '' : ` (wanted ${nameOf(facts, ipOf(leg.wanted))})`;
  if (leg.mtls !== undefined) {
    const { clientIdentity: client, serverIdentity: server } = leg.mtls;
    const both = `${shortIdentity(client)} to ${shortIdentity(server)}`;
    return [
      `  ${from}->>${to}: ${escaped(leg.to.address)}`,
      `  Note over ${from},${to}: ${escaped(`mutual TLS, ${both}`)}`,
    ];
  }
  if (leg.hbone === undefined) {
    return [`  ${from}->>${to}: ${leg.protocol} ${escaped(leg.to.address)}${escaped(wanted)}`];
  }
  const { stream, clientIdentity, serverIdentity } = leg.hbone;
  const connect = `HBONE stream ${stream.stream}, CONNECT ${stream.authority ?? ''}`;
  const identities = `${shortIdentity(clientIdentity)} to ${shortIdentity(serverIdentity)}`;
  return [
    `  ${from}->>${to}: ${escaped(connect)}`,
    `  Note over ${from},${to}: ${escaped(`mutual TLS, ${identities}`)}`,
  ];
}

function answerLine({ request }: Path, leg: Leg, names: Map<string, string>): string {
  const [from, to] = [name(names, leg.from), name(names, leg.to)];
  const status = leg.hbone?.stream.status;
  const answer =
    status === undefined ? (request.status ?? request.outcome) : `${status}, then data`;
  return `  ${to}-->>${from}: ${escaped(String(answer))}`;
}

function shortIdentity(identity: string | undefined): string {
  return identity?.replace(/^spiffe:\/\/[^/]+\/ns\/([^/]+)\/sa\//, '$1/') ?? 'unknown';
}

/** `;` ends a statement of Mermaid and `#` begins an entity. */
function escaped(text: string): string {
  return text.replaceAll(/[#;]/g, (sign) => `#${sign.charCodeAt(0)};`);
}

function quoted(text: string): string {
  return escaped(text.replaceAll('"', "'"));
}
