import { readFileSync } from 'node:fs';
import { canonicalIp, type Endpoint } from '../address.ts';

/** What resolv.conf(5) says that matters here. */
export interface ResolvConf {
  readonly servers: readonly Endpoint[];
  readonly searchDomains: readonly string[];
}

const DNS_PORT = 53;

/** Reads the text of a resolv.conf; lines that say nothing known are passed over. */
export function parseResolvConf(text: string): ResolvConf {
  const servers: Endpoint[] = [];
  let searchDomains: string[] = [];
  for (const line of text.split('\n')) {
    const [keyword, ...values] = line
      .replace(/[#;].*$/, '')
      .trim()
      .split(/\s+/);
    const ip = keyword === 'nameserver' ? canonicalIp(values[0] ?? '') : undefined;
    if (ip !== undefined) servers.push({ ip, port: DNS_PORT });
    // The last `search` or `domain` line wins.
    if (keyword === 'search' || keyword === 'domain') {
      searchDomains = values.map((domain) => domain.replace(/\.$/, '').toLowerCase());
    }
  }
  return { servers, searchDomains };
}

/** Reads a resolv.conf file. @throws Node's error when it cannot be read */
export function readResolvConf(path: string): ResolvConf {
  return parseResolvConf(readFileSync(path, 'utf8'));
}
