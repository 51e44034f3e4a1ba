import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { pcapFrames } from '../capture/tcpdump.ts';
import { encodePacket, encodePcapngHead } from '../capture/pcapng-write.ts';
import { dissect } from '../facts/dissect/dissect.ts';
import type { Conversation, SecretState } from '../facts/dissect/types.ts';

/** One TCP conversation of a capture that somebody else made. */
export interface TakenConversation {
  readonly client: string;
  readonly server: string;
  /** `TLS 1.3`, or absent for plain TCP. */
  readonly tls?: string;
  readonly alpn?: string;
  /** `decrypted`, or what stood in the way. */
  readonly secrets?: SecretState['kind'];
  readonly clientIdentity?: string;
  readonly serverIdentity?: string;
  /** `CONNECT 10.244.2.3:8080 → 200` for HTTP/2, the first lines for HTTP/1. */
  readonly requests: readonly string[];
}

export interface TakenCapture {
  readonly frames: number;
  /** The capture as pcapng, secrets first. */
  readonly file: string;
  readonly conversations: readonly TakenConversation[];
}

export interface TakeOverOptions {
  /** What the capture is called in the file, e.g. `pod/eth0`. */
  readonly name: string;
  readonly directory: string;
  /** File with TLS secrets in NSS key log format. */
  readonly keyLog?: string;
  readonly signal?: AbortSignal;
}

/**
 * Takes over what a running `tcpdump -U -w -` writes until it ends, leaves it as a pcapng that opens
 * decrypted, and says who talked to whom in it.
 * @throws PcapStreamError on another format or a stream that ends inside a packet
 */
export async function takeOver(
  stream: AsyncIterable<Buffer>,
  options: TakeOverOptions,
): Promise<TakenCapture> {
  const packets: Buffer[] = [];
  let linkType: number | undefined;
  for await (const frame of pcapFrames(stream, { signal: options.signal })) {
    linkType = frame.linkType;
    packets.push(encodePacket({ ...frame, interfaceId: 0 }));
  }
  // Read at the end: the secrets of the last connections are written while they are recorded.
  const keyLog = options.keyLog === undefined ? '' : await readFile(options.keyLog, 'utf8');
  const head = encodePcapngHead({ keyLog, interfaces: [{ name: options.name, linkType }] });
  const bytes = Buffer.concat([head, ...packets]);
  const file = join(options.directory, 'capture.pcapng');
  await writeFile(file, bytes);
  const { conversations } = dissect([bytes], keyLog);
  return { frames: packets.length, file, conversations: conversations.map(describe) };
}

function describe(conversation: Conversation): TakenConversation {
  const { client, server, tls } = conversation;
  return {
    client: `${client.address}:${client.port}`,
    server: `${server.address}:${server.port}`,
    ...(tls === undefined
      ? {}
      : {
          tls: tls.version ?? 'TLS',
          alpn: tls.alpn,
          secrets: tls.client.secrets.kind,
          clientIdentity: tls.client.certificates[0]?.spiffeIds[0],
          serverIdentity: tls.server.certificates[0]?.spiffeIds[0],
        }),
    requests: requestsOf(conversation),
  };
}

function requestsOf({ http1, http2 }: Conversation): readonly string[] {
  const streams = (http2?.streams ?? []).map(
    ({ method, authority, status }) => `${method ?? '?'} ${authority ?? '?'} → ${status ?? '?'}`,
  );
  return [...streams, ...(http1 ?? []).map(({ line }) => line)];
}
