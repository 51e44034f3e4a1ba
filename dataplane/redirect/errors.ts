import type { Era } from './era.ts';

/** Asked for rules of an era that this version has no generator for. */
export class EraNotBuildableError extends Error {
  override readonly name = 'EraNotBuildableError';
  readonly code = 'DATAPLANE_REDIRECT_ERA_NOT_BUILDABLE';
  readonly era: Era;
  readonly buildable: readonly Era[];

  constructor(era: Era, buildable: readonly Era[]) {
    super(
      `Cannot build redirect rules of era "${era}": this version cannot build it yet, ` +
        `one of ${buildable.join(', ')} is wished`,
    );
    this.era = era;
    this.buildable = buildable;
  }
}

/** Asked for rules that the era, or iptables, cannot express. */
export class RedirectOptionsError extends Error {
  override readonly name = 'RedirectOptionsError';
  readonly code = 'DATAPLANE_REDIRECT_OPTIONS';
  readonly option: string;

  constructor(option: string, value: string, reason: string) {
    super(`Cannot build redirect rules with ${option} "${value}": ${reason}`);
    this.option = option;
  }
}

/** Text that `iptables-save` does not print. Line and column count from 1. */
export class SavedRulesError extends Error {
  override readonly name = 'SavedRulesError';
  readonly code = 'DATAPLANE_REDIRECT_SAVE_SYNTAX';
  readonly line: number;
  readonly column: number;
  readonly reason: string;

  constructor(line: number, column: number, reason: string) {
    super(`Cannot parse iptables-save text at ${line}:${column}: ${reason}`);
    this.line = line;
    this.column = column;
    this.reason = reason;
  }
}

/** Text that `nft list` does not print. Line and column count from 1. */
export class NftListingError extends Error {
  override readonly name = 'NftListingError';
  readonly code = 'DATAPLANE_REDIRECT_NFT_SYNTAX';
  readonly line: number;
  readonly column: number;
  readonly reason: string;

  constructor(line: number, column: number, reason: string) {
    super(`Cannot parse nft listing at ${line}:${column}: ${reason}`);
    this.line = line;
    this.column = column;
    this.reason = reason;
  }
}
