import type { TakenCapture, TakenConversation } from '../run/take-over.ts';

/** Who talked to whom in a capture that was taken over. */
export function renderTakenCapture(taken: TakenCapture): string {
  const lines = taken.conversations.flatMap(renderConversation);
  return [
    `${taken.frames} frames, ${taken.conversations.length} TCP connections`,
    ...lines,
    taken.file,
  ].join('\n');
}

function renderConversation(conversation: TakenConversation): readonly string[] {
  const { client, server, tls, alpn, secrets, clientIdentity, serverIdentity } = conversation;
  const wrapping = tls === undefined ? 'plain' : [tls, alpn, secrets].filter(Boolean).join(' · ');
  const identities =
    clientIdentity === undefined && serverIdentity === undefined
      ? []
      : [`    ${clientIdentity ?? 'no certificate'} ⇄ ${serverIdentity ?? 'no certificate'}`];
  return [
    `  ${client} → ${server}  ${wrapping}`,
    ...identities,
    ...conversation.requests.map((request) => `    ${request}`),
  ];
}
