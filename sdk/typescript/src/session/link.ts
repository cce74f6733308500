/** The worker's end of its session. */

import { MessageChannel, Worker as Thread, type MessagePort } from "node:worker_threads";

import { hostSession } from "./host.js";
import type { SessionConfig, ToSession, ToWorker } from "./messages.js";

export interface Link {
  post(message: ToSession, transfer?: ArrayBuffer[]): void;
  /** Take down what is left of it. */
  close(): Promise<void>;
}

/**
 * Open a session in a thread of its own, whose file is `place`, or with `false` in this one.
 *
 * `died` is told if the thread ends with an error, which it never should.
 */
export function openSession(
  config: SessionConfig,
  place: URL | false,
  receive: (message: ToWorker) => void,
  died: (error: Error) => void,
): Link {
  return place === false ? inThisThread(config, receive) : inThread(config, place, receive, died);
}

function inThread(
  config: SessionConfig,
  place: URL,
  receive: (message: ToWorker) => void,
  died: (error: Error) => void,
): Link {
  const thread = new Thread(place, { workerData: config, name: "taskyard-session", execArgv: [] });
  thread.on("message", receive);
  thread.on("error", died);
  return {
    post: (message, transfer = []) => {
      thread.postMessage(message, transfer);
    },
    close: async () => {
      await thread.terminate();
    },
  };
}

function inThisThread(config: SessionConfig, receive: (message: ToWorker) => void): Link {
  const { port1, port2 } = new MessageChannel();
  const mine: MessagePort = port1;
  mine.on("message", receive);
  hostSession(port2, config);
  return {
    post: (message, transfer = []) => {
      mine.postMessage(message, transfer);
    },
    close: () => {
      mine.close();
      return Promise.resolve();
    },
  };
}
