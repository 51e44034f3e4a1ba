/** Netfilter hooks that a pass walks, in their order; by the words of `passText`. */
function hooksOf(pass: string): readonly string[] {
  switch (pass) {
    case 'output':
      return ['OUTPUT', 'POSTROUTING'];
    case 'input':
      return ['PREROUTING', 'INPUT'];
    case 'forward':
      return ['PREROUTING', 'FORWARD', 'POSTROUTING'];
    case 'output, input':
      return ['OUTPUT', 'POSTROUTING', 'PREROUTING', 'INPUT'];
    default:
      return [];
  }
}

/** What a frame passes at a sighting, in a sentence. */
export function passSentence(pass: string): string {
  if (pass === 'switch') return 'switched below IP: no netfilter hook of the inet family is walked';
  const hooks = hooksOf(pass);
  if (hooks.length === 0) return 'comes in; the pass is counted where it goes on';
  return `${pass}: ${hooks.join(' → ')}`;
}
