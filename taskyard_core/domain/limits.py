"""Every size that a caller can hit, in one place."""

PAYLOAD_BYTES = 256 * 1024
RESULT_BYTES = 1024 * 1024
BATCH_TASKS = 1000
BATCH_BYTES = 4 * 1024 * 1024
FRAME_BYTES = 4 * 1024 * 1024
"""A worker's frame. Workers are told to keep to half of it."""
FRAME_RECEIVE_BYTES = 16 * 1024 * 1024
"""What is received at all: a frame between the two is refused in our own words, a larger one in gRPC's."""
JSON_DEPTH = 64

SUBMIT_BYTES = PAYLOAD_BYTES + 64 * 1024
"""A request that submits one task."""
REQUEST_BYTES = 256 * 1024
"""A request of any other kind but a batch."""
SPARE_BYTES = 64 * 1024
"""What a batch over gRPC may hold beside payloads …"""
TASK_SPARE_BYTES = 2 * 1024
"""… and as much more for each of its tasks, which is what the texts of a task take at most."""
VIOLATIONS = 20
"""Violations that one answer names."""
ANSWER_BYTES = 5 * 512 * 1024
"""What whole tasks take in the answer to a batch: gRPC's clients refuse 4 MiB, and refusals may be beside them."""

STORING_BYTES = 16 * 1024 * 1024
"""Payloads that one scheduler stores at once."""
LARGE_BYTES = 64 * 1024
"""Submits and results beyond that wait for their like only: others pass them by."""
ARRIVING_BYTES = 64 * 1024 * 1024
"""Requests under way in one scheduler at once, from the moment that they are read until they are carried out."""
ARRIVING_BYTES_EACH = 16 * 1024 * 1024
"""Those of one connection."""
LEAVING_BYTES = 64 * 1024 * 1024
"""Answers under way in one scheduler at once, from before they are read from the store until they are sent."""
LEAVING_BYTES_EACH = 8 * 1024 * 1024
CALLS = 20_000
"""Calls under way in one scheduler at once, over gRPC."""
CALLS_EACH = 2_000
"""Those of one connection: gRPC's clients keep what is more to themselves."""
WAITS = 10_000
"""Callers that wait for tasks at once, in one scheduler …"""
WAITS_EACH = 1_000
"""… on one connection; all that wait over HTTP count as one …"""
WAITED_TASKS = 100_000
"""… and the tasks that all of them wait for."""
WAITED_TASKS_EACH = 20_000
CONNECTIONS = 2_000
"""Open connections of one HTTP port."""
HEAD_BYTES = 64 * 1024
"""Request line and headers of an HTTP request."""
HEAD_SECONDS = 10.0
"""From the first byte of a connection or request to the end of its headers."""
BODY_SECONDS = 30.0
"""From the end of the headers to the end of the body, and for a request over gRPC."""
SENDING_SECONDS = 60.0
"""How long an answer waits for a client that does not read."""

NAME_LENGTH = 63
TYPE_LENGTH = 128
KEY_BYTES = 256
SELECTOR_LENGTH = 1024
SELECTOR_TERMS = 32
LABELS = 64
LABEL_KEY_LENGTH = 63
LABEL_VALUE_LENGTH = 256
SESSION_TYPES = 1000
SESSION_SLOTS = 10_000
SESSION_PROFILE_BYTES = 4096
"""Of what etcd is told of a session's worker."""
SESSION_SECRET_BYTES_MIN = 16
SESSION_SECRET_BYTES_MAX = 64
HELLO_BYTES = 1024 * 1024
HELLO_KIB_PER_PEER = 4096
"""What a peer's hellos may have at once, each counting at least 1; a peer is a network address, not a worker."""
HELLO_KIB_PER_PEER_AND_SECOND = 256
HELLOS_PER_SESSION = 20
HELLOS_PER_SESSION_AND_SECOND = 2
HELLO_BUCKETS = 10_000
"""Peers, and sessions, whose hellos are counted at once."""
ERROR_TYPE_LENGTH = 256
ERROR_MESSAGE_LENGTH = 4096
ERROR_STACK_LENGTH = 16 * 1024
TRACEPARENT_LENGTH = 128
FRAME_REPORTS = 10_000
"""Results, releases and progress reports of a worker's frame, in all: no session can hold more attempts."""
SESSION_RUNNING = 2 * SESSION_SLOTS
"""Attempts that a hello may name: those that run, and those whose results wait for an ack."""

PRIORITY_MIN = 0
PRIORITY_MAX = 10
PRIORITY_DEFAULT = 5

DELAY_SECONDS = 366 * 24 * 3600.0
"""Furthest in the future that a task may be scheduled."""
TIMEOUT_SECONDS = 30 * 24 * 3600.0

MAX_ATTEMPTS = 1000
MULTIPLIER_MAX = 100.0
INITIAL_BACKOFF_SECONDS = 24 * 3600.0
MAX_BACKOFF_SECONDS = 7 * 24 * 3600.0

CRASHES_ALLOWED = 3
"""A task whose workers died more often than this is quarantined as FAILED with CRASH_LOOP."""

PAGE_SIZE_DEFAULT = 50
PAGE_SIZE_MAX = 1000
PAGE_SCAN = 20_000
"""Most tasks that a list looks at for one page."""
QUEUES_SET_UP = 10_000
"""Most queues that have settings of their own: every server keeps these in memory."""
QUEUE_NOTED_SECONDS = 3600.0
"""A queue that is used is noted so often: what is kept for less than twice that would go while it is used."""
WAIT_SECONDS_DEFAULT = 30.0
WAIT_SECONDS_MAX = 60.0
BULK_LIMIT_DEFAULT = 1000
BULK_LIMIT_MAX = 10_000
