import { renderNft } from '../../dataplane/redirect/nft-render.ts';
import type { NftRule, NftTable } from '../../dataplane/redirect/nft-rule.ts';
import type { Lab } from '../world/lab.ts';
import type { Mutation } from './mutation.ts';
import { inPlace } from '../world/in-place.ts';
import type { MutablePlace, PlaceGroup } from './places.ts';

const LOAD = ['nft', '-f', '-'] as const;

interface Found {
  readonly place: MutablePlace;
  readonly table: NftTable;
  readonly index: number;
}

/**
 * Every rule of era inpod-nft, removed, and with each of its conditions left out. Tables are loaded
 * whole from the era's data, in one transaction; elements of sets stay.
 */
export function nftMutations({ prefix, places }: PlaceGroup): readonly Mutation[] {
  const groups = new Map<string, Found[]>();
  for (const place of places) {
    for (const table of place.wanted?.nft ?? []) {
      table.rules.forEach((rule, index) => {
        const key = `${table.name} ${rule.chain} ${textOf(rule)}`;
        groups.set(key, [...(groups.get(key) ?? []), { place, table, index }]);
      });
    }
  }
  return [...groups].flatMap(([key, found]) => {
    const rule = found[0]?.table.rules[found[0].index];
    if (rule === undefined) return [];
    const widened = conditionsOf(rule).map(({ name, rule: other }) =>
      mutationOf(`${prefix}${key}`, found, rule, `without ${name}`, other),
    );
    return [mutationOf(`${prefix}${key}`, found, rule, 'removed', undefined), ...widened];
  });
}

/** Loads all tables of a place as the era wants them. */
export async function loadTables(
  lab: Lab,
  { place, wanted }: MutablePlace,
  tables: readonly NftTable[] = wanted?.nft ?? [],
): Promise<void> {
  if (tables.length > 0) await inPlace(lab, place, LOAD, renderNft(tables));
}

function mutationOf(
  key: string,
  found: readonly Found[],
  rule: NftRule,
  change: string,
  other: NftRule | undefined,
): Mutation {
  const [{ table, index: at }] = found as [Found];
  const number = table.rules.slice(0, at + 1).filter(({ chain }) => chain === rule.chain).length;
  const each = async (act: (one: Found) => Promise<unknown>): Promise<void> => {
    await Promise.all(found.map(act));
  };
  return {
    id: `${key} | ${change}`,
    kind: 'rule',
    change,
    where: `${table.name} ${rule.chain} ${number}`,
    text: textOf(rule),
    why: rule.why,
    places: found.map(({ place }) => place.place),
    apply: (lab) =>
      each(async ({ place, table, index }) => {
        const rules = table.rules.toSpliced(index, 1, ...(other === undefined ? [] : [other]));
        await loadTables(lab, place, [{ ...table, rules }]);
      }),
    restore: (lab) => each(({ place, table }) => loadTables(lab, place, [table])),
  };
}

function textOf({ statements }: NftRule): string {
  return statements.join(' ');
}

const TCP = 'meta l4proto tcp';

/** The rule without each of its conditions in turn; what redirects keeps its protocol. */
function conditionsOf(rule: NftRule): readonly { readonly name: string; readonly rule: NftRule }[] {
  const at = rule.statements.indexOf('counter');
  const matches = rule.statements.slice(0, Math.max(0, at));
  const verdict = rule.statements.slice(Math.max(0, at));
  const isRedirect = verdict.some((statement) => /^redirect|^snat/.test(statement));
  return matches.flatMap((name, index) => {
    const rest = matches.toSpliced(index, 1);
    const lacksProtocol = isRedirect && !rest.some((match) => /\b(?:tcp|udp)\b/.test(match));
    if (lacksProtocol && name === TCP) return [];
    const kept = lacksProtocol
      ? [name.startsWith('udp') ? 'meta l4proto udp' : TCP, ...rest]
      : rest;
    return [{ name, rule: { ...rule, statements: [...kept, ...verdict] } }];
  });
}
