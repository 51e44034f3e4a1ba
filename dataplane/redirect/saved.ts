import type { RuleOption } from './rule.ts';
import { renderOption } from './render.ts';

/** Packets and bytes that met a rule or a policy; 64 bits in the kernel, hence bigint. */
export interface Counters {
  readonly packets: bigint;
  readonly bytes: bigint;
}

/** Everything that one run of `iptables-save` (or `ip6tables-save`) says. */
export interface SavedRules {
  readonly tables: readonly SavedTable[];
  /** Comment and empty lines, with the line they stood on, so that printing gives them back. */
  readonly comments: readonly { readonly line: number; readonly text: string }[];
}

export interface SavedTable {
  readonly name: string;
  readonly line: number;
  readonly chains: readonly SavedChain[];
  /** In the order of the text; within a chain that is the order in which packets meet them. */
  readonly rules: readonly SavedRule[];
}

export interface SavedChain {
  readonly name: string;
  /** Absent for chains that somebody made (`-` in the text). */
  readonly policy?: string;
  readonly counters?: Counters;
  readonly line: number;
}

export interface SavedRule {
  readonly chain: string;
  readonly options: readonly RuleOption[];
  /** Present when saved with `-c`. */
  readonly counters?: Counters;
  readonly line: number;
}

/** The text of a rule as `iptables-save` prints it, without counters. */
export function renderSavedRule(rule: SavedRule): string {
  return ['-A', rule.chain, ...rule.options.map(renderOption)].join(' ');
}

/** The text that was parsed, again: comments, policies and counters included. */
export function renderSaved(saved: SavedRules): string {
  const lines: string[] = [];
  let next = 0;
  const addComments = (): void => {
    for (; saved.comments[next]?.line === lines.length + 1; next += 1) {
      lines.push(saved.comments[next]?.text ?? '');
    }
  };
  const add = (line: string): void => {
    addComments();
    lines.push(line);
  };
  for (const table of saved.tables) {
    add(`*${table.name}`);
    for (const chain of table.chains) {
      add(`:${chain.name} ${chain.policy ?? '-'}${suffix(chain.counters)}`);
    }
    for (const rule of table.rules) {
      const counters = rule.counters === undefined ? '' : `${bracketed(rule.counters)} `;
      add(`${counters}${renderSavedRule(rule)}`);
    }
    add('COMMIT');
  }
  addComments();
  return lines.length === 0 ? '' : `${lines.join('\n')}\n`;
}

function suffix(counters: Counters | undefined): string {
  return counters === undefined ? '' : ` ${bracketed(counters)}`;
}

function bracketed(counters: Counters): string {
  return `[${counters.packets}:${counters.bytes}]`;
}
