import { create, toBinary, type MessageInitShape } from "@bufbuild/protobuf";

import { DispatcherFrameSchema } from "../../src/gen/worker_service_pb.js";

/** A dispatcher's frame as it travels. */
export function frame(init: MessageInitShape<typeof DispatcherFrameSchema>): Buffer {
  return Buffer.from(toBinary(DispatcherFrameSchema, create(DispatcherFrameSchema, init)));
}
