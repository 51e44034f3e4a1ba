/**
 * A call of the kernel that failed. `code` is `DATAPLANE_KERNEL_` and the errno's name
 * (`DATAPLANE_KERNEL_EADDRINUSE`), so that callers act on it without reading texts.
 */
export class KernelError extends Error {
  override readonly name = 'KernelError';
  readonly code: `DATAPLANE_KERNEL_${string}`;
  /** The call or option that failed: `bind`, `IP_TRANSPARENT`, `setns`. */
  readonly syscall: string;
  /** Positive errno; 0 when the fault was found before any call. */
  readonly errno: number;
  readonly errnoName: string;

  constructor(message: string, fault: KernelFault, cause?: unknown) {
    super(message, cause === undefined ? undefined : { cause });
    this.code = `DATAPLANE_KERNEL_${fault.errnoName}`;
    this.syscall = fault.syscall;
    this.errno = fault.errno;
    this.errnoName = fault.errnoName;
  }
}

export interface KernelFault {
  readonly syscall: string;
  readonly errno: number;
  readonly errnoName: string;
}

/**
 * Runs `call` and gives its result; a fault of the addon becomes a `KernelError` whose text starts
 * with `Cannot <action>`. Other exceptions pass unchanged.
 *
 * @throws {KernelError}
 */
export function kernelCall<T>(action: string, call: () => T): T {
  try {
    return call();
  } catch (error) {
    throw asKernelError(action, error);
  }
}

/** The `KernelError` for a fault thrown by the addon; any other value is returned as it is. */
export function asKernelError(action: string, error: unknown): unknown {
  if (!isFault(error)) return error;
  return new KernelError(`Cannot ${action}: ${error.message} (${error.errnoName})`, error, error);
}

/** True when `error` is a `KernelError` with that errno name (`'ENOENT'`). */
export function isKernelError(error: unknown, errnoName: string): error is KernelError {
  return error instanceof KernelError && error.errnoName === errnoName;
}

function isFault(error: unknown): error is Error & KernelFault {
  return error instanceof Error && !(error instanceof KernelError) && 'errnoName' in error;
}
