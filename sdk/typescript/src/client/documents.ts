/** JSON documents of the wire: what cannot be one is the caller's error, what is none the server's. */

import { NotJson, ServerError } from "../errors.js";
import * as payload from "../payload.js";

/** UTF-8 JSON of what a caller gave; throws NotJson naming `field`. */
export function encode(value: unknown, field: string): Uint8Array {
  try {
    return payload.encode(value);
  } catch (error) {
    const description = `is not JSON: ${error instanceof Error ? error.message : String(error)}`;
    const refused = new NotJson([{ field, description }]);
    refused.cause = error;
    throw refused;
  }
}

/** The value of a document that the server has checked. */
export function decode(document: Uint8Array, field: string): unknown {
  try {
    return payload.decode(document);
  } catch (error) {
    throw new ServerError(`the server sent a ${field} that is not JSON`, "", { cause: error });
  }
}
