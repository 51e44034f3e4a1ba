import { setTimeout as sleep } from 'node:timers/promises';
import { framesOf } from '../../judge/evidence.ts';
import type { Finding } from '../claim.ts';
import type { ClaimWorld } from '../claim-world.ts';
import { settle, together } from '../finding.ts';
import type { ClaimRequestName } from '../requests.ts';

const LOG_TRIES = 20;

function answered(world: ClaimWorld, name: ClaimRequestName, isWanted: boolean): Finding {
  const path = world.path(name);
  const { status, outcome, from, to } = path.request;
  const isSo = (status === 200) === isWanted;
  const connection = world.facts.connections[path.legs[0]?.connection ?? -1];
  const text = `${from} → ${to}: ${status ?? outcome}`;
  return settle(isSo, text, { frames: framesOf(connection?.sightings.slice(0, 1) ?? []) });
}

/** STRICT refuses who has no identity; without it both kinds are admitted. */
export function strictRefusesPlain(world: ClaimWorld): Finding {
  return together(
    answered(world, 'strictMesh', true),
    answered(world, 'strictPlain', false),
    answered(world, 'far', true),
    answered(world, 'plainIn', true),
  );
}

/** STRICT with one permissive port: plain text to that port alone. */
export function permissivePort(world: ClaimWorld): Finding {
  return together(
    answered(world, 'ajarMesh', true),
    answered(world, 'ajarPlain', true),
    answered(world, 'ajarRefused', false),
  );
}

/** One service account is admitted, another gets 401, as packets and both logs tell. */
export async function allowOneAccount(world: ClaimWorld): Promise<Finding> {
  const refused = world.path('refused');
  const status = refused.legs.find(({ hbone }) => hbone)?.hbone?.stream.status;
  const inbound = await logLine(world, 'node2', ['"inbound"', 'policy rejection', '"near"']);
  const outbound = await logLine(world, 'node1', ['"outbound"', 'http status: 401', '"near"']);
  const first = world.connection(refused, 1);
  const refusal = settle(
    status === 401 && inbound !== '' && outbound !== '',
    `CONNECT → ${status}; both ztunnels logged it: ${inbound !== '' && outbound !== ''}`,
    { evidence: [outbound, inbound], frames: framesOf(first.sightings) },
  );
  return together(answered(world, 'admitted', true), refusal, await endsWithReset(world));
}

/** Whether the refused client meets a RST: curl says 56 then, and 52 when it met a FIN. */
async function endsWithReset(world: ClaimWorld): Promise<Finding> {
  const refused = world.path('refused');
  const { end } = world.connection(refused, 1);
  const { exitCode } = refused.request;
  return settle(end === 'reset', `the refused connection ended: ${end} (curl exit ${exitCode})`);
}

/** The access log names peer, identity and CONNECT of a request. */
export async function accessLogFields(world: ClaimWorld): Promise<Finding> {
  const wanted = [
    '"inbound"',
    'src.addr=',
    'src.identity="spiffe://cluster.local/ns/demo/sa/client"',
    'dst.identity="spiffe://cluster.local/ns/demo/sa/far"',
    'dst.hbone_addr=',
  ];
  const line = await logLine(world, 'node2', wanted);
  const text = line === '' ? 'no such line' : 'one line has peer address, identity and authority';
  return settle(line !== '', text, { evidence: [line] });
}

async function logLine(world: ClaimWorld, node: string, wanted: readonly string[]) {
  for (let tries = 0; tries < LOG_TRIES; tries++) {
    const lines = await world.ztunnelLog(node);
    const found = lines.find((line) => wanted.every((part) => line.includes(part)));
    if (found !== undefined) return found;
    await sleep(50);
  }
  return '';
}
