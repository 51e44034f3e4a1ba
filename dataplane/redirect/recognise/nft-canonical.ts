/** Words that stand alone on a command line and are keys of `meta` in a listing. */
const META_KEYS: ReadonlySet<string> = new Set(['mark', 'skuid', 'skgid', 'iifname', 'oifname']);
const NAMED = new Set(['iifname', 'oifname']);

const ALIASES: ReadonlyMap<string, string> = new Map([
  ['and', '&'],
  ['or', '|'],
  ['xor', '^'],
  ['ne', '!='],
  ['eq', '=='],
]);

/**
 * A rule of nftables in one spelling, whatever version of nft printed it or read it: counters without
 * what they counted, numbers in decimal, `==` left out, marks with `meta`, no prefix behind whole
 * addresses. Two rules that do the same in the words that Istio uses have one text.
 */
export function canonicalNftRule(text: string): string {
  const words = text
    .replaceAll(/counter packets \d+ bytes \d+/g, 'counter')
    .replaceAll(/["()]/g, '')
    .split(/\s+/)
    .filter((word) => word !== '')
    .map((word) => ALIASES.get(word) ?? word)
    .filter((word) => word !== '==')
    .map(plainWord);
  return foldMasks(withMeta(words).join(' '))
    .replaceAll(/\bsnat (?:ip6?) to\b/g, 'snat to')
    .replaceAll(/\bskuid root\b/g, 'skuid 0')
    .trim();
}

function plainWord(word: string): string {
  if (/^0x[\da-f]{1,8}$/i.test(word)) return String(Number.parseInt(word, 16));
  return word.replace(/^([\d.]+)\/32$/, '$1').replace(/^([\da-f:]+:[\da-f:]*)\/128$/i, '$1');
}

function withMeta(words: readonly string[]): readonly string[] {
  return words.flatMap((word, index) => {
    const before = words[index - 1];
    if (!META_KEYS.has(word)) return [word];
    if (NAMED.has(word)) return [word];
    return before === 'meta' || before === 'ct' ? [word] : ['meta', word];
  });
}

/** `x & a | b` is the same for every a that differs in bits of b only: those are left out. */
function foldMasks(text: string): string {
  return text.replaceAll(/& (\d{1,10}) \| (\d{1,10})/g, (_, mask: string, bits: string) => {
    const kept = BigInt(mask) & ~BigInt(bits) & 0xffff_ffffn;
    return `& ${kept} | ${bits}`;
  });
}
