/** Runs a session behind a port, in whichever thread. */

import { create } from "@bufbuild/protobuf";
import { performance } from "node:perf_hooks";
import type { MessagePort } from "node:worker_threads";

import { HelloSchema, WorkerService } from "../gen/worker_service_pb.js";
import type { SessionConfig, ToSession, ToWorker } from "./messages.js";
import { Rotation } from "./rotation.js";
import { Session, type Clock, type Listener } from "./session.js";
import { SessionState } from "./state.js";
import { dialer } from "./stream.js";
import type { ResultRecord } from "./wire.js";

const PATH = `/${WorkerService.typeName}/${WorkerService.method.session.name}`;

const CLOCK: Clock = {
  now: () => performance.now(),
  after: (milliseconds, callback) => {
    const timer = setTimeout(callback, Math.max(0, milliseconds));
    return () => {
      clearTimeout(timer);
    };
  },
};

/** Open a session and serve it until it is told to leave. */
export function hostSession(port: MessagePort, { identity, dispatchers }: SessionConfig): void {
  const state = new SessionState(
    create(HelloSchema, { ...identity, types: [...identity.types], queues: [...identity.queues] }),
  );
  const session = new Session(state, new Rotation(dispatchers), dialer(PATH), listener(port), CLOCK);
  port.on("message", (message: ToSession) => {
    serve(message, session, state, port);
  });
  session.start();
}

function serve(message: ToSession, session: Session, state: SessionState, port: MessagePort): void {
  switch (message.do) {
    case "results":
      session.finish(records(message.bytes, message.ends));
      break;
    case "release":
      session.release(message.keys);
      break;
    case "progress":
      session.reportProgress(message.key, message.fraction, message.message);
      break;
    case "drain":
      session.drain();
      tell(port, { tell: "drained" });
      break;
    case "leave":
      void session.leave(message.flushTime).then(() => {
        tell(port, { tell: "left", unacknowledged: state.unacknowledged });
        port.close();
      });
  }
}

function records(array: Uint8Array, ends: readonly number[]): ResultRecord[] {
  const bytes = Buffer.from(array.buffer, array.byteOffset, array.length);
  let start = 0;
  return ends.map((end) => {
    const record = { bytes, start, end };
    start = end;
    return record;
  });
}

function listener(port: MessagePort): Listener {
  return {
    connected: (address, dispatcher, generation) => {
      tell(port, { tell: "connected", address, dispatcher, generation });
    },
    disconnected: (address, why, warn) => {
      tell(port, { tell: "disconnected", address, why, warn });
    },
    starts: ({ bytes, starts, ends }) => {
      // The frame itself moves over: nothing of it is needed here any more.
      port.postMessage({ tell: "starts", bytes, starts, ends } satisfies ToWorker, [bytes.buffer as ArrayBuffer]);
    },
    stops: (stops) => {
      tell(port, { tell: "stops", stops });
    },
    refused: (results) => {
      tell(port, { tell: "refused", results });
    },
    rejected: (why) => {
      tell(port, { tell: "rejected", why });
    },
  };
}

function tell(port: MessagePort, message: ToWorker): void {
  port.postMessage(message);
}
