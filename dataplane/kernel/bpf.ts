import { createHash } from 'node:crypto';
import { native } from './addon.ts';
import { KernelError, kernelCall } from './errors.ts';

/** BPF_TCX_INGRESS and BPF_TCX_EGRESS of include/uapi/linux/bpf.h, Linux 6.6 and later. */
const HOOKS = { ingress: 46, egress: 47 } as const;
const LOG_BYTES = 64 * 1024;
/** No eBPF, not allowed to use it, none of these hooks; no such link. */
const HAS_NONE: ReadonlySet<string> = new Set(['ENOSYS', 'EPERM', 'EINVAL', 'ENODEV']);

/** Where programs meet packets: before nft's hooks for what arrives, behind them for what leaves. */
export interface LinkHook {
  /** Descriptor of the link's netns; this process's own when absent. */
  readonly netns?: number | undefined;
  /** Index of the link. */
  readonly link: number;
  readonly hook: keyof typeof HOOKS;
}

/** A program at a hook, as the kernel tells it. */
export interface AttachedProgram {
  readonly id: number;
  readonly name: string;
  /** Digest of its instructions, in hex; see {@link programTags}. */
  readonly tag: string;
}

/**
 * Has the kernel verify and compile a classifier of packets (BPF_PROG_TYPE_SCHED_CLS).
 * @param name at most 15 letters, digits, `_` or `.`
 * @returns its descriptor, the caller's to close; a link that it is attached to keeps it
 * @throws {KernelError} EPERM without CAP_BPF, ENOSYS without eBPF, EACCES and EINVAL with the last of
 *   the verifier's words
 */
export function loadClassifier(instructions: Buffer, name: string): number {
  const log = Buffer.alloc(LOG_BYTES);
  try {
    return kernelCall(`load eBPF program "${name}"`, () => native.bpfLoad(instructions, name, log));
  } catch (error) {
    const words = log
      .toString('latin1', 0, Math.max(0, log.indexOf(0)))
      .trim()
      .split('\n');
    if (!(error instanceof KernelError) || words.length < 2) throw error;
    throw new KernelError(`${error.message}: ${words.slice(-4).join(' | ')}`, error, error);
  }
}

/**
 * Puts a loaded program behind those that are at the hook. It stays as long as the link does, whoever
 * ends: no descriptor holds it.
 * @throws {KernelError} EINVAL before Linux 6.6
 */
export function attachProgram(at: LinkHook, program: number): void {
  kernelCall(`attach an eBPF program at ${at.hook}`, () =>
    native.bpfAttach(at.netns ?? -1, at.link, HOOKS[at.hook], program),
  );
}

/** Takes one program away; no fault when it was not there. @throws {KernelError} */
export function detachProgram(at: LinkHook, id: number): void {
  try {
    kernelCall(`detach eBPF program ${id} from ${at.hook}`, () =>
      native.bpfDetach(at.netns ?? -1, at.link, HOOKS[at.hook], id),
    );
  } catch (error) {
    if (!(error instanceof KernelError) || error.errnoName !== 'ENOENT') throw error;
  }
}

/** Programs at a hook in the order they run; none where the kernel has no such hooks. */
export function listPrograms(at: LinkHook): readonly AttachedProgram[] {
  try {
    const found = kernelCall(`list eBPF programs at ${at.hook}`, () =>
      native.bpfAttached(at.netns ?? -1, at.link, HOOKS[at.hook]),
    );
    return found.map(({ id, name, tag }) => ({ id, name, tag: tag.toString('hex') }));
  } catch (error) {
    if (error instanceof KernelError && HAS_NONE.has(error.errnoName)) return [];
    throw error;
  }
}

/**
 * The tags that a kernel may give these instructions (`bpf_prog_calc_tag`): the first 8 bytes of
 * their SHA-256 since Linux 6.18, of their SHA-1 before. They hold for programs without maps.
 */
export function programTags(instructions: Buffer): readonly string[] {
  return ['sha256', 'sha1'].map((name) =>
    createHash(name).update(instructions).digest('hex').slice(0, 16),
  );
}
