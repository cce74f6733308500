/** One connection to one scheduler at a time, and the services behind it. */

import { connect as connectPlain, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";

import { type Client, Code, ConnectError, createClient } from "@connectrpc/connect";
import { createGrpcTransport, Http2SessionManager } from "@connectrpc/connect-node";

import { ClusterService } from "../gen/cluster_service_pb.js";
import { QueueService } from "../gen/queue_service_pb.js";
import { TaskService } from "../gen/task_service_pb.js";
import type { TlsOptions } from "../settings.js";
import { NotReached } from "./status.js";

/** Largest answer that is read. */
const READ_BYTES = 16 * 1024 * 1024;
/** Without pings a peer that vanished silently would leave a waiting call hanging for hours. */
const PINGS = { pingIntervalMs: 30_000, pingTimeoutMs: 10_000 };
/** Long enough for any network, short enough to learn that an address is dead. */
const CONNECT_MS = 3_000;

/** Where one scheduler is: the name that was asked for, and the address that it stands for. */
export interface Endpoint {
  readonly host: string;
  readonly ip: string;
  readonly port: number;
}

/** Certificates are asked for at each connect, so that renewed ones are used. */
export type TlsSource = () => TlsOptions;

/** The services that a scheduler offers. */
export interface Services {
  /** As errors tell it. */
  readonly address: string;
  readonly tasks: Client<typeof TaskService>;
  readonly queues: Client<typeof QueueService>;
  readonly cluster: Client<typeof ClusterService>;
}

/** A scheduler's services, over a connection that is opened when it is needed. */
export class Scheduler implements Services {
  readonly address: string;
  readonly tasks: Client<typeof TaskService>;
  readonly queues: Client<typeof QueueService>;
  readonly cluster: Client<typeof ClusterService>;
  readonly #connection: Connection;

  constructor(endpoint: Endpoint, tls: TlsSource | undefined) {
    this.#connection = new Connection(endpoint, tls);
    this.address = written(endpoint);
    const transport = createGrpcTransport({
      baseUrl: this.#connection.authority,
      sessionManager: this.#connection,
      readMaxBytes: READ_BYTES,
      acceptCompression: [],
    });
    this.tasks = createClient(TaskService, transport);
    this.queues = createClient(QueueService, transport);
    this.cluster = createClient(ClusterService, transport);
  }

  close(): void {
    this.#connection.close();
  }
}

/** Opens connections within a time, and tells calls that no connection could carry from those that broke on the way. */
class Connection {
  readonly authority: string;
  readonly #sessions: Http2SessionManager;
  #closed = false;

  constructor(endpoint: Endpoint, tls: TlsSource | undefined) {
    const { host, port } = endpoint;
    const url = `${tls ? "https" : "http"}://${host.includes(":") ? `[${host}]` : host}:${port}`;
    this.#sessions = new Http2SessionManager(url, PINGS, {
      createConnection: () => open(endpoint, tls?.()),
    });
    this.authority = this.#sessions.authority;
  }

  async request(
    ...call: Parameters<Http2SessionManager["request"]>
  ): Promise<Awaited<ReturnType<Http2SessionManager["request"]>>> {
    if (this.#closed) throw notReached(new Error("the client was closed"));
    const impatience = setTimeout(() => {
      this.#giveUp();
    }, CONNECT_MS);
    try {
      return await this.#sessions.request(...call);
    } catch (error) {
      throw notReached(error);
    } finally {
      clearTimeout(impatience);
    }
  }

  notifyResponseByteRead(...stream: Parameters<Http2SessionManager["notifyResponseByteRead"]>): void {
    this.#sessions.notifyResponseByteRead(...stream);
  }

  close(): void {
    this.#closed = true;
    this.#sessions.abort(new ConnectError("the client was closed", Code.Canceled));
  }

  #giveUp(): void {
    if (this.#sessions.state() !== "connecting") return;
    this.#sessions.abort(new ConnectError(`no connection within ${CONNECT_MS} ms`, Code.Unavailable));
  }
}

function open({ host, ip, port }: Endpoint, tls: TlsOptions | undefined): Socket {
  if (!tls) return connectPlain({ host: ip, port, noDelay: true });
  const { serverName, ...files } = tls;
  const socket = connectTls({ host: ip, port, servername: serverName ?? host, ALPNProtocols: ["h2"], ...files });
  socket.setNoDelay(true);
  return socket;
}

function notReached(error: unknown): ConnectError {
  const { rawMessage } = ConnectError.from(error);
  return new ConnectError(
    rawMessage,
    Code.Unavailable,
    undefined,
    undefined,
    new NotReached(rawMessage, { cause: error }),
  );
}

function written({ host, ip, port }: Endpoint): string {
  const literal = ip.includes(":") ? `[${ip}]` : ip;
  return host === ip ? `${literal}:${port}` : `${host}:${port} (${literal})`;
}
