import { KernelError } from './errors.ts';

/** One line of a program: an instruction as `llvm-objdump` and `bpftool` write it, and its reason. */
export interface BpfLine {
  /** Name that jumps to this line use. */
  readonly label?: string;
  readonly text: string;
  readonly why?: string;
}

/** Bytes of one instruction: struct bpf_insn of include/uapi/linux/bpf.h. */
export const BPF_INSTRUCTION_BYTES = 8;

interface Instruction {
  readonly code: number;
  readonly to?: number;
  readonly from?: number;
  readonly offset?: number;
  readonly value?: number;
}

/** Jumps by condition, arithmetic by operator, access by width: Documentation/bpf/standardization. */
const JUMPS = { '==': 0x10, '>': 0x20, '>=': 0x30, '!=': 0x50, '<': 0xa0, '<=': 0xb0 } as const;
const ARITHMETIC = { '+=': 0x00, '-=': 0x10, '&=': 0x50, '<<=': 0x60, '=': 0xb0 } as const;
const WIDTHS = { u32: 0x00, u16: 0x08, u8: 0x10 } as const;
const [LOAD, STORE, ALU64, JUMP, JUMP32] = [0x61, 0x62, 0x07, 0x05, 0x06];
const FROM_REGISTER = 0x08;
const CALL = 0x85;
const EXIT = 0x95;

type Form = readonly [
  RegExp,
  (match: readonly string[], jumpTo: (label: string) => number) => Instruction,
];

const NUMBER = String.raw`(-?(?:0x[0-9a-f]+|\d+))`;

const FORMS: readonly Form[] = [
  [/^exit$/, () => ({ code: EXIT })],
  [/^call (\d+)$/, ([, id]) => ({ code: CALL, value: Number(id) })],
  [/^goto (\w+)$/, ([, label], jumpTo) => ({ code: JUMP, offset: jumpTo(label!) })],
  [
    new RegExp(`^if ([rw])(\\d+) (==|!=|<=?|>=?) (?:[rw](\\d+)|${NUMBER}) goto (\\w+)$`),
    ([, width, to, test, from, value, label], jumpTo) => ({
      code: (width === 'w' ? JUMP32 : JUMP) | JUMPS[test as keyof typeof JUMPS] | source(from),
      ...{ to: Number(to), from: Number(from ?? 0), offset: jumpTo(label!) },
      value: Number(value ?? 0),
    }),
  ],
  [
    /^r(\d+) = \*\((u8|u16|u32) \*\)\(r(\d+) \+ (\d+)\)$/,
    ([, to, width, from, offset]) => ({
      code: LOAD | WIDTHS[width as keyof typeof WIDTHS],
      ...{ to: Number(to), from: Number(from), offset: Number(offset) },
    }),
  ],
  [
    new RegExp(`^\\*\\(u32 \\*\\)\\(r(\\d+) ([+-]) (\\d+)\\) = ${NUMBER}$`),
    ([, to, sign, offset, value]) => ({
      code: STORE,
      ...{ to: Number(to), offset: Number(`${sign}${offset}`), value: Number(value) },
    }),
  ],
  [
    new RegExp(`^r(\\d+) ([-+&]=|<<=|=) (?:r(\\d+)|${NUMBER})$`),
    ([, to, operator, from, value]) => ({
      code: ALU64 | ARITHMETIC[operator as keyof typeof ARITHMETIC] | source(from),
      ...{ to: Number(to), from: Number(from ?? 0), value: Number(value ?? 0) },
    }),
  ],
];

/**
 * The program's instructions for `bpf(BPF_PROG_LOAD)`, in the byte order of this machine's kernel
 * (little-endian). `r` compares 64 bits, `w` the lower 32.
 * @throws {KernelError} DATAPLANE_KERNEL_EINVAL for a line that is no instruction of the few known here
 */
export function assemble(lines: readonly BpfLine[]): Buffer {
  const labels = new Map(
    lines.flatMap(({ label }, at) => (label === undefined ? [] : [[label, at]])),
  );
  const program = Buffer.alloc(lines.length * BPF_INSTRUCTION_BYTES);
  for (const [at, { text }] of lines.entries()) {
    const {
      code,
      to = 0,
      from = 0,
      offset = 0,
      value = 0,
    } = instructionOf(text, (label) => {
      const target = labels.get(label);
      if (target === undefined) throw refused(text, `no line has the label "${label}"`);
      return target - at - 1;
    });
    const start = at * BPF_INSTRUCTION_BYTES;
    program[start] = code;
    program[start + 1] = (from << 4) | to;
    program.writeInt16LE(offset, start + 2);
    program.writeInt32LE(value | 0, start + 4);
  }
  return program;
}

/** The program for reading: number, instruction, reason; as labels stand before their lines. */
export function listProgram(lines: readonly BpfLine[]): readonly string[] {
  return lines.flatMap(({ label, text, why }, at) => [
    ...(label === undefined ? [] : [`${label}:`]),
    `${String(at).padStart(4)}  ${why === undefined ? text : `${text.padEnd(34)}; ${why}`}`,
  ]);
}

function instructionOf(text: string, jumpTo: (label: string) => number): Instruction {
  for (const [pattern, make] of FORMS) {
    const match = pattern.exec(text);
    if (match) return make(match, jumpTo);
  }
  throw refused(text, 'it has none of the known forms');
}

function source(register: string | undefined): number {
  return register === undefined ? 0 : FROM_REGISTER;
}

function refused(text: string, seen: string): KernelError {
  const fault = { syscall: 'assemble', errno: 22, errnoName: 'EINVAL' };
  return new KernelError(`Cannot assemble "${text}": ${seen}, an instruction is wished`, fault);
}
