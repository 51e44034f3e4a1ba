import type { HeaderList } from './api.ts';

/** A header list taken apart: pseudo-headers and the rest. */
export interface SplitFields {
  readonly pseudo: ReadonlyMap<string, string>;
  readonly headers: HeaderList;
}

/** Fields that mean a connection in HTTP/1.1 and nothing here (RFC 9113 §8.2.2). */
const CONNECTION_FIELDS: ReadonlySet<string> = new Set([
  'connection',
  'keep-alive',
  'proxy-connection',
  'transfer-encoding',
  'upgrade',
]);

/** The fields by kind, or undefined where the list is malformed (RFC 9113 §8.2, §8.3). */
export function splitFields(
  fields: HeaderList,
  knownPseudo: ReadonlySet<string>,
): SplitFields | undefined {
  const pseudo = new Map<string, string>();
  const headers: (readonly [string, string])[] = [];
  for (const field of fields) {
    const [name, value] = field;
    if (name.startsWith(':')) {
      if (headers.length > 0 || pseudo.has(name) || !knownPseudo.has(name)) return undefined;
      pseudo.set(name, value);
      continue;
    }
    if (!isFieldName(name) || CONNECTION_FIELDS.has(name) || /[\0\r\n]/.test(value))
      return undefined;
    headers.push(field);
  }
  return { pseudo, headers };
}

/** All values of a field, joined as RFC 9110 §5.3 says. */
export function joinedHeader(headers: HeaderList, name: string): string | undefined {
  let found: string | undefined;
  for (const [key, value] of headers) {
    if (key === name) found = found === undefined ? value : `${found}, ${value}`;
  }
  return found;
}

function isFieldName(name: string): boolean {
  return /^[!#$%&'*+\-.^_`|~0-9a-z]+$/.test(name);
}
