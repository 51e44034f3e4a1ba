import {
  INPOD_MASK,
  INPOD_ROUTE_TABLE,
  INPOD_RULE_PRIORITY,
  INPOD_TPROXY_MARK,
} from './constants.ts';
import { markText } from './rule.ts';
import type { Family, ForwardRoute, LocalRoute, RoutingEntry } from './rule.ts';

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
  switch (entry.kind) {
    case 'fwmark-rule': {
      const mark = shownMark(entry);
      return words === `${entry.priority}: from all fwmark ${mark} lookup ${entry.table}`;
    }
    case 'goto-rule': {
      const mark = shownMark(entry);
      return words === `${entry.priority}: from all fwmark ${mark} goto ${entry.target}`;
    }
    case 'table-rule':
      return words === `${entry.priority}: from all lookup ${entry.table}`;
    case 'local-route':
      return `${words} `.startsWith(
        `local ${shownTo(entry.to)} dev ${entry.link} table ${entry.table} `,
      );
    case 'route': {
      const via = entry.via === undefined ? '' : `via ${entry.via} `;
      const start = `${shownTo(entry.to)} ${via}dev ${entry.link} table ${entry.table} `;
      const hasSource =
        entry.source === undefined || ` ${words} `.includes(` src ${entry.source} `);
      return `${words} `.startsWith(start) && hasSource;
    }
  }
}

/** As `ip rule show` writes marks: no mask where every bit counts. */
function shownMark({ mark, mask }: { readonly mark: number; readonly mask: number }): string {
  return mask === 0xffffffff ? `0x${mark.toString(16)}` : markText(mark, mask);
}

/** As `ip route show` writes destinations: no prefix behind a whole address. */
function shownTo(to: string): string {
  if (to === '0.0.0.0/0' || to === '::/0') return 'default';
  return to.replace(to.includes(':') ? /\/128$/ : /\/32$/, '');
}

/** Arguments of `ip` that add or remove the entry. */
export function ipArguments(entry: RoutingEntry, action: 'add' | 'del'): readonly string[] {
  const family = entry.family === 'ipv4' ? '-4' : '-6';
  switch (entry.kind) {
    case 'fwmark-rule':
      return [family, 'rule', action, ...markedAt(entry), 'lookup', String(entry.table)];
    case 'goto-rule':
      return [family, 'rule', action, ...markedAt(entry), 'goto', String(entry.target)];
    case 'table-rule': {
      const { priority, table } = entry;
      return [family, 'rule', action, 'pref', String(priority), 'lookup', String(table)];
    }
    case 'local-route':
      return [family, 'route', action, 'local', ...routeWords(entry)];
    case 'route':
      return [family, 'route', action, ...routeWords(entry)];
  }
}

function markedAt({
  mark,
  mask,
  priority,
}: {
  readonly mark: number;
  readonly mask: number;
  readonly priority: number;
}): readonly string[] {
  return ['fwmark', shownMark({ mark, mask }), 'pref', String(priority)];
}

function routeWords(entry: LocalRoute | ForwardRoute): readonly string[] {
  const { to, link, table } = entry;
  const route = entry.kind === 'route' ? entry : undefined;
  return [
    to,
    ...(route?.via === undefined ? [] : ['via', route.via]),
    ...['dev', link],
    ...(route?.isOnlink === true ? ['onlink'] : []),
    ...(route?.source === undefined ? [] : ['src', route.source]),
    ...['table', String(table)],
  ];
}
