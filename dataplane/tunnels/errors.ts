/** A tunnel that cannot be made or taken away as wished. */
export class TunnelError extends Error {
  override readonly name = 'TunnelError';
  readonly code:
    | 'DATAPLANE_TUNNEL_INPUT'
    | 'DATAPLANE_TUNNEL_UNDERLAY'
    | 'DATAPLANE_TUNNEL_TAKEN'
    | 'DATAPLANE_TUNNEL_UNSUPPORTED';

  constructor(code: TunnelError['code'], message: string, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = code;
  }
}
