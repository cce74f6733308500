package taskyard

import (
	"context"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"github.com/taskyard/taskyard/sdk/go/internal/session"
)

const (
	// stopTime is what handlers get to end once the grace is over and they are told to stop.
	stopTime = time.Second
	// flushTime is what the last results get to be acknowledged.
	flushTime = 3 * time.Second
)

// service is a worker at work.
type service struct {
	settings  workerSettings
	sessionID string
	handlers  map[string]handler
	journal   journal
	link      *link
	page      *statusPage
	// base is the context of all attempts: with the values of Run's, and without its end.
	base     context.Context
	draining chan struct{}
	now      func() time.Time

	// Guarded by the link's lock.
	outcomes  [outcomes]int
	abandoned int
}

func newService(ctx context.Context, w *Worker, settings workerSettings) (*service, error) {
	addresses := slices.Clone(settings.dispatchers)
	rand.Shuffle(len(addresses), func(i, j int) { addresses[i], addresses[j] = addresses[j], addresses[i] })
	s := &service{
		settings: settings,
		handlers: w.handlers,
		journal:  journal{w.options.Logger},
		base:     context.WithoutCancel(ctx),
		draining: make(chan struct{}),
		now:      time.Now,
	}
	rotation := session.NewRotation(addresses, rand.Float64)
	identity := w.identity(settings)
	s.sessionID = identity.SessionId
	s.link = newLink(identity, rotation, w.options.TLS, s.now)
	s.link.listener, s.link.journal, s.link.greeted = s, s.journal, s.logStart
	var err error
	s.page, err = newStatusPage(settings.httpAddress, s.status)
	return s, err
}

// serve works until the context ends, and then shuts down in order.
func (s *service) serve(ctx context.Context) error {
	s.page.start()
	defer s.page.close()
	// The session outlives the context: its end only begins the shutdown.
	held, drop := context.WithCancel(context.WithoutCancel(ctx))
	defer drop()
	ended := make(chan error, 1)
	go func() { ended <- s.link.keep(held) }()
	select {
	case err := <-ended:
		s.shutDown()
		return err
	case <-ctx.Done():
	}
	s.finish()
	s.link.leave()
	select {
	case <-ended:
	case <-time.After(goodbyeTime):
		drop()
		<-ended
	}
	s.journal.log(slog.LevelInfo, "worker stopped")
	return nil
}

// finish brings home what can be, and hands back the rest.
func (s *service) finish() {
	link := s.link
	close(s.draining)
	link.drain()
	s.journal.log(slog.LevelInfo, "worker stops", slog.Int("running", s.status().running))
	idle := func(state *session.State) bool { return state.Running() == 0 }
	if !link.await(s.settings.grace, idle) {
		s.shutDown()
		link.await(stopTime, idle)
	}
	if number := s.handBack(); number > 0 {
		s.journal.log(slog.LevelWarn, "handing back attempts that did not finish in time", slog.Int("number", number))
	}
	if !link.await(flushTime, (*session.State).Settled) {
		s.journal.log(slog.LevelWarn, "ending with results unacknowledged", slog.Int("number", s.status().unacknowledged))
	}
}

// logStart tells once what the worker serves and where it is connected.
func (s *service) logStart(address string) {
	types := make([]string, 0, len(s.handlers))
	for name := range s.handlers {
		types = append(types, name)
	}
	slices.Sort(types)
	status := s.status()
	message := fmt.Sprintf("worker %s serves %s on %d slots, connected to %s",
		s.settings.name, strings.Join(types, ", "), s.settings.slots, address)
	s.journal.log(slog.LevelInfo, message,
		slog.String("worker", s.settings.name), slog.Any("types", types), slog.Any("queues", s.settings.queues),
		slog.Any("labels", s.settings.labels), slog.Int("slots", s.settings.slots),
		slog.String("namespace", s.settings.namespace), slog.String("dispatcher", status.dispatcher),
		slog.String("address", address), slog.String("sdk", "go/"+Version), slog.String("status", s.page.address()))
}

// status is what a worker says of itself.
type workerStatus struct {
	connected, draining bool
	dispatcher          string
	slots, running      int
	unacknowledged      int
	connects, stale     int
	outcomes            [outcomes]int
	abandoned           int
}

func (s *service) status() workerStatus {
	link := s.link
	link.mu.Lock()
	defer link.mu.Unlock()
	state := link.state
	return workerStatus{
		connected: state.Welcomed(), draining: state.Draining(), dispatcher: state.Dispatcher(),
		slots: s.settings.slots, running: state.Running(), unacknowledged: state.Unacked(),
		connects: link.connects, stale: link.stale, outcomes: s.outcomes, abandoned: s.abandoned,
	}
}
