/** Time that passes when it is told to. */

interface Event {
  readonly at: number;
  readonly order: number;
  readonly happen: () => void;
}

export class VirtualTime {
  #now: number;
  #order = 0;
  readonly #events = new Set<Event>();

  constructor(start: number) {
    this.#now = start;
  }

  /** Milliseconds since 1970. */
  get now(): number {
    return this.#now;
  }

  /** When the next thing happens; undefined if nothing is to. */
  get next(): number | undefined {
    return this.#first()?.at;
  }

  /** Let `happen` be called at that time; the answer calls it off. */
  at(time: number, happen: () => void): () => void {
    const event = { at: Math.max(time, this.#now), order: this.#order++, happen };
    this.#events.add(event);
    return () => this.#events.delete(event);
  }

  /** Go to the time of the next event, and let it happen. */
  step(): void {
    const event = this.#first();
    if (!event) return;
    this.#events.delete(event);
    this.#now = event.at;
    event.happen();
  }

  /** Let the time be later, with nothing happening on the way. */
  pass(until: number): void {
    this.#now = Math.max(this.#now, until);
  }

  #first(): Event | undefined {
    let first: Event | undefined;
    for (const event of this.#events) {
      if (!first || event.at < first.at || (event.at === first.at && event.order < first.order)) first = event;
    }
    return first;
  }
}
