import { splitAddress } from '../facts/address.ts';
import type { RunFacts } from '../facts/facts.ts';
import { nameOf } from '../judge/places.ts';

/** Ports from here on are taken for ephemeral ones, other in each run. */
export const FIRST_EPHEMERAL_PORT = 32_768;

/** Name and port of an address, the port only when a listener has it. */
export function stableAddress(facts: RunFacts, address: string): string {
  const { ip, port } = splitAddress(address);
  return `${nameOf(facts, ip)}:${stablePort(port)}`;
}

/** A port as it is in every run, or `ephemeral`. */
export function stablePort(port: number): string {
  return port < FIRST_EPHEMERAL_PORT ? String(port) : 'ephemeral';
}
