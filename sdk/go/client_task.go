package taskyard

import (
	"encoding/json"
	"strings"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// TaskState is where a task stands. One of a newer server, which this version doesn't know, is its number in words.
type TaskState string

// The states of a task.
const (
	StateScheduled TaskState = "SCHEDULED"
	StateBlocked   TaskState = "BLOCKED"
	StateQueued    TaskState = "QUEUED"
	StateRunning   TaskState = "RUNNING"
	StateSucceeded TaskState = "SUCCEEDED"
	StateFailed    TaskState = "FAILED"
	StateCancelled TaskState = "CANCELLED"
	StateExpired   TaskState = "EXPIRED"
)

// Terminal tells whether the task is over. A failed one can still be redriven.
func (s TaskState) Terminal() bool {
	return s == StateSucceeded || s == StateFailed || s == StateCancelled || s == StateExpired
}

func stateOf(state taskyardpb.TaskState) TaskState {
	return TaskState(strings.TrimPrefix(state.String(), "TASK_STATE_"))
}

// AttemptOutcome is how one run of a task ended: "SUCCEEDED", "FAILED", "CRASHED", "RELEASED", "CANCELLED" or
// "TIMED_OUT"; empty while it runs.
type AttemptOutcome string

func outcomeOf(outcome taskyardpb.AttemptOutcome) AttemptOutcome {
	if outcome == taskyardpb.AttemptOutcome_ATTEMPT_OUTCOME_UNSPECIFIED {
		return ""
	}
	return AttemptOutcome(strings.TrimPrefix(outcome.String(), "ATTEMPT_OUTCOME_"))
}

// Task is a task as the server last told it. Times and durations that do not apply are zero.
type Task struct {
	ID        string
	Namespace string
	Queue     string
	Type      string
	Payload   json.RawMessage
	Priority  int
	Selector  string
	State     TaskState
	// Attempt rises at each claim; with the id it is the fencing token of a run.
	Attempt        int
	Failures       int
	Crashes        int
	IdempotencyKey string
	RunAt          time.Time
	ExpiresAt      time.Time
	Timeout        time.Duration
	Retry          *RetryPolicy
	DependsOn      []string
	// Result is nil unless the state is StateSucceeded.
	Result     json.RawMessage
	Error      *TaskError
	CreatedAt  time.Time
	StartedAt  time.Time
	FinishedAt time.Time
	// Worker is the name of the worker that holds or last held it.
	Worker          string
	Traceparent     string
	CancelRequested bool
	// Progress is what the running handler last reported; nil if nothing.
	Progress *Progress
}

// TaskError is why an attempt or a task failed; Type is a stable word to branch on.
type TaskError struct {
	Type      string
	Message   string
	Stack     string
	Retryable bool
}

// Progress is how far a handler says it has come; Fraction is 0 to 1.
type Progress struct {
	Fraction float64
	Message  string
}

// Attempt is one run of a task. The one that is running has no outcome yet. SessionID is a public name of the session.
type Attempt struct {
	TaskID     string
	Attempt    int
	SessionID  string
	Worker     string
	Pod        string
	Dispatcher string
	StartedAt  time.Time
	FinishedAt time.Time
	Outcome    AttemptOutcome
	Error      *TaskError
}

func taskOf(told *taskyardpb.Task) *Task {
	task := &Task{
		ID: told.Id, Namespace: told.Namespace, Queue: told.Queue, Type: told.Type, Payload: told.Payload,
		Priority: int(told.Priority), Selector: told.Selector, State: stateOf(told.State), Attempt: int(told.Attempt),
		Failures: int(told.Failures), Crashes: int(told.Crashes), IdempotencyKey: told.IdempotencyKey,
		RunAt: moment(told.RunAt), ExpiresAt: moment(told.ExpiresAt), Timeout: span(told.Timeout),
		Retry: policyOf(told.Retry), DependsOn: told.DependsOn, Error: taskErrorOf(told.Error),
		CreatedAt: moment(told.CreatedAt), StartedAt: moment(told.StartedAt), FinishedAt: moment(told.FinishedAt),
		Worker: told.Worker, Traceparent: told.Traceparent, CancelRequested: told.CancelRequested,
	}
	if task.State == StateSucceeded {
		task.Result = told.Result
	}
	if told.Progress != nil {
		task.Progress = &Progress{told.Progress.Fraction, told.Progress.Message}
	}
	return task
}

func attemptOf(told *taskyardpb.Attempt) Attempt {
	return Attempt{
		TaskID: told.TaskId, Attempt: int(told.Attempt), SessionID: told.SessionId, Worker: told.Worker, Pod: told.Pod,
		Dispatcher: told.Dispatcher, StartedAt: moment(told.StartedAt), FinishedAt: moment(told.FinishedAt),
		Outcome: outcomeOf(told.Outcome), Error: taskErrorOf(told.Error),
	}
}

func taskErrorOf(told *taskyardpb.TaskError) *TaskError {
	if told == nil {
		return nil
	}
	return &TaskError{Type: told.Type, Message: told.Message, Stack: told.Stack, Retryable: told.Retryable}
}

func moment(told *timestamppb.Timestamp) time.Time {
	if told == nil {
		return time.Time{}
	}
	return told.AsTime()
}

func span(told *durationpb.Duration) time.Duration {
	return told.AsDuration()
}
