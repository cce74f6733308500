// Package session is the worker's side of a session as a pure state machine: frames go in, effects and frames come out.
// It has no I/O, no goroutines, no clock and no lock of its own.
//
// One State lives as long as its worker and outlasts every stream. The rules it keeps are those of
// docs/worker-protocol.md.
package session

import (
	"errors"
	"time"

	"google.golang.org/protobuf/types/known/durationpb"

	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	// WelcomeTimeout is how long a dispatcher has to answer the hello.
	WelcomeTimeout = 5 * time.Second
	// ProgressInterval is the time between two frames with progress; what is reported meanwhile is coalesced.
	ProgressInterval = 500 * time.Millisecond
	// Remembered is how many acknowledged attempts are remembered, so that a late resend does not run one again.
	Remembered = 10_000

	defaultHeartbeatInterval = 3 * time.Second
	defaultSessionTimeout    = 10 * time.Second
)

// ErrNoWelcome says that a stream's first frame had no welcome: the stream is of no use.
var ErrNoWelcome = errors.New("the dispatcher's first frame has no welcome")

// Key names an attempt; it is the fencing token.
type Key struct {
	TaskID  string
	Attempt int32
}

type phase uint8

const (
	running phase = iota
	finished
	released
	lost
	settled
)

// Attempt is one that the session has, or had.
type Attempt struct {
	Key
	// Assignment is what the dispatcher sent; nil once the attempt does not run any more.
	Assignment *pb.Assignment
	// Work is the caller's own hold on it.
	Work any

	phase    phase
	result   *pb.TaskResult
	progress *pb.Progress
}

// Running tells whether the attempt is still to be reported.
func (a *Attempt) Running() bool { return a.phase == running }

// Stop is a running attempt that is to stop.
type Stop struct {
	Attempt *Attempt
	Reason  pb.StopReason
}

// Refusal is a result that did not become its attempt's outcome.
type Refusal struct {
	Key
	Verdict pb.Verdict
}

// Received is what a frame asks of the worker. Its slices are good until the next frame.
type Received struct {
	Welcomed bool
	Refused  []Refusal
	Stops    []Stop
	Starts   []*Attempt
	GoAway   bool
}

// State has the attempts held, the results to bring home, and the stream's phase. Not for concurrent use.
type State struct {
	identity *pb.Hello

	attempts map[Key]*Attempt
	// The attempts acknowledged last, in a ring.
	settledKeys [Remembered]Key
	settledAt   int
	running     int
	unacked     int

	unsent    queue
	releasing queue
	reporting queue
	// When progress may be sent again.
	progressFrom time.Time

	welcomed    bool
	dispatcher  string
	generation  int32
	draining    bool
	drainUnsent bool
	leaving     bool

	heartbeatInterval time.Duration
	sessionTimeout    time.Duration
	sequence, heard   int64
	heartbeatAt       time.Time
	silentAt          time.Time

	received Received
}

// What stands for every attempt that has been acknowledged.
var settledAttempt = &Attempt{phase: settled}

// New is a session that has no stream yet. The identity is the hello without what changes during the worker's life.
func New(identity *pb.Hello) *State {
	return &State{
		identity:          identity,
		attempts:          map[Key]*Attempt{},
		heartbeatInterval: defaultHeartbeatInterval,
		sessionTimeout:    defaultSessionTimeout,
	}
}

// Welcomed tells whether a dispatcher holds the session right now.
func (s *State) Welcomed() bool { return s.welcomed }

// Dispatcher is the name of the one that welcomed the worker last, and Generation the number of that welcome.
func (s *State) Dispatcher() string { return s.dispatcher }

// Generation is the number of the last welcome.
func (s *State) Generation() int32 { return s.generation }

// Draining tells whether the worker takes no more assignments.
func (s *State) Draining() bool { return s.draining }

// Running is how many attempts are still to be reported.
func (s *State) Running() int { return s.running }

// Unacked is how many results have no verdict yet.
func (s *State) Unacked() int { return s.unacked }

// Settled tells that nothing runs, all results are acknowledged and all releases are sent.
func (s *State) Settled() bool { return s.running == 0 && s.unacked == 0 && s.releasing.empty() }

// SilentAt is when the stream is given up if nothing comes; zero without a stream.
func (s *State) SilentAt() time.Time { return s.silentAt }

// EachRunning calls a function with every attempt that is still to be reported.
func (s *State) EachRunning(do func(*Attempt)) {
	for _, attempt := range s.attempts {
		if attempt.phase == running {
			do(attempt)
		}
	}
}

// Connect begins a try to open a stream.
func (s *State) Connect(now time.Time) {
	s.welcomed = false
	s.silentAt = now.Add(WelcomeTimeout)
}

// Hello is the stream's first frame; it lists every attempt held.
func (s *State) Hello() *pb.WorkerFrame {
	identity := s.identity
	hello := &pb.Hello{
		SessionId: identity.SessionId, Secret: identity.Secret, Namespace: identity.Namespace, Worker: identity.Worker,
		Types: identity.Types, Queues: identity.Queues, Labels: identity.Labels, Slots: identity.Slots,
		Pod: identity.Pod, Node: identity.Node, Sdk: identity.Sdk, Pid: identity.Pid, Version: identity.Version,
		Draining: s.draining,
	}
	s.drainUnsent = false
	for key, attempt := range s.attempts {
		if attempt.phase != settled {
			hello.Running = append(hello.Running, &pb.AttemptRef{TaskId: key.TaskID, Attempt: key.Attempt})
		}
	}
	return &pb.WorkerFrame{Hello: hello}
}

