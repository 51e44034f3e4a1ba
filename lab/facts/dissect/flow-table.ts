/**
 * Finds the number of a flow by source, destination and ports: open addressing over three 32-bit
 * words, since a Map would need a string or a float per frame. IPv4 addresses are their own word;
 * IPv6 ones are interned.
 */
export class FlowTable {
  #slots = new Int32Array(256);
  #values = new Int32Array(128);
  #sources = new Int32Array(128);
  #destinations = new Int32Array(128);
  #ports = new Int32Array(128);
  #count = 0;

  /** The value of the flow, -1 where there is none. */
  get(source: number, destination: number, ports: number): number {
    const entry = this.#slots[this.#slot(source, destination, ports)]!;
    return entry === 0 ? -1 : this.#values[entry - 1]!;
  }

  /** Sets the value of the flow, which replaces an earlier one. */
  set(source: number, destination: number, ports: number, value: number): void {
    let slot = this.#slot(source, destination, ports);
    if (this.#slots[slot] !== 0) {
      this.#values[this.#slots[slot]! - 1] = value;
      return;
    }
    if (this.#count === this.#values.length) {
      this.#grow();
      slot = this.#slot(source, destination, ports);
    }
    const entry = this.#count++;
    this.#sources[entry] = source;
    this.#destinations[entry] = destination;
    this.#ports[entry] = ports;
    this.#values[entry] = value;
    this.#slots[slot] = entry + 1;
  }

  /** The slot of the flow, or the free one where it belongs. */
  #slot(source: number, destination: number, ports: number): number {
    const mask = this.#slots.length - 1;
    let slot = hash(source, destination, ports) & mask;
    for (;;) {
      const entry = this.#slots[slot]! - 1;
      if (entry < 0) return slot;
      const isSame =
        this.#sources[entry] === source &&
        this.#destinations[entry] === destination &&
        this.#ports[entry] === ports;
      if (isSame) return slot;
      slot = (slot + 1) & mask;
    }
  }

  #grow(): void {
    const size = this.#values.length * 2;
    this.#values = grown(this.#values, size);
    this.#sources = grown(this.#sources, size);
    this.#destinations = grown(this.#destinations, size);
    this.#ports = grown(this.#ports, size);
    this.#slots = new Int32Array(size * 2);
    for (let entry = 0; entry < this.#count; entry++) {
      const slot = this.#slot(
        this.#sources[entry]!,
        this.#destinations[entry]!,
        this.#ports[entry]!,
      );
      this.#slots[slot] = entry + 1;
    }
  }
}

function grown(from: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const to = new Int32Array(size);
  to.set(from);
  return to;
}

function hash(source: number, destination: number, ports: number): number {
  let h = Math.imul(source ^ 0x9e3779b9, 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 15) ^ destination, 0xc2b2ae35);
  h = Math.imul(h ^ (h >>> 13) ^ ports, 0x27d4eb2f);
  return h ^ (h >>> 16);
}
