/** The fencing token of an attempt. */
export type Token = readonly [taskId: string, attempt: number];

/** Stands for a payment provider that knows idempotency keys, as they do. */
export class Bank {
  readonly #charges = new Map<string, string>();

  /** The charge's name; undefined if the card was declined. */
  async charge(key: string, _customer: string, cents: number): Promise<string | undefined> {
    if (cents > 100_000) return undefined;
    const charge = this.#charges.get(key) ?? `charge-${this.#charges.size + 1}`;
    this.#charges.set(key, charge);
    return Promise.resolve(charge);
  }
}

/**
 * Stands for a table with columns for the fencing token. In SQL each write is one statement:
 *
 *     UPDATE orders SET charge = $1 WHERE id = $2 AND task = $3 AND attempt <= $4
 */
export class Orders {
  readonly #rows = new Map<number, { readonly token: Token; readonly charge?: string }>();

  /** Note which attempt works on the order; a later one takes it over. */
  async claim(order: number, token: Token): Promise<void> {
    const [task, attempt] = this.#rows.get(order)?.token ?? token;
    if (task === token[0] && attempt > token[1]) throw new Error(`order ${order} is attempt ${attempt}'s by now`);
    this.#rows.set(order, { ...this.#rows.get(order), token });
    return Promise.resolve();
  }

  async paid(order: number, token: Token, charge: string): Promise<void> {
    await this.claim(order, token);
    this.#rows.set(order, { token, charge });
  }
}