// Disconnect says that the stream is gone; all that is held stays.
func (s *State) Disconnect() {
	s.welcomed = false
	s.silentAt = time.Time{}
	s.unsent.clear()
}

// Receive takes a frame in.
func (s *State) Receive(frame *pb.DispatcherFrame, now time.Time) (Received, error) {
	got := &s.received
	got.Refused, got.Stops, got.Starts = got.Refused[:0], got.Stops[:0], got.Starts[:0]
	got.Welcomed, got.GoAway = frame.Welcome != nil, frame.GoAway
	if frame.Welcome != nil {
		s.welcome(frame.Welcome, now)
	} else if !s.welcomed {
		return Received{}, ErrNoWelcome
	}
	s.silentAt = now.Add(s.sessionTimeout)
	if beat := frame.Heartbeat; beat != nil {
		// An echo of what was never sent would hide that real ones stay out.
		s.heard = max(s.heard, min(beat.Sequence, s.sequence))
	}
	for _, ack := range frame.Acks {
		s.acknowledge(ack)
	}
	for _, stop := range frame.Stops {
		s.stop(stop)
	}
	for _, assignment := range frame.Assignments {
		s.assign(assignment)
	}
	return *got, nil
}

func (s *State) welcome(welcome *pb.Welcome, now time.Time) {
	s.welcomed = true
	s.dispatcher = welcome.Dispatcher
	s.generation = welcome.Generation
	s.heartbeatInterval = durationOr(welcome.HeartbeatInterval, defaultHeartbeatInterval)
	s.sessionTimeout = durationOr(welcome.SessionTimeout, defaultSessionTimeout)
	s.heartbeatAt = now.Add(s.heartbeatInterval)
	// What was sent before is not answered here.
	s.heard = s.sequence
	// The old stream's fate is unknown, so every result that was never acknowledged goes again.
	s.unsent.clear()
	for _, attempt := range s.attempts {
		if attempt.phase == finished {
			s.unsent.push(attempt)
		}
	}
}

func durationOr(duration *durationpb.Duration, otherwise time.Duration) time.Duration {
	if given := duration.AsDuration(); given > 0 {
		return given
	}
	return otherwise
}

// acknowledge ends a result, whatever the verdict: the dispatcher has decided, sending again changes nothing.
func (s *State) acknowledge(ack *pb.ResultAck) {
	key := Key{ack.TaskId, ack.Attempt}
	attempt := s.attempts[key]
	if attempt == nil || attempt.phase != finished {
		return
	}
	attempt.phase = settled
	attempt.result = nil
	s.unacked--
	s.remember(key)
	if ack.Verdict != pb.Verdict_VERDICT_ACCEPTED {
		s.received.Refused = append(s.received.Refused, Refusal{key, ack.Verdict})
	}
}

func (s *State) remember(key Key) {
	if oldest := s.settledKeys[s.settledAt]; s.attempts[oldest] == settledAttempt {
		delete(s.attempts, oldest)
	}
	s.settledKeys[s.settledAt] = key
	s.settledAt = (s.settledAt + 1) % Remembered
	s.attempts[key] = settledAttempt
}

func (s *State) stop(stop *pb.Stop) {
	attempt := s.attempts[Key{stop.TaskId, stop.Attempt}]
	// A finished attempt's result is judged by its ack, whatever a stop that crossed it says.
	if attempt == nil || attempt.phase != running {
		return
	}
	if stop.Reason == pb.StopReason_STOP_REASON_LOST {
		s.end(attempt, lost)
		delete(s.attempts, attempt.Key)
	}
	s.received.Stops = append(s.received.Stops, Stop{attempt, stop.Reason})
}

func (s *State) assign(assignment *pb.Assignment) {
	key := Key{assignment.TaskId, assignment.Attempt}
	if _, known := s.attempts[key]; known {
		return
	}
	attempt := &Attempt{Key: key, Assignment: assignment}
	s.attempts[key] = attempt
	s.running++
	if s.draining {
		// It crossed our drain, or we released it and the frame was lost.
		s.Release(attempt)
		return
	}
	s.received.Starts = append(s.received.Starts, attempt)
}

// Finish keeps a result until its ack. False: the attempt is not held any more and nothing is sent.
func (s *State) Finish(attempt *Attempt, result *pb.TaskResult) bool {
	if attempt.phase != running {
		return false
	}
	s.end(attempt, finished)
	attempt.result = result
	s.unacked++
	if s.welcomed {
		s.unsent.push(attempt)
	}
	return true
}

// Release hands a running attempt back unfinished. False: it is not held any more.
func (s *State) Release(attempt *Attempt) bool {
	if attempt.phase != running {
		return false
	}
	s.end(attempt, released)
	s.releasing.push(attempt)
	return true
}

func (s *State) end(attempt *Attempt, into phase) {
	attempt.phase = into
	attempt.Assignment, attempt.progress = nil, nil
	s.running--
}

// ReportProgress replaces what is to be sent of a running attempt's progress. True: Due may have changed.
func (s *State) ReportProgress(attempt *Attempt, progress *pb.Progress) bool {
	if attempt.phase != running {
		return false
	}
	nothing := s.reporting.empty()
	if attempt.progress == nil {
		s.reporting.push(attempt)
	}
	attempt.progress = progress
	return nothing
}

// Drain takes no more assignments; those that still come are handed back.
func (s *State) Drain() {
	s.drainUnsent = s.drainUnsent || !s.draining
	s.draining = true
}

// Leave ends the session with the next frames. Only once it is settled.
func (s *State) Leave() { s.leaving = true }
