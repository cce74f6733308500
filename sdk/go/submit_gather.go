package taskyard

import (
	"context"
	"runtime"
	"sync"

	"github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

// flightsAtOnce is how many calls with gathered submits are on their way at once. One would idle while its answer
// travels; more make each smaller and dearer.
const flightsAtOnce = 2

// gatherer lets single submits made at the same time travel together. No timer is involved: what arrives while calls
// are on their way goes into the next one, and a lone submit goes at once.
type gatherer struct {
	calls *calls

	mu      sync.Mutex
	waiting []*passenger
	flights map[*flight]struct{}
	flying  int
	closed  bool
	lanes   sync.WaitGroup
}

// passenger is one submit: its task, and where its outcome goes.
type passenger struct {
	spec    *taskyardpb.TaskSpec
	size    int
	outcome chan submitted
	flight  *flight
	left    bool
}

// flight is one call on its way with the submits it carries.
type flight struct {
	passengers []*passenger
	staying    int
	cancel     context.CancelCauseFunc
}

func newGatherer(calls *calls) *gatherer {
	return &gatherer{calls: calls, flights: make(map[*flight]struct{})}
}

// submit answers once the task is durable. When the context ends before it was sent, it is never sent; later the
// outcome is unknown.
func (g *gatherer) submit(ctx context.Context, spec *taskyardpb.TaskSpec) submitted {
	size, err := sizeOf(spec)
	if err != nil {
		return submitted{err: err}
	}
	if ctx.Err() != nil {
		return submitted{err: endedError(ctx, false)}
	}
	self := &passenger{spec: spec, size: size, outcome: make(chan submitted, 1)}
	if !g.enter(self) {
		return submitted{err: closedError(false)}
	}
	select {
	case outcome := <-self.outcome:
		return outcome
	case <-ctx.Done():
		return g.leave(ctx, self)
	}
}

func (g *gatherer) enter(self *passenger) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.closed {
		return false
	}
	g.waiting = append(g.waiting, self)
	if g.flying < flightsAtOnce {
		g.flying++
		g.lanes.Add(1)
		go g.fly()
	}
	return true
}

// leave is the outcome of a submit whose caller waits no longer. The call itself is cancelled when nobody is left.
func (g *gatherer) leave(ctx context.Context, self *passenger) submitted {
	g.mu.Lock()
	defer g.mu.Unlock()
	self.left = true
	if self.flight == nil {
		return submitted{err: endedError(ctx, false)}
	}
	select {
	case outcome := <-self.outcome:
		return outcome
	default:
	}
	if self.flight.staying--; self.flight.staying == 0 {
		self.flight.cancel(nil)
	}
	return submitted{err: endedError(ctx, true)}
}

// fly sends what waits until nothing does.
func (g *gatherer) fly() {
	defer g.lanes.Done()
	for {
		// Those who are about to submit shall come along.
		runtime.Gosched()
		ctx, cancel := context.WithCancelCause(context.Background())
		next := g.board(cancel)
		if next == nil {
			cancel(nil)
			return
		}
		specs := make([]*taskyardpb.TaskSpec, len(next.passengers))
		for i, passenger := range next.passengers {
			specs[i] = passenger.spec
		}
		g.land(next, submitBatch(ctx, g.calls, specs))
		cancel(nil)
	}
}

// board is the next flight; nil, and one lane less, if nobody waits.
func (g *gatherer) board(cancel context.CancelCauseFunc) *flight {
	g.mu.Lock()
	defer g.mu.Unlock()
	next := &flight{cancel: cancel}
	room, taken := batchBytes, 0
	for _, passenger := range g.waiting {
		if !passenger.left && (len(next.passengers) == batchTasks || passenger.size > room) {
			break
		}
		taken++
		if !passenger.left {
			passenger.flight = next
			next.passengers = append(next.passengers, passenger)
			room -= passenger.size
		}
	}
	clear(g.waiting[:taken])
	g.waiting = g.waiting[taken:]
	if next.staying = len(next.passengers); next.staying == 0 {
		g.waiting = nil
		g.flying--
		return nil
	}
	g.flights[next] = struct{}{}
	return next
}

func (g *gatherer) land(landed *flight, outcomes []submitted) {
	g.mu.Lock()
	defer g.mu.Unlock()
	delete(g.flights, landed)
	for i, passenger := range landed.passengers {
		passenger.outcome <- outcomes[i]
	}
}

// close fails those that still wait, cancels the calls on their way, and waits for their end.
func (g *gatherer) close() {
	g.mu.Lock()
	g.closed = true
	for _, passenger := range g.waiting {
		passenger.left = true
		passenger.outcome <- submitted{err: closedError(false)}
	}
	for flight := range g.flights {
		flight.cancel(ErrClosed)
	}
	g.mu.Unlock()
	g.lanes.Wait()
}
