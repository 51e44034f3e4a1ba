/** An environment variable holds what this program cannot work with. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly code = 'DATAPLANE_ZTUNNEL_CONFIG';
  readonly variable: string;
  readonly value: string | undefined;
  constructor(variable: string, value: string | undefined, wanted: string, options?: ErrorOptions) {
    const state = value === undefined ? 'is not set' : `is ${JSON.stringify(value)}`;
    super(`Cannot use ${variable}: it ${state}, wanted ${wanted}`, options);
    this.variable = variable;
    this.value = value;
  }
}
