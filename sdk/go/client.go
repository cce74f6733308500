package taskyard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	defaultScheduler = "localhost:7070"
	schedulerPort    = 7070
	defaultTimeLimit = 30 * time.Second
	// attemptsAtATime is how many runs of a task are fetched at a time.
	attemptsAtATime = 200
	// longestID is more than any id has.
	longestID = 64
)

// ClientOptions says how a Client finds its cluster. The zero value takes everything from the environment.
type ClientOptions struct {
	// Address is host:port of a scheduler, or several separated by commas, of which one is used until it is away.
	// Default: TASKYARD_ADDRESS, else localhost:7070.
	Address string
	// Namespace is TASKYARD_NAMESPACE by default, else "default".
	Namespace string
	// TLS is what TASKYARD_TLS, TASKYARD_TLS_CA … say by default; without them there is no TLS.
	TLS *tls.Config
	// TimeLimit is how long one call may take with its retries, besides what its context says; 30 s by default. Waiting
	// for results isn't bound by it.
	TimeLimit time.Duration
	// GenerateKeys gives every submit that has no idempotency key one of its own, so that it can be repeated when its
	// answer is lost. Costs the server a row each.
	GenerateKeys bool
	// DialOptions are added to those of the connections, e.g. interceptors.
	DialOptions []grpc.DialOption
}

// Client talks to a Taskyard cluster. Any number of goroutines may use one at the same time.
//
// Calls that don't reach a scheduler are retried until the time limit, and so are calls whose answer is lost if doing
// them twice does no harm. A submit without an idempotency key is not such a call: when its answer is lost it ends with
// ErrUnavailable and OutcomeUnknown. Give a key, or set GenerateKeys, to have it retried.
//
// What calls end with is an *Error, but for tasks without a result.
type Client struct {
	namespace    string
	generateKeys bool
	calls        *calls
	gatherer     *gatherer
	watcher      *watcher
}

// NewClient makes a client, which connects at its first call. Close it when it is no longer needed.
func NewClient(options ClientOptions) (*Client, error) {
	return newClient(options, os.Getenv)
}

func newClient(options ClientOptions, env environment) (*Client, error) {
	address := first(options.Address, env("TASKYARD_ADDRESS"), defaultScheduler)
	addresses, err := parseAddresses(address, schedulerPort)
	if err != nil {
		return nil, invalid("address", err.Error())
	}
	namespace := first(options.Namespace, env("TASKYARD_NAMESPACE"), "default")
	if err := printable("namespace", namespace); err != nil {
		return nil, invalid("namespace", "must be printable text")
	}
	secured := options.TLS
	if secured == nil {
		if secured, err = environmentTLS(env); err != nil {
			return nil, &Error{Kind: ErrInvalidArgument, Message: err.Error(), cause: err}
		}
	}
	transport := insecure.NewCredentials()
	if secured != nil {
		transport = credentials.NewTLS(secured)
	}
	dial := append(schedulerDialOptions(), grpc.WithTransportCredentials(transport))
	calls := &calls{newSchedulers(addresses, append(dial, options.DialOptions...)), options.TimeLimit, callDelays}
	if calls.timeLimit <= 0 {
		calls.timeLimit = defaultTimeLimit
	}
	return &Client{namespace, options.GenerateKeys, calls, newGatherer(calls), newWatcher(calls)}, nil
}

// Close ends what is still on its way with ErrClosed and closes the connections. A second time does nothing.
func (c *Client) Close() {
	c.calls.schedulers.close()
	c.gatherer.close()
	c.watcher.close()
}

// Get is the task as it is now.
func (c *Client) Get(ctx context.Context, id string) (*Task, error) {
	id, err := taskID(id)
	if err != nil {
		return nil, err
	}
	told := &taskyardpb.Task{}
	request := &taskyardpb.GetTaskRequest{Id: id}
	if err := c.calls.ask(ctx, taskyardpb.TaskService_GetTask_FullMethodName, request, told); err != nil {
		return nil, err
	}
	return taskOf(told), nil
}

// Wait is the task once it is over, however it ended. It waits until the context ends, also while the cluster is away.
func (c *Client) Wait(ctx context.Context, id string) (*Task, error) {
	id, err := taskID(id)
	if err != nil {
		return nil, err
	}
	told, err := c.watcher.ended(ctx, id)
	if err != nil {
		var failure *Error
		if errors.As(err, &failure) && failure.Kind == ErrDeadlineExceeded {
			failure.Message = fmt.Sprintf("task %s was not over in time; it goes on", id)
		}
		return nil, err
	}
	return taskOf(told), nil
}

// Cancel cancels a task that hasn't started and asks one that runs to stop. The answer is the task as it then is: the
// handler of a running one may still finish. One that has ended in another way is ErrFailedPrecondition.
func (c *Client) Cancel(ctx context.Context, id string) (*Task, error) {
	id, err := taskID(id)
	if err != nil {
		return nil, err
	}
	told := &taskyardpb.Task{}
	request := &taskyardpb.CancelTaskRequest{Id: id}
	if err := c.calls.do(ctx, taskyardpb.TaskService_CancelTask_FullMethodName, request, told, true); err != nil {
		return nil, err
	}
	return taskOf(told), nil
}

// Redrive queues a FAILED task again with fresh budgets; in any other state it is ErrFailedPrecondition.
func (c *Client) Redrive(ctx context.Context, id string) (*Task, error) {
	id, err := taskID(id)
	if err != nil {
		return nil, err
	}
	told := &taskyardpb.Task{}
	request := &taskyardpb.RedriveTaskRequest{Id: id}
	if err := c.calls.do(ctx, taskyardpb.TaskService_RedriveTask_FullMethodName, request, told, false); err != nil {
		return nil, err
	}
	return taskOf(told), nil
}

// Attempts are all of the task's runs, oldest first, in as many calls as it takes.
func (c *Client) Attempts(ctx context.Context, id string) ([]Attempt, error) {
	id, err := taskID(id)
	if err != nil {
		return nil, err
	}
	var found []Attempt
	request := &taskyardpb.ListAttemptsRequest{TaskId: id, PageSize: attemptsAtATime}
	for {
		page := &taskyardpb.ListAttemptsResponse{}
		if err := c.calls.ask(ctx, taskyardpb.TaskService_ListAttempts_FullMethodName, request, page); err != nil {
			return nil, err
		}
		for _, told := range page.Attempts {
			found = append(found, attemptOf(told))
		}
		if request.PageToken = page.NextPageToken; request.PageToken == "" {
			return found, nil
		}
	}
}

// taskID is an id as servers write it, since answers are told apart by it. Text that is no UUID is left to the server
// to refuse, unless it would spoil the stream that waits for other tasks share.
func taskID(id string) (string, error) {
	digits := strings.ToLower(id)
	digits = strings.TrimPrefix(digits, "urn:uuid:")
	digits = strings.ReplaceAll(strings.Trim(digits, "{}"), "-", "")
	if len(digits) == 32 && strings.Trim(digits, "0123456789abcdef") == "" {
		parts := []string{digits[:8], digits[8:12], digits[12:16], digits[16:20], digits[20:]}
		return strings.Join(parts, "-"), nil
	}
	for _, char := range id {
		if char > 127 {
			return "", invalid("id", fmt.Sprintf("%.40q is not a UUID", id))
		}
	}
	if len(id) > longestID {
		return "", invalid("id", fmt.Sprintf("%.40q is not a UUID", id))
	}
	return strings.ToLower(id), nil
}
