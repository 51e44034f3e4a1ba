import {
  INPOD_MASK,
  INPOD_ROUTE_TABLE,
  INPOD_RULE_PRIORITY,
  INPOD_TPROXY_MARK,
} from './constants.ts';
import { markText } from './rule.ts';
import type { Family, RoutingEntry } from './rule.ts';

/** Policy routing of an enrolled pod, the same in every era of in-pod redirect (facts: Istio 1.21 →). */
export function podRouting(family: Family): readonly RoutingEntry[] {
  return [
    {
      kind: 'fwmark-rule',
      family,
      mark: INPOD_TPROXY_MARK,
      mask: INPOD_MASK,
      priority: INPOD_RULE_PRIORITY,
      table: INPOD_ROUTE_TABLE,
      why:
        "The app's reply to ztunnel is addressed to the client, whose address ztunnel borrowed; " +
        'its restored mark leads it to table 100 instead of out of the pod.',
    },
    {
      kind: 'local-route',
      family,
      to: family === 'ipv4' ? '0.0.0.0/0' : '::/0',
      link: 'lo',
      table: INPOD_ROUTE_TABLE,
      why: 'Table 100 delivers everything to a socket of this pod: ztunnel holds the other end.',
    },
  ];
}

/** Whether a line of `ip rule show` or `ip route show table all` is the entry. */
export function isListedAs(entry: RoutingEntry, line: string): boolean {
  const words = line.trim().split(/\s+/).join(' ');
  if (entry.kind === 'fwmark-rule') {
    const mark = markText(entry.mark, entry.mask);
    return words === `${entry.priority}: from all fwmark ${mark} lookup ${entry.table}`;
  }
  const to = entry.to === '0.0.0.0/0' || entry.to === '::/0' ? 'default' : entry.to;
  return `${words} `.startsWith(`local ${to} dev ${entry.link} table ${entry.table} `);
}

/** Arguments of `ip` that add or remove the entry. */
export function ipArguments(entry: RoutingEntry, action: 'add' | 'del'): readonly string[] {
  const family = entry.family === 'ipv4' ? '-4' : '-6';
  const table = String(entry.table);
  if (entry.kind === 'local-route') {
    return [family, 'route', action, 'local', entry.to, 'dev', entry.link, 'table', table];
  }
  const mark = markText(entry.mark, entry.mask);
  const priority = String(entry.priority);
  return [family, 'rule', action, 'fwmark', mark, 'pref', priority, 'lookup', table];
}
