package taskyard

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	watchedIDs     = 1000
	watchesAtOnce  = 8
	gatheringWaits = 2 * time.Millisecond
	// healthyWatch: a watch that lived this long was fine; when it breaks, the next one is opened without waiting.
	healthyWatch = 5 * time.Second
)

// watcher waits for many tasks to end over few streams, however often connections break.
//
// Waits that begin together share one stream. A stream's tasks are fixed when it opens, so later waits need new
// streams; when there are many, the smaller half is merged into the next one.
type watcher struct {
	calls *calls

	mu        sync.Mutex
	waits     map[string]*wait
	unwatched map[string]struct{}
	watches   map[*watch]struct{}
	opening   bool
	closed    chan struct{}
	running   sync.WaitGroup
}

// wait is for one task to end, on behalf of all who wait for it.
type wait struct {
	over  chan struct{}
	users int
	watch *watch
	task  *taskyardpb.Task
	err   error
}

// watch is one WatchTasks stream and the tasks of it that someone still waits for.
type watch struct {
	ids    map[string]struct{}
	ctx    context.Context
	cancel context.CancelFunc
}

func newWatcher(calls *calls) *watcher {
	return &watcher{
		calls: calls, waits: make(map[string]*wait), unwatched: make(map[string]struct{}),
		watches: make(map[*watch]struct{}), closed: make(chan struct{}),
	}
}

// ended is the task once it is over; an error when the context ends first, when there is no such task, or what else the
// server says about watching it. A cluster that is away is waited for.
func (w *watcher) ended(ctx context.Context, id string) (*taskyardpb.Task, error) {
	self := w.enter(id)
	if self == nil {
		return nil, closedError(false)
	}
	select {
	case <-self.over:
		return self.task, self.err
	case <-ctx.Done():
		w.leave(id, self)
		return nil, endedError(ctx, false)
	}
}

func (w *watcher) enter(id string) *wait {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.isClosed() {
		return nil
	}
	self := w.waits[id]
	if self == nil {
		self = &wait{over: make(chan struct{})}
		w.waits[id] = self
		w.unwatched[id] = struct{}{}
		if !w.opening {
			w.opening = true
			w.running.Add(1)
			go w.openSoon(min(gatheringWaits, gatheringWaits*time.Duration(len(w.watches))))
		}
	}
	self.users++
	return self
}

func (w *watcher) isClosed() bool {
	select {
	case <-w.closed:
		return true
	default:
		return false
	}
}

func (w *watcher) leave(id string, self *wait) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if self.users--; self.users == 0 && w.waits[id] == self {
		w.settle(id, nil, nil)
	}
}

// settle ends a wait. The task needs no watching any more; a stream without any left is ended.
func (w *watcher) settle(id string, task *taskyardpb.Task, err error) {
	self := w.waits[id]
	if self == nil {
		return
	}
	delete(w.waits, id)
	delete(w.unwatched, id)
	if watch := self.watch; watch != nil {
		delete(watch.ids, id)
		if len(watch.ids) == 0 {
			watch.cancel()
		}
	}
	self.task, self.err = task, err
	close(self.over)
}

// openSoon opens streams for what is not watched. The first goes at once; while there are others it gathers for a
// moment, so that a thousand waits don't open a thousand streams.
func (w *watcher) openSoon(gathering time.Duration) {
	defer w.running.Done()
	timer := time.NewTimer(gathering)
	defer timer.Stop()
	select {
	case <-timer.C:
	case <-w.closed:
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.opening = false
	if len(w.unwatched) == 0 || w.isClosed() {
		return
	}
	if len(w.watches) >= watchesAtOnce {
		w.merge()
	}
	ids := slices.Collect(maps.Keys(w.unwatched))
	clear(w.unwatched)
	for part := range slices.Chunk(ids, watchedIDs) {
		w.start(part)
	}
}

// merge takes the smaller half: so a task moves on only when its stream has doubled, a few times at most.
func (w *watcher) merge() {
	bySize := slices.SortedFunc(maps.Keys(w.watches), func(a, b *watch) int { return len(a.ids) - len(b.ids) })
	for _, watch := range bySize[:watchesAtOnce/2] {
		if len(watch.ids) >= watchedIDs/2 {
			continue
		}
		for id := range watch.ids {
			w.waits[id].watch = nil
			w.unwatched[id] = struct{}{}
		}
		clear(watch.ids)
		delete(w.watches, watch)
		watch.cancel()
	}
}

func (w *watcher) start(ids []string) {
	opened := &watch{ids: make(map[string]struct{}, len(ids))}
	opened.ctx, opened.cancel = context.WithCancel(context.Background())
	for _, id := range ids {
		opened.ids[id] = struct{}{}
		w.waits[id].watch = opened
	}
	w.watches[opened] = struct{}{}
	w.running.Add(1)
	go w.follow(opened)
}

// close fails all waits, ends all streams, and waits for their end.
func (w *watcher) close() {
	w.mu.Lock()
	if !w.isClosed() {
		close(w.closed)
	}
	for id := range w.waits {
		w.settle(id, nil, closedError(false))
	}
	w.mu.Unlock()
	w.running.Wait()
}
