/**
 * Program: serves the built-in apps of all pods of one node, each with sockets in its pod's netns.
 *
 *     app-host serve <plan.json>                        ordered over the message channel
 *     app-host client tcp|udp <host> <port> <canary> <timeout ms>    one exchange, JSON on stdout
 *     app-host client dns-udp|dns-tcp <server> <port> <name> <timeout ms> [type]  one question
 */
import { readFileSync } from 'node:fs';
import { closeNetns, openNetns } from '../../dataplane/kernel/netns.ts';
import { raiseFileLimit, realtimeNs, setProcessName } from '../../dataplane/kernel/process.ts';
import type { Plan } from '../plan/plan.ts';
import type { AppHostOrder, AppHostReport, AppPod } from './app-messages.ts';
import { runDnsClient } from './apps/dns-client.ts';
import { runEchoClient } from './apps/echo-client.ts';
import type { AppContext, RunningApp } from './apps/context.ts';
import { buildZone, type Zone } from './apps/dns-zone.ts';
import { serveApp } from './apps/serve.ts';
import { messageOf } from './errors.ts';
import { netnsPath } from './paths.ts';

/** Settles when a client is done; a host serves until its parent is gone. */
export const finished = main(process.argv.slice(2));

async function main([mode, ...args]: readonly string[]): Promise<void> {
  if (mode === 'serve') serve(args[0] ?? '');
  else if (mode === 'client' && args[0]?.startsWith('dns-')) await runDnsClient(args);
  else if (mode === 'client') await runEchoClient(args);
  else throw new Error(`Cannot run "${mode ?? ''}": serve or client is wanted`);
}

function serve(planFile: string): void {
  setProcessName('app-host');
  raiseFileLimit();
  const running = new Map<string, RunningApp[]>();
  const zone = once(() => buildZone(JSON.parse(readFileSync(planFile, 'utf8')) as Plan));
  process.on('message', (order: AppHostOrder) => {
    if (order.kind === 'stop') return stopPod(running, order.uid);
    void startPod(running, order.pod, zone).then(report);
  });
  process.once('disconnect', () => process.exit(0));
  report({ kind: 'up' });
}

async function startPod(
  running: Map<string, RunningApp[]>,
  pod: AppPod,
  zone: () => Zone,
): Promise<AppHostReport> {
  const { uid } = pod;
  stopPod(running, uid);
  const apps: RunningApp[] = [];
  running.set(uid, apps);
  try {
    const netns = openNetns(netnsPath(pod.netns));
    try {
      const place = { netns, listenOn: pod.listenOn, zone };
      for (const app of pod.apps) {
        if (app.kind === 'command') continue;
        const version = app.kind === 'http' ? app.version : '';
        apps.push(...(await serveApp(app, contextFor(pod, app.port, version), place)));
      }
    } finally {
      closeNetns(netns);
    }
    return { kind: 'started', uid };
  } catch (error) {
    stopPod(running, uid);
    return { kind: 'failed', uid, message: messageOf(error) };
  }
}

function stopPod(running: Map<string, RunningApp[]>, uid: string): void {
  for (const app of running.get(uid) ?? []) app.close();
  running.delete(uid);
}

function contextFor(pod: AppPod, port: number, version: string): AppContext {
  return {
    uid: pod.uid,
    pod: pod.name,
    version,
    port,
    observe: (seen) =>
      report({
        kind: 'observed',
        observation: { ...seen, pod: pod.uid, port, timeNs: realtimeNs().toString() },
      }),
  };
}

function report(message: AppHostReport): void {
  if (process.connected) process.send?.(message);
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
