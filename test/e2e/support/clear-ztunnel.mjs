// Our ztunnel with its TLS taken out: it asks for CONNECT and answers it in plain HTTP/2, on the same
// ports and with the same records of its legs. What proves encryption must see that there is none.
import { register } from 'node:module';

const STAND_IN = new URL('clear-tls.ts', import.meta.url).href;
const hook = `
export function resolve(specifier, context, next) {
  const isTls = specifier === './tls-handshake.ts' || specifier === './sealed-connection.ts';
  const isOurs = context.parentURL?.includes('/dataplane/hbone/');
  return next(isTls && isOurs ? ${JSON.stringify(STAND_IN)} : specifier, context);
}`;
register(`data:text/javascript,${encodeURIComponent(hook)}`);
await import(new URL('../../../dataplane/ztunnel/main.ts', import.meta.url).href);
