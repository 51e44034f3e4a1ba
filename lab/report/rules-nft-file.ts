import type { NftRecognition } from '../../dataplane/redirect/recognise/recognise-nft.ts';
import type { NftFileReading } from '../run/read-rules-file.ts';
import {
  noteFrom,
  renderDifferences,
  renderRoutes,
  type RulesFileTextOptions,
} from './rules-file.ts';
import { counted } from './text.ts';
import { renderWalks } from './walk.ts';
import { wrapText } from './wrap.ts';

/** What the tables of nftables in a file are, what is wrong in them, and the walk through them. */
export function renderNftFile(
  file: string,
  { recognition, walks, isJson }: NftFileReading,
  options: RulesFileTextOptions,
): string {
  const { candidate, others } = recognition;
  // JSON stands on one line, as nft prints it: lines would tell nothing.
  const differences = recognition.differences.map(({ line, ...rest }) =>
    line === undefined || isJson ? rest : { ...rest, line },
  );
  return [
    `${file}, nftables: ${titleOf(recognition)}`,
    ...recognition.options.map(({ name, value }) => `  ${name}: ${value}`),
    ...others.map(({ table, rules }) => `  table of others: ${table}, ${counted(rules, 'rule')}`),
    ...renderIptables(recognition, options),
    '',
    ...renderDifferences({ ...recognition, differences, deviations: [] }, options),
    '',
    ...renderWalks(walks, { ...options, noteOf: isJson ? () => undefined : noteFrom(differences) }),
    ...renderRoutes(candidate?.routing ?? [], options),
  ]
    .join('\n')
    .trimEnd();
}

function titleOf({ candidate, kind, iptables }: NftRecognition): string {
  if (candidate !== undefined) return `${candidate.title} (Istio ${candidate.releases})`;
  if (kind === 'unknown') return 'tables named as Istio names its own, of no era known here';
  const names = [...new Set(iptables.flatMap(({ names: name }) => name ?? []))];
  return names.length === 0
    ? 'no redirect of Istio'
    : `no tables of Istio's own; ${names.join(', ')}`;
}

/** Rules of iptables that nft shows: named by their chains, not compared. */
function renderIptables(
  { iptables, kind }: NftRecognition,
  { width }: RulesFileTextOptions,
): readonly string[] {
  if (iptables.length === 0) return [];
  const lines = iptables.map(({ table, chains, names }) => {
    const whose = names === undefined ? 'nothing of Istio' : names;
    return wrapText(
      `table of iptables: ${table}, ${counted(chains.length, 'chain')}, ${whose}`,
      2,
      width,
      4,
    );
  });
  const isWorthIt = kind === 'none' || iptables.some(({ names }) => names !== undefined);
  if (!isWorthIt) return lines;
  const hint =
    'nft shows rules of iptables in words of its own, and leaves out what it cannot say: save them ' +
    'with "iptables-save -c" to have them compared rule by rule.';
  return [...lines, wrapText(hint, 2, width, 2)];
}
