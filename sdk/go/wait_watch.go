package taskyard

import (
	"errors"
	"fmt"
	"io"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/peer"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// follow reads streams for the tasks of a watch until none is left.
func (w *watcher) follow(watch *watch) {
	defer w.running.Done()
	defer w.forget(watch)
	for failures := 0; ; failures++ {
		ids := w.left(watch)
		if len(ids) == 0 {
			return
		}
		opened := time.Now()
		failure := w.read(watch, ids)
		lasted := time.Since(opened)
		switch {
		case watch.ctx.Err() != nil:
			return
		case failure == nil, failure.Kind == ErrInvalidArgument && w.failNamed(ids, failure):
			failures = -1
		case failure.Kind != ErrUnavailable && failure.Kind != ErrDeadlineExceeded:
			w.failAll(ids, failure)
		case lasted >= healthyWatch:
			failures = -1
		case !pause(watch.ctx, max(w.calls.delays.wait(failures), failure.RetryAfter)):
			return
		}
	}
}

func (w *watcher) forget(watch *watch) {
	w.mu.Lock()
	defer w.mu.Unlock()
	delete(w.watches, watch)
	watch.cancel()
}

func (w *watcher) left(watch *watch) []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Collect(maps.Keys(watch.ids))
}

// read follows one stream to its end; the error says why it ended before its tasks did.
func (w *watcher) read(watch *watch, ids []string) *Error {
	scheduler, closed := w.calls.schedulers.current()
	if closed != nil {
		return closed
	}
	var reached peer.Peer
	tasks := taskyardpb.NewTaskServiceClient(scheduler.conn)
	stream, err := tasks.WatchTasks(watch.ctx, &taskyardpb.WatchTasksRequest{Ids: ids}, grpc.Peer(&reached))
	for err == nil {
		var told *taskyardpb.WatchTasksResponse
		if told, err = stream.Recv(); err == nil {
			w.take(told)
		}
	}
	if !errors.Is(err, io.EOF) {
		if watch.ctx.Err() != nil {
			return nil
		}
		return w.calls.failure(scheduler, err, reached.Addr != nil)
	}
	if len(w.left(watch)) > 0 {
		return &Error{Kind: ErrUnavailable, Message: "the server ended the watch before its tasks did"}
	}
	return nil
}

func (w *watcher) take(told *taskyardpb.WatchTasksResponse) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, task := range told.Tasks {
		if stateOf(task.State).Terminal() {
			w.settle(task.Id, task, nil)
		}
	}
	for _, id := range told.UnknownIds {
		w.settle(id, nil, &Error{Kind: ErrNotFound, Reason: "NOT_FOUND", Message: "no task " + id})
	}
}

func (w *watcher) failAll(ids []string, failure *Error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, id := range ids {
		w.settle(id, nil, failure)
	}
}

// failNamed fails the ids that the server doesn't take for ids, so that the others on the stream don't suffer.
func (w *watcher) failNamed(ids []string, refusal *Error) bool {
	named := false
	for _, violation := range refusal.Violations {
		place, err := strconv.Atoi(strings.TrimSuffix(strings.TrimPrefix(violation.Field, "ids["), "]"))
		if err != nil || place < 0 || place >= len(ids) {
			continue
		}
		named = true
		w.failAll(ids[place:place+1], invalid("id", fmt.Sprintf("%q %s", ids[place], violation.Description)))
	}
	return named
}
