import { osErrorText } from './proxy-error.ts';

/** A listener's address is taken, or sockets cannot be made in the pod. */
export class BindError extends Error {
  override readonly name = 'BindError';
  readonly code = 'DATAPLANE_ZTUNNEL_BIND';
  readonly address: string;
  constructor(address: string, cause: unknown) {
    super(`failed to bind to address ${address}: ${osErrorText(cause)}`, { cause });
    this.address = address;
  }
}
