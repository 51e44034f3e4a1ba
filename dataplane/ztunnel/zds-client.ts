import { watch, type FSWatcher } from 'node:fs';
import { basename, dirname } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { closeFd } from '../kernel/sockets.ts';
import { SeqpacketConnection, type SeqpacketMessage } from '../kernel/seqpacket.ts';
import {
  decodeWorkloadRequest,
  encodeHello,
  encodeWorkloadResponse,
  type WorkloadRequest,
} from '../zds/zds.ts';
import type { Logger } from './log.ts';
import { type WorkloadManager, ZdsProtocolError } from './workload-manager.ts';

export interface ZdsClientOptions {
  /** The agent's SOCK_SEQPACKET socket. */
  readonly path: string;
  readonly manager: WorkloadManager;
  readonly log: Logger;
  readonly signal: AbortSignal;
}

const SCOPE = 'inpod::workloadmanager';
const CONNECT_RETRY_MIN_MS = 10;
const HELLO_RETRY_MIN_MS = 5;
const RETRY_MAX_MS = 15_000;

/**
 * Follows the agent until `signal` aborts: connects, says hello, carries out and acknowledges one
 * request after another, and connects again when the stream ends.
 * @throws ZdsProtocolError when the agent broke the protocol beyond repair
 */
export async function followAgent(options: ZdsClientOptions): Promise<void> {
  const { manager, log, signal } = options;
  let helloRetryMs = HELLO_RETRY_MIN_MS;
  while (!signal.aborted) {
    const connection = await connect(options);
    if (!connection) return;
    manager.beginStream();
    log.info(SCOPE, 'handling new stream');
    try {
      await connection.send(encodeHello());
      helloRetryMs = HELLO_RETRY_MIN_MS;
    } catch (error) {
      log.warn(SCOPE, 'failed to announce to the agent', { error: text(error) });
      connection.close();
      await pause(helloRetryMs, signal);
      helloRetryMs = Math.min(helloRetryMs * 2, RETRY_MAX_MS);
      continue;
    }
    await serveStream(connection, options);
    manager.endStream();
  }
}

async function connect(options: ZdsClientOptions): Promise<SeqpacketConnection | undefined> {
  const { path, log, signal } = options;
  for (
    let delayMs = CONNECT_RETRY_MIN_MS;
    !signal.aborted;
    delayMs = Math.min(delayMs * 2, RETRY_MAX_MS)
  ) {
    try {
      return SeqpacketConnection.connect(path);
    } catch (error) {
      log.warn(
        'inpod::packet',
        `failed to connect to the Istio CNI node agent over "${path}", is the node agent healthy? retrying`,
        {
          error: text(error),
        },
      );
    }
    // An agent that begins to listen now is not kept waiting for the end of a long pause.
    if (await appears(path, delayMs, signal)) delayMs = CONNECT_RETRY_MIN_MS / 2;
  }
  return undefined;
}

/** Waits that long, or until the file is made anew; says whether it was. */
async function appears(path: string, ms: number, signal: AbortSignal): Promise<boolean> {
  const end = new AbortController();
  const stop = AbortSignal.any([signal, end.signal]);
  let isThere = false;
  let watcher: FSWatcher | undefined;
  try {
    watcher = watch(dirname(path), { signal: stop }, (_, name) => {
      if (name !== basename(path)) return;
      isThere = true;
      end.abort();
    });
    watcher.on('error', () => {});
  } catch {
    // No folder yet, or nothing left to watch with: the pause alone then.
  }
  await pause(ms, stop);
  watcher?.close();
  return isThere;
}

async function pause(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => undefined);
}

async function serveStream(
  connection: SeqpacketConnection,
  { manager, log, signal }: ZdsClientOptions,
): Promise<void> {
  const stop = (): void => {
    log.info('inpod::protocol', 'workload proxy manager: drain requested');
    connection.close();
  };
  signal.addEventListener('abort', stop, { once: true });
  let fatal: ZdsProtocolError | undefined;
  let failure: unknown;
  // Requests are carried out at once, so their acknowledgements leave in the order they came.
  connection.on('error', (error) => (failure = error));
  let isDropping = false;
  connection.on('message', (message) => {
    if (isDropping) return message.fds.forEach(closeFd);
    const error = carryOut(manager, message);
    const isFatal = error instanceof ZdsProtocolError;
    if (isFatal) fatal = error;
    const acknowledged = connection.send(
      encodeWorkloadResponse({ kind: 'ack', error: error ? text(error) : '' }),
    );
    const close = (): void => connection.close();
    if (isFatal || error instanceof StreamFault) {
      isDropping = true;
      log.error(SCOPE, 'dropping the stream', { error: text(error) });
      acknowledged.then(close, close);
    } else acknowledged.catch(close);
  });
  await closed(connection);
  signal.removeEventListener('abort', stop);
  if (fatal) throw fatal;
  if (failure) log.error(SCOPE, 'process stream failed', { error: text(failure) });
  else log.info(SCOPE, 'process stream ended with eof');
}

/** Settles at the end of the connection, whatever ended it: an agent killed with unread acks resets it. */
async function closed(connection: SeqpacketConnection): Promise<void> {
  if (connection.isClosed) return;
  await new Promise<void>((resolve) => {
    connection.once('close', resolve);
  });
}

/** Something wrong with one packet: nacked, then the stream is dropped. */
class StreamFault extends Error {
  override readonly name = 'StreamFault';
  readonly code = 'DATAPLANE_ZDS_STREAM';
}

/** Carries out one request; the error to acknowledge with, undefined when it went well. */
function carryOut(manager: WorkloadManager, { data, fds }: SeqpacketMessage): Error | undefined {
  let unused = [...fds];
  try {
    const request = decode(data);
    const netns = descriptorOf(request, fds);
    if (request.kind === 'add') {
      const { uid, workloadInfo } = request;
      if (!workloadInfo) {
        throw new ZdsProtocolError('protocol error: workload_info is required but not present');
      }
      unused = [];
      manager.add(uid, workloadInfo, netns);
    } else if (request.kind === 'del') manager.delete(request.uid);
    else if (request.kind === 'keep') manager.keep(request.uid);
    else manager.snapshotSent();
    return undefined;
  } catch (error) {
    return error instanceof Error ? error : new Error(String(error));
  } finally {
    for (const fd of unused) closeFd(fd);
  }
}

function decode(data: Buffer): WorkloadRequest {
  try {
    return decodeWorkloadRequest(data);
  } catch (cause) {
    throw new StreamFault(`failed to decode workload request: ${text(cause)}`, { cause });
  }
}

/** The one descriptor of an Add, -1 for the others. @throws StreamFault when the count is wrong */
function descriptorOf(request: WorkloadRequest, fds: readonly number[]): number {
  const [fd] = fds;
  if (request.kind === 'add') {
    if (fd !== undefined && fds.length === 1) return fd;
    throw new StreamFault(`expected one file descriptor with an add, got ${fds.length}`);
  }
  if (fds.length > 0) throw new StreamFault(`unexpected file descriptors with a ${request.kind}`);
  return -1;
}

function text(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
