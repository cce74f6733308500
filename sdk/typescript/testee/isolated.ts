/** The module of isolated handlers: the kit's handler in a thread of its own. */

export { handleIsolated as default } from "./worker.js";
