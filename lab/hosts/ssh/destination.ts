import { SshError } from './errors.ts';

/** What a person wrote after `--on`; what is absent comes from ssh's configuration. */
export interface Destination {
  readonly host: string;
  readonly user?: string;
  readonly port?: number;
}

const WISHED = '[user@]host[:port] was wished, an IPv6 address in brackets: root@[::1]:2222';

/**
 * Reads `[user@]host[:port]`. An address of IPv6 stands in brackets, or alone without a port.
 *
 * @throws SshError LAB_BAD_DESTINATION
 */
export function parseDestination(text: string): Destination {
  const at = text.lastIndexOf('@');
  const user = at < 0 ? undefined : text.slice(0, at);
  const place = text.slice(at + 1);
  if (user === '') throw bad(text, 'there is no user before the "@"');
  const { host, portText } = splitPlace(text, place);
  // A host that looks like an option would become one for whoever passes it on.
  if (!/^[^\s/@-][^\s/@]*$/.test(host)) throw bad(text, `"${host}" is no host`);
  const port = portText === undefined ? undefined : readPort(text, portText);
  return { host, ...(user === undefined ? {} : { user }), ...(port === undefined ? {} : { port }) };
}

function splitPlace(
  text: string,
  place: string,
): { readonly host: string; readonly portText: string | undefined } {
  const bracketed = /^\[([^\]]*)\](?::(.*))?$/.exec(place);
  if (bracketed) return { host: bracketed[1] ?? '', portText: bracketed[2] };
  if (place.startsWith('[')) throw bad(text, 'its bracket is not closed before the port');
  const [host = '', portText, ...more] = place.split(':');
  return more.length > 0 ? { host: place, portText: undefined } : { host, portText };
}

function readPort(text: string, portText: string): number {
  const port = Number(portText);
  if (/^\d{1,5}$/.test(portText) && port >= 1 && port <= 65_535) return port;
  throw bad(text, `"${portText}" is no port`);
}

function bad(text: string, why: string): SshError {
  return new SshError('LAB_BAD_DESTINATION', `Cannot go to "${text}": ${why}, ${WISHED}`);
}
