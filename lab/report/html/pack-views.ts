import type { Leg, Path } from '../../facts/facts.ts';
import type { FrameView, LayerView, PathViews } from '../../facts/frame-views.ts';
import { hex } from '../leg-words.ts';
import { formatUs } from '../text.ts';
import type { PackedFrame, PackedHop, PackedLayer } from './page-data.ts';
import { hopId } from './replay-steps.ts';

/**
 * Collects frames for the page, each header once, until they are as much as a page should carry;
 * of later hops only the frame that carried the request is kept, and then nothing.
 */
export class ViewPack {
  readonly layers: PackedLayer[] = [];
  readonly hops: Record<string, PackedHop> = {};
  /** Hops of which frames were left out for size. */
  thinned = 0;
  #size = 0;
  readonly #limit: number;
  readonly #known = new Map<string, number>();

  /** @param limit characters of JSON, about */
  constructor(limit: number) {
    this.#limit = limit;
  }

  /** Takes the views of a request whose element has this id. */
  add(
    request: string,
    path: Path,
    views: PathViews,
    fileOf: (leg: Leg, index: number) => string,
  ): void {
    const startNs = BigInt(path.legs[0]?.passages[0]?.timeNs ?? path.request.startedNs);
    path.legs.forEach((leg, legIndex) => {
      views[legIndex]?.forEach((hop, index) => {
        const passage = leg.passages[index]?.frame ?? hop.frames[0]?.number;
        const frames = this.#fitting(hop.frames, passage);
        const packed: PackedHop = {
          file: fileOf(leg, index),
          frames: frames.map((frame) => this.#pack(frame, startNs, frame.number === passage)),
          others: hop.others + hop.frames.length - frames.length,
        };
        this.hops[hopId(request, legIndex, index)] = packed;
      });
    });
  }

  #fitting(frames: readonly FrameView[], passage: number | undefined): readonly FrameView[] {
    if (this.#size < this.#limit) return frames;
    this.thinned++;
    if (this.#size > this.#limit * 1.3) return [];
    return frames.filter(({ number }) => number === passage);
  }

  #pack(frame: FrameView, startNs: bigint, isPassage: boolean): PackedFrame {
    const packed: PackedFrame = {
      number: frame.number,
      at: sinceStart(BigInt(frame.timeNs) - startNs),
      isFromClient: frame.isFromClient,
      bytes: frame.originalBytes,
      mark: frame.mark === undefined ? '' : hex(frame.mark),
      says: frame.says,
      isPassage,
      layers: frame.layers.map((layer) => this.#intern(layer)),
    };
    this.#size += 110 + frame.says.length + 4 * packed.layers.length;
    return packed;
  }

  #intern(layer: LayerView): number {
    const key = JSON.stringify(layer);
    const known = this.#known.get(key);
    if (known !== undefined) return known;
    const index = this.layers.push([layer.name, layer.fields]) - 1;
    this.#known.set(key, index);
    this.#size += key.length;
    return index;
  }
}

function sinceStart(ns: bigint): string {
  return ns < 0n ? `−${formatUs(Number(-ns) / 1000)}` : formatUs(Number(ns) / 1000);
}
