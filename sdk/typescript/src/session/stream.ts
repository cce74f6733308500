/**
 * One bidirectional gRPC call over a connection of its own: Node's HTTP/2 and gRPC's framing.
 *
 * A new connection for each try carries no earlier try's backoff along.
 */

import { lookup } from "node:dns";
import { connect, type ClientHttp2Stream, type IncomingHttpHeaders } from "node:http2";
import type { LookupFunction } from "node:net";

import { PREFIX_BYTES } from "./wire.js";

/** gRPC's words for how a call ended. */
export const Status = {
  OK: 0,
  UNKNOWN: 2,
  INVALID_ARGUMENT: 3,
  PERMISSION_DENIED: 7,
  UNIMPLEMENTED: 12,
  UNAVAILABLE: 14,
  UNAUTHENTICATED: 16,
} as const;

const MAX_MESSAGE = 16 * 1024 * 1024;
const WINDOW = 4 * 1024 * 1024;

/** How a call ended. */
export interface Ending {
  readonly status: number;
  readonly message: string;
}

export interface StreamEvents {
  /** A message came. */
  message(message: Buffer): void;
  /** The call is over; nothing follows. */
  ended(ending: Ending): void;
}

export interface Stream {
  /** Send a message that has its prefix; `sent` is called when the stream can take the next one. */
  send(message: Buffer, sent: () => void): void;
  /** Say that nothing more will be sent. */
  finish(): void;
  /** Break the call off. */
  cancel(why: string): void;
}

/** Opens a call. */
export type Dial = (address: string, events: StreamEvents) => Stream;

/** Call `path` at an address. */
export function dialer(path: string): Dial {
  return (address, events) => {
    const connection = connect(`http://${address}`, { lookup: shuffled, settings: { initialWindowSize: WINDOW } });
    const once = endedOnce(events, () => {
      connection.destroy();
    });
    connection.once("connect", () => {
      connection.setLocalWindowSize(WINDOW);
    });
    connection.on("error", (error: Error) => {
      once({ status: Status.UNAVAILABLE, message: error.message });
    });
    connection.on("close", () => {
      once({ status: Status.UNAVAILABLE, message: "the connection was closed" });
    });
    const call = connection.request({
      ":method": "POST",
      ":path": path,
      "content-type": "application/grpc+proto",
      te: "trailers",
    });
    listen(call, events, once);
    return {
      send: (message, sent) => {
        call.write(message, (error) => {
          if (!error) sent();
        });
      },
      finish: () => {
        call.end();
      },
      cancel: (why) => {
        once({ status: Status.UNAVAILABLE, message: why });
      },
    };
  };
}

function endedOnce(events: StreamEvents, clean: () => void): (ending: Ending) => void {
  let over = false;
  return (ending) => {
    if (over) return;
    over = true;
    clean();
    events.ended(ending);
  };
}

function listen(call: ClientHttp2Stream, events: StreamEvents, ended: (ending: Ending) => void): void {
  const assembly = new Assembly();
  let told: Ending | undefined;
  call.on("response", (headers) => {
    told = statusIn(headers) ?? httpFailure(headers[":status"]);
  });
  call.on("trailers", (headers: IncomingHttpHeaders) => {
    told = statusIn(headers) ?? told;
  });
  call.on("data", (chunk: Buffer) => {
    try {
      for (const message of assembly.add(chunk)) events.message(message);
    } catch (error) {
      ended({ status: Status.UNKNOWN, message: error instanceof Error ? error.message : String(error) });
    }
  });
  call.on("error", (error: Error) => {
    ended(told ?? { status: Status.UNAVAILABLE, message: error.message });
  });
  call.on("close", () => {
    ended(told ?? { status: Status.UNAVAILABLE, message: `the stream was closed with HTTP/2 code ${call.rstCode}` });
  });
}

function statusIn(headers: IncomingHttpHeaders): Ending | undefined {
  const status = headers["grpc-status"];
  if (typeof status !== "string") return undefined;
  return { status: Number(status), message: readable(headers["grpc-message"]) };
}

function readable(message: string | string[] | undefined): string {
  const text = String(message ?? "");
  try {
    return decodeURIComponent(text);
  } catch {
    return text; // not percent-encoded as gRPC wants it: better than nothing
  }
}

function httpFailure(status: number | undefined): Ending | undefined {
  if (status === 200) return undefined;
  const message = `HTTP status ${status ?? "missing"}: no gRPC server`;
  if (status === 401) return { status: Status.UNAUTHENTICATED, message };
  if (status === 403) return { status: Status.PERMISSION_DENIED, message };
  return { status: status === 404 ? Status.UNIMPLEMENTED : Status.UNAVAILABLE, message };
}

/** Puts messages together from what the connection brings. Each has memory of its own, which can go to another thread. */
class Assembly {
  #chunks: Buffer[] = [];
  #size = 0;
  #wanted = PREFIX_BYTES;

  *add(chunk: Buffer): Generator<Buffer> {
    this.#chunks.push(chunk);
    this.#size += chunk.length;
    while (this.#size >= this.#wanted) {
      const joined = this.#chunks.length === 1 ? (this.#chunks[0] ?? chunk) : Buffer.concat(this.#chunks, this.#size);
      this.#chunks = [joined];
      const end = PREFIX_BYTES + lengthOf(joined);
      if (joined.length < end) {
        this.#wanted = end;
        return;
      }
      const message = Buffer.allocUnsafeSlow(end - PREFIX_BYTES);
      joined.copy(message, 0, PREFIX_BYTES, end);
      this.#chunks = [joined.subarray(end)];
      this.#size -= end;
      this.#wanted = PREFIX_BYTES;
      yield message;
    }
  }
}

function lengthOf(message: Buffer): number {
  if (message[0] !== 0) throw new Error("the dispatcher sent a compressed message, which nobody asked for");
  const length = message.readUInt32BE(1);
  if (length > MAX_MESSAGE) throw new Error(`the dispatcher sent a frame of ${length} bytes`);
  return length;
}

/** One name may stand for many dispatchers: spread over them. */
const shuffled: LookupFunction = (hostname, options, callback) => {
  lookup(hostname, options, (error, found, family) => {
    if (Array.isArray(found)) found.sort(() => Math.random() - 0.5);
    callback(error, found, family);
  });
};
