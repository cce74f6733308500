/** The session's own thread: what handlers do on the main one costs it no heartbeat. */

import { parentPort, workerData } from "node:worker_threads";

import { hostSession } from "./host.js";
import type { SessionConfig } from "./messages.js";

if (parentPort === null) throw new Error("this file is a thread of a worker's, not a program");
hostSession(parentPort, workerData as SessionConfig);
