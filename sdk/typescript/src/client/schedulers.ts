/** The schedulers to choose from. All are equal: calls take turns, and one that is away rests for a while. */

import { lookup } from "node:dns/promises";

import { TaskyardError, Unavailable } from "../errors.js";
import type { Clock } from "./clock.js";
import { type Endpoint, Scheduler, type Services, type TlsSource } from "./connection.js";

/** The addresses that a name stands for. */
export type Resolve = (host: string) => Promise<readonly string[]>;

/** The system's way. */
export const resolve: Resolve = async (host) => (await lookup(host, { all: true })).map(({ address }) => address);

const FIRST_REST_MS = 100;
const LONGEST_REST_MS = 2_000;
/** An upgrade replaces all that a name stands for within seconds. */
const LOOKUP_AGAIN_MS = 1_000;

interface Place {
  readonly scheduler: Scheduler;
  rest: number;
  restsUntil: number;
}

/** Where calls go. */
export interface SchedulerSource {
  /** The one whose turn it is. */
  next(): Promise<Services>;
  /** Whether one is left that is not known to be away. */
  readonly anyAwake: boolean;
  /** It is away. */
  avoid(scheduler: Services): void;
  /** It answered. */
  trust(scheduler: Services): void;
  close(): void;
}

export class Schedulers implements SchedulerSource {
  readonly #addresses: readonly string[];
  readonly #tls: TlsSource | undefined;
  readonly #clock: Clock;
  readonly #resolve: Resolve;
  readonly #opened = new Set<Scheduler>();
  #places = new Map<string, Place>();
  #turn: number;
  #lookup: Promise<void> | undefined;
  #lookedUpAt = -Infinity;
  #doubted = true;
  #closed = false;
  #unknownName: unknown;

  constructor(addresses: readonly string[], tls: TlsSource | undefined, clock: Clock, resolver: Resolve = resolve) {
    this.#addresses = addresses;
    this.#tls = tls;
    this.#clock = clock;
    this.#resolve = resolver;
    // Clients with the same list begin at different places, which spreads them.
    this.#turn = Math.floor(clock.random() * 1000);
  }

  /** The one whose turn it is; throws Unavailable where no name is known, and TaskyardError after `close`. */
  async next(): Promise<Scheduler> {
    if (this.#doubted && this.#clock.now() - this.#lookedUpAt >= LOOKUP_AGAIN_MS) {
      await (this.#lookup ??= this.#lookUp().finally(() => (this.#lookup = undefined)));
    }
    if (this.#closed) throw new TaskyardError("the client is closed", "CLIENT_CLOSED");
    const now = this.#clock.now();
    const all = [...this.#places.values()];
    const awake = all.filter(({ restsUntil }) => restsUntil <= now);
    const candidates = awake.length > 0 ? awake : all;
    const chosen = candidates[this.#turn++ % candidates.length];
    if (!chosen) {
      const told = `no scheduler behind ${this.#addresses.join(", ")}`;
      throw new Unavailable(told, false, undefined, { cause: this.#unknownName });
    }
    return chosen.scheduler;
  }

  /** Whether one is left that is not known to be away. */
  get anyAwake(): boolean {
    const now = this.#clock.now();
    return [...this.#places.values()].some(({ restsUntil }) => restsUntil <= now);
  }

  /** It is away: it rests, longer each time, and its name is looked up again. */
  avoid(scheduler: Services): void {
    this.#doubted = true;
    const place = this.#placeOf(scheduler);
    const now = this.#clock.now();
    if (!place || place.restsUntil > now) return;
    place.rest = Math.min(Math.max(place.rest * 2, FIRST_REST_MS), LONGEST_REST_MS);
    place.restsUntil = now + place.rest * (0.8 + 0.4 * this.#clock.random());
  }

  /** It answered. */
  trust(scheduler: Services): void {
    const place = this.#placeOf(scheduler);
    if (place) place.rest = place.restsUntil = 0;
  }

  close(): void {
    this.#closed = true;
    for (const scheduler of this.#opened) scheduler.close();
    this.#opened.clear();
    this.#places.clear();
  }

  #placeOf(scheduler: Services): Place | undefined {
    return [...this.#places.values()].find((place) => place.scheduler === scheduler);
  }

  async #lookUp(): Promise<void> {
    const endpoints = (await Promise.all(this.#addresses.map((address) => this.#endpointsOf(address)))).flat();
    this.#lookedUpAt = this.#clock.now();
    if (this.#closed) return;
    // What names stood for before is all there is where none can be looked up now.
    if (endpoints.length === 0) return;
    this.#doubted = false;
    const places = new Map<string, Place>();
    for (const endpoint of endpoints) {
      const key = `${endpoint.host} ${endpoint.ip} ${endpoint.port}`;
      places.set(key, this.#places.get(key) ?? this.#place(endpoint));
    }
    this.#places = places;
  }

  #place(endpoint: Endpoint): Place {
    const scheduler = new Scheduler(endpoint, this.#tls);
    this.#opened.add(scheduler);
    return { scheduler, rest: 0, restsUntil: 0 };
  }

  async #endpointsOf(address: string): Promise<Endpoint[]> {
    const colon = address.lastIndexOf(":");
    const host = address.slice(0, colon).replace(/^\[|\]$/g, "");
    const port = Number(address.slice(colon + 1));
    try {
      return (await this.#resolve(host)).map((ip) => ({ host, ip, port }));
    } catch (error) {
      // A name that is not known now is one address less; with none left, `next` says so.
      this.#unknownName = error;
      return [];
    }
  }
}
