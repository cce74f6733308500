/** Which dispatcher to try next, and how long to wait before it. Times are milliseconds. */

const BACKOFF_FIRST = 50;
const BACKOFF_MAX = 2000;

/**
 * Walks over the addresses from a random start, so that workers spread.
 *
 * After a stream that worked, every address is tried once without delay; from then on tries are spaced by an exponential
 * backoff with jitter until a stream works again. A stream that was welcomed and soon broke counts as one that worked, but
 * only once in a row: a dispatcher that breaks all streams is not besieged.
 */
export class Rotation {
  readonly #addresses: readonly string[];
  readonly #random: () => number;
  #index: number;
  #tries = 0;
  #spared = false;

  constructor(addresses: readonly string[], random: () => number = Math.random) {
    this.#addresses = addresses;
    this.#random = random;
    this.#index = Math.floor(random() * addresses.length) - 1;
  }

  /** How many different addresses there are. */
  get size(): number {
    return new Set(this.#addresses).size;
  }

  /** The last address gave a working stream. */
  worked(): void {
    this.#tries = 0;
    this.#spared = false;
  }

  /** The last address welcomed the worker, and soon after that the stream broke. */
  brokeEarly(): void {
    if (this.#spared) return;
    this.#tries = 0;
    this.#spared = true;
  }

  /** The next address, and how long to wait before connecting to it. */
  following(): { address: string; delay: number } {
    this.#index = (this.#index + 1) % this.#addresses.length;
    const address = this.#addresses[this.#index];
    if (address === undefined) throw new Error("at least one dispatcher address is needed");
    return { address, delay: this.#delay(this.#tries++ - this.#addresses.length) };
  }

  #delay(failures: number): number {
    if (failures < 0) return 0;
    return Math.min(BACKOFF_MAX, BACKOFF_FIRST * 2 ** Math.min(failures, 10)) * (0.5 + this.#random() / 2);
  }
}
