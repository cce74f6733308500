// Charges each order once, however often it is submitted and whichever worker dies on the way.
//
//     node dist/checkout.js worker
//     node dist/checkout.js
import { Client, NonRetryable, task, TaskFailed, Worker } from "@taskyard/sdk";
import { run } from "./run.js";
import { Bank, Orders } from "./stores.js";

export interface Order {
  order: number;
  customer: string;
  cents: number;
}

export interface Receipt {
  order: number;
  charge: string;
}

export const checkout = task<Order, Receipt>("shop.checkout");

/** Final: its name becomes the error's type, which dead letters are found by. */
export class CardDeclined extends NonRetryable {}

export function worker(bank = new Bank(), orders = new Orders()): Worker {
  return new Worker().task(checkout, async ({ token, taskId }, { order, customer, cents }) => {
    // The fence comes first: after it no older attempt, of a worker that was thought dead, can write any more.
    await orders.claim(order, token);
    // The task's id is the same in all attempts: the bank sees one charge however often it is asked.
    const charge = await bank.charge(taskId, customer, cents);
    if (charge === undefined) throw new CardDeclined(`the card of ${customer} was declined`);
    await orders.paid(order, token, charge);
    return { order, charge };
  });
}

export async function submit(client: Client, order: Order): Promise<Receipt | undefined> {
  // With a key the submit can be repeated, by this client when an answer is lost, and by whoever clicks twice.
  const handle = await checkout.submit(client, order, { idempotencyKey: `order-${order.order}`, queue: "shop" });
  try {
    return await handle.result({ timeout: 30_000 });
  } catch (error) {
    if (!(error instanceof TaskFailed) || error.type !== "CardDeclined") throw error;
    console.log("ask for another card:", error.error?.message);
    return undefined;
  }
}

await run(import.meta.url, {
  worker: () => worker().run(),
  submit: async () => {
    await using client = new Client();
    const order = { order: 17, customer: "ada", cents: 4200 };
    console.log(await submit(client, order), await submit(client, order));
  },
});
