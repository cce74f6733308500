import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";

import { NotReached, ofCall } from "../../src/client/status.js";
import { refusal } from "./scheduler.js";

/** The error as it comes over the wire: with the status that the peer sent. */
function sent(error: ConnectError): ConnectError {
  const received = new ConnectError(error.rawMessage, error.code, { "grpc-status": String(error.code) });
  received.details = error.details;
  return received;
}

describe("a refusal", () => {
  it.each([
    [Code.InvalidArgument, "INVALID_ARGUMENT", "InvalidArgument"],
    [Code.InvalidArgument, "PAYLOAD_TOO_LARGE", "InvalidArgument"],
    [Code.NotFound, "NOT_FOUND", "NotFound"],
    [Code.AlreadyExists, "IDEMPOTENCY_CONFLICT", "IdempotencyConflict"],
    [Code.FailedPrecondition, "FAILED_PRECONDITION", "FailedPrecondition"],
    [Code.ResourceExhausted, "BACKLOG_FULL", "BacklogFull"],
    [Code.ResourceExhausted, "TOO_MANY_LANES", "BacklogFull"],
    [Code.ResourceExhausted, "TOO_MANY_REQUESTS", "Unavailable"],
    [Code.Unavailable, "UNAVAILABLE", "Unavailable"],
    [Code.Internal, "INTERNAL", "ServerError"],
    [Code.PermissionDenied, "SOMETHING_NEW", "AccessDenied"],
    [Code.Unauthenticated, "", "AccessDenied"],
    [Code.Canceled, "", "Unavailable"],
    [Code.DeadlineExceeded, "", "DeadlineExceeded"],
    [Code.DataLoss, "", "ServerError"],
  ])("with code %s and reason %j is %s", (code, reason, name) => {
    const error = ofCall(sent(refusal(code, "told", { reason })), "there:7070");
    expect(error.name).toBe(name);
    expect(error.message).toBe("told");
    if (reason) expect(error.reason).toBe(reason);
    expect(error.cause).toBeInstanceOf(ConnectError);
  });

  it("keeps its details", () => {
    const full = refusal(Code.ResourceExhausted, "full", { reason: "BACKLOG_FULL", retryAfter: 2 });
    expect(ofCall(sent(full), "")).toMatchObject({ retryAfter: 2000 });
    const conflict = refusal(Code.AlreadyExists, "k", { reason: "IDEMPOTENCY_CONFLICT", metadata: { task_id: "17" } });
    expect(ofCall(sent(conflict), "")).toMatchObject({ taskId: "17" });
    const invalid = refusal(Code.InvalidArgument, "must be 0 to 10", {
      reason: "INVALID_ARGUMENT",
      field: "task.priority",
    });
    expect(ofCall(sent(invalid), "")).toMatchObject({
      message: "priority: must be 0 to 10",
      violations: [{ field: "priority", description: "must be 0 to 10" }],
    });
  });

  it("in gRPC's own words tells of a wrong port, and of a message too large", () => {
    expect(ofCall(sent(new ConnectError("x", Code.Unimplemented)), "there:1").message).toMatch(
      /^there:1 does not know/,
    );
    const large = ofCall(
      sent(new ConnectError("Received message larger than max (5 vs. 4)", Code.ResourceExhausted)),
      "",
    );
    expect(large).toMatchObject({ name: "ServerError", reason: "MESSAGE_TOO_LARGE" });
  });
});

describe("a call that was broken off", () => {
  it.each([
    ["no connection", new ConnectError("refused", Code.Unavailable, undefined, undefined, new NotReached()), false],
    [
      "a stream that the peer did not begin",
      new ConnectError("closed with error code REFUSED_STREAM (0x7)", Code.Unavailable),
      false,
    ],
    ["a connection lost", new ConnectError("read ECONNRESET", Code.Aborted), true],
    ["a stream reset", new ConnectError("closed with error code CANCEL (0x8)", Code.Canceled), true],
    ["no status", new ConnectError("protocol error: missing status", Code.Internal), true],
    ["a proxy's word", new ConnectError("HTTP 503", Code.Unavailable), true],
  ])("by %s is Unavailable", (_, failure, outcomeUnknown) => {
    expect(ofCall(failure, "there:7070")).toMatchObject({ name: "Unavailable", outcomeUnknown });
  });

  it.each(["HTTP 404", 'unsupported content type "text/html"'])("by %s is a wrong port", (message) => {
    const error = ofCall(new ConnectError(message, Code.Unimplemented), "there:8080");
    expect(error).toMatchObject({
      name: "ServerError",
      message: `there:8080: ${message}: is it a scheduler's gRPC port?`,
    });
  });
});
