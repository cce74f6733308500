package taskyard

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"time"

	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/status"

	"github.com/taskyard/taskyard/sdk/go/internal/session"
	pb "github.com/taskyard/taskyard/sdk/go/taskyardpb"
)

const (
	// stableAfter is how long a stream must live to count as one that worked.
	stableAfter = time.Second
	// goodbyeTime is what the dispatcher has to end the stream after a goodbye.
	goodbyeTime     = time.Second
	complainEvery   = 5 * time.Second
	maxMessageBytes = 16 << 20
	// windowBytes is what may be under way before it is read. Given, so that gRPC does not measure with pings of its own.
	windowBytes = 4 << 20
	// gatherTime is the least time between two frames: what comes meanwhile goes in one. A frame after a longer pause goes
	// at once.
	gatherTime = time.Millisecond
	// gatherRounds is how often all goroutines that can run get their turn before a frame.
	gatherRounds = 8
)

var errSilent = errors.New("it fell silent")

// listener is what a link tells. Its methods are called under the link's lock, in the order of the frames.
type listener interface {
	adopt(entry *session.Attempt) *attempt
	stop(stop session.Stop) (*attempt, error)
	run(a *attempt)
}

// link keeps one session alive across streams and dispatchers. It does the I/O for session.State.
type link struct {
	listener listener
	journal  journal
	rotation *session.Rotation
	tls      *tls.Config
	now      func() time.Time

	mu    sync.Mutex
	state *session.State
	// wake has something in it when the sender, which had nothing to do, has.
	wake       chan struct{}
	senderIdle bool
	// starting: the attempts of a frame are being started. The first results wait for those of the rest.
	starting bool
	// changed is closed at the next change that somebody waits for.
	changed  chan struct{}
	connects int
	stale    int

	closing chan struct{}
	// nowhere has the addresses that answered last that there is no dispatcher.
	nowhere      map[string]bool
	complainFrom time.Time
	// greeted is called after the first welcome.
	greeted func(address string)
}

func newLink(identity *pb.Hello, rotation *session.Rotation, config *tls.Config, now func() time.Time) *link {
	return &link{
		rotation: rotation, tls: config, now: now,
		state: session.New(identity), wake: make(chan struct{}, 1), closing: make(chan struct{}),
		nowhere: map[string]bool{},
	}
}

// keep opens streams one after another until close. An error means that another try is pointless.
func (l *link) keep(ctx context.Context) error {
	for {
		address, delay := l.rotation.Next(l.now())
		if !l.pause(ctx, delay) {
			return nil
		}
		if err := l.hold(ctx, address); err != nil {
			return err
		}
	}
}

func (l *link) pause(ctx context.Context, delay time.Duration) bool {
	timer := time.NewTimer(delay)
	defer timer.Stop()
	select {
	case <-l.closing:
		return false
	case <-ctx.Done():
		return false
	case <-timer.C:
		return !l.isClosing()
	}
}

func (l *link) isClosing() bool {
	select {
	case <-l.closing:
		return true
	default:
		return false
	}
}

// hold opens a stream and reads it to its end. An error means that another try is pointless.
func (l *link) hold(ctx context.Context, address string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	began := l.now()
	l.mu.Lock()
	l.state.Connect(began)
	l.mu.Unlock()
	var aside sync.WaitGroup
	aside.Add(1)
	welcomed := make(chan struct{}, 1)
	go func() {
		defer aside.Done()
		l.watch(ctx, cancel, welcomed)
	}()
	err := l.converse(ctx, address, &aside, welcomed)
	silent := context.Cause(ctx) == errSilent
	cancel(nil)
	aside.Wait()
	l.part(began)
	if silent {
		err = errSilent
	}
	return l.judge(address, err)
}

// converse is the stream's life.
func (l *link) converse(
	ctx context.Context, address string, aside *sync.WaitGroup, welcomed chan<- struct{},
) error {
	conn, err := grpc.NewClient(address, l.dialOptions()...)
	if err != nil {
		return err
	}
	defer func() { _ = conn.Close() }()
	ctx, end := context.WithCancel(ctx)
	defer end()
	stream, err := pb.NewWorkerServiceClient(conn).Session(ctx)
	if err != nil {
		return err
	}
	l.mu.Lock()
	hello := l.state.Hello()
	l.mu.Unlock()
	if err := stream.Send(hello); err != nil {
		// What ended the stream is told by Recv.
		_, err = stream.Recv()
		return err
	}
	aside.Add(1)
	go func() {
		defer aside.Done()
		l.send(ctx, stream)
	}()
	for {
		frame, err := stream.Recv()
		if err != nil {
			return err
		}
		goAway, err := l.receive(frame, address)
		if frame.Welcome != nil {
			select {
			case welcomed <- struct{}{}:
			default:
			}
		}
		if goAway || err != nil {
			return err
		}
	}
}

func (l *link) dialOptions() []grpc.DialOption {
	secure := insecure.NewCredentials()
	if l.tls != nil {
		secure = credentials.NewTLS(l.tls.Clone())
	}
	return []grpc.DialOption{
		grpc.WithTransportCredentials(secure),
		grpc.WithDisableRetry(),
		grpc.WithIdleTimeout(0),
		// One name may stand for many dispatchers: spread over them.
		grpc.WithDefaultServiceConfig(`{"loadBalancingConfig": [{"pick_first": {"shuffleAddressList": true}}]}`),
		grpc.WithInitialWindowSize(windowBytes),
		grpc.WithInitialConnWindowSize(windowBytes),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(maxMessageBytes), grpc.MaxCallSendMsgSize(maxMessageBytes)),
	}
}

// receive takes a frame in, and tells whether the dispatcher asks to go elsewhere.
func (l *link) receive(frame *pb.DispatcherFrame, address string) (bool, error) {
	l.mu.Lock()
	got, err := l.state.Receive(frame, l.now())
	if err != nil {
		l.mu.Unlock()
		return false, err
	}
	told := make([]toldStop, len(got.Stops))
	for i, stop := range got.Stops {
		told[i].attempt, told[i].cause = l.listener.stop(stop)
	}
	starts := make([]*attempt, len(got.Starts))
	for i, entry := range got.Starts {
		starts[i] = l.listener.adopt(entry)
	}
	if got.Welcomed {
		l.connects++
	}
	l.stir()
	l.starting = len(starts) > 0
	connects := l.connects
	l.mu.Unlock()
	if len(starts) > 0 {
		for _, a := range starts {
			go l.listener.run(a)
		}
		l.started()
	}
	l.logReceived(got, told, address, connects == 1)
	return got.GoAway, nil
}

// started says that all attempts of a frame have been started.
func (l *link) started() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.starting = false
	l.stir()
}

type toldStop struct {
	attempt *attempt
	cause   error
}

func (l *link) logReceived(got session.Received, told []toldStop, address string, first bool) {
	if got.Welcomed {
		l.logWelcome(address, first)
	}
	for _, refused := range got.Refused {
		l.logRefusal(refused)
	}
	for _, stop := range told {
		l.journal.log(slog.LevelInfo, "a handler is to stop", stop.attempt.fields(slog.String("cause", stop.cause.Error()))...)
	}
	if got.GoAway {
		l.journal.log(slog.LevelInfo, "the dispatcher goes away", slog.String("address", address))
	}
}

func (l *link) logWelcome(address string, first bool) {
	if first {
		l.greeted(address)
		return
	}
	l.mu.Lock()
	fields := []slog.Attr{
		slog.String("dispatcher", l.state.Dispatcher()), slog.String("address", address),
		slog.Int("generation", int(l.state.Generation())), slog.Int("running", l.state.Running()),
		slog.Int("unacknowledged", l.state.Unacked()),
	}
	l.mu.Unlock()
	l.journal.log(slog.LevelInfo, "connected again", fields...)
}

func (l *link) logRefusal(refused session.Refusal) {
	fields := []slog.Attr{slog.String("task_id", refused.TaskID), slog.Int("attempt", int(refused.Attempt))}
	switch refused.Verdict {
	case pb.Verdict_VERDICT_STALE:
		l.mu.Lock()
		l.stale++
		l.mu.Unlock()
		l.journal.log(slog.LevelWarn, "a result came too late and was dropped", fields...)
	case pb.Verdict_VERDICT_INVALID:
		l.journal.log(slog.LevelError, "a result was refused as invalid", fields...)
	}
}

// part says that the stream is gone.
func (l *link) part(began time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.Welcomed() {
		if l.now().Sub(began) >= stableAfter {
			l.rotation.Worked()
		} else {
			l.rotation.BrokeEarly()
		}
	}
	l.state.Disconnect()
	l.senderIdle = false
	l.notify()
}

// judge decides what the end of a stream means.
func (l *link) judge(address string, err error) error {
	told := status.Convert(err)
	if l.isFinal(address, told.Code()) && l.connects == 0 {
		return fmt.Errorf("%w at %s: %s: %s", ErrRefused, address, told.Code(), told.Message())
	}
	for _, detail := range told.Details() {
		if retry, ok := detail.(*errdetails.RetryInfo); ok {
			l.rotation.ComeBack(l.now().Add(retry.RetryDelay.AsDuration()))
		}
	}
	if err != nil && !l.isClosing() {
		l.complain(address, err)
	}
	return nil
}

// isFinal tells whether a hello that was refused will be refused everywhere.
func (l *link) isFinal(address string, code codes.Code) bool {
	delete(l.nowhere, address)
	switch code {
	case codes.InvalidArgument, codes.PermissionDenied, codes.Unauthenticated:
		return true
	case codes.Unimplemented:
		// There is something else than a dispatcher. Of one address among many that is a slip.
		l.nowhere[address] = true
		return len(l.nowhere) == l.rotation.Addresses()
	}
	return false
}

// complain warns of an outage now and then, not once per try.
func (l *link) complain(address string, err error) {
	level := slog.LevelDebug
	if now := l.now(); !now.Before(l.complainFrom) {
		l.complainFrom = now.Add(complainEvery)
		level = slog.LevelWarn
	}
	l.mu.Lock()
	running := l.state.Running()
	l.mu.Unlock()
	l.journal.log(level, "no session with the dispatcher; attempts run on",
		slog.String("address", address), slog.String("error", err.Error()), slog.Int("running", running))
}

// watch gives the stream up once the dispatcher has been silent for too long. How long that is, a welcome may change.
func (l *link) watch(ctx context.Context, cancel context.CancelCauseFunc, welcomed <-chan struct{}) {
	for {
		l.mu.Lock()
		left := l.state.SilentAt().Sub(l.now())
		l.mu.Unlock()
		if left <= 0 {
			cancel(errSilent)
			return
		}
		timer := time.NewTimer(left)
		select {
		case <-ctx.Done():
			timer.Stop()
			return
		case <-welcomed:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// send sends what there is to send for as long as the stream lives.
func (l *link) send(ctx context.Context, stream grpc.BidiStreamingClient[pb.WorkerFrame, pb.DispatcherFrame]) {
	timer := time.NewTimer(time.Hour)
	defer timer.Stop()
	frame := &pb.WorkerFrame{}
	for ctx.Err() == nil {
		due, ready := l.next(frame)
		if !ready {
			timer.Reset(due)
			select {
			case <-ctx.Done():
			case <-timer.C:
			case <-l.wake:
				l.gather()
			}
			continue
		}
		if stream.Send(frame) != nil {
			return // the reader learns why
		}
		if frame.Goodbye {
			_ = stream.CloseSend()
			return
		}
		timer.Reset(gatherTime)
		select {
		case <-ctx.Done():
		case <-timer.C:
		}
	}
}

// next fills the next frame. If there is nothing to send it says how long there won't be by the clock alone.
func (l *link) next(frame *pb.WorkerFrame) (time.Duration, bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	now := l.now()
	if l.state.Next(now, frame) {
		l.notify()
		return 0, true
	}
	l.senderIdle = true
	due, known := l.state.Due()
	if !known {
		return time.Hour, false
	}
	return due.Sub(now), false
}

// gather lets handlers finish that are about to, so that their results go in one frame.
func (l *link) gather() {
	before := -1
	for range gatherRounds {
		runtime.Gosched()
		l.mu.Lock()
		number := l.state.Unacked()
		l.mu.Unlock()
		if number == before {
			return
		}
		before = number
	}
}

// stir wakes the sender if it has nothing to do, and whoever waits. Under the lock.
func (l *link) stir() {
	if l.senderIdle && !l.starting {
		l.senderIdle = false
		select {
		case l.wake <- struct{}{}:
		default:
		}
	}
	l.notify()
}

func (l *link) notify() {
	if l.changed != nil {
		close(l.changed)
		l.changed = nil
	}
}

func (l *link) finishLocked(entry *session.Attempt, result *pb.TaskResult) {
	if l.state.Finish(entry, result) {
		l.stir()
	}
}

func (l *link) releaseLocked(entry *session.Attempt) {
	if l.state.Release(entry) {
		l.stir()
	}
}

func (l *link) reportProgress(entry *session.Attempt, progress *pb.Progress) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.state.ReportProgress(entry, progress) {
		l.stir()
	}
}

func (l *link) eachRunning(do func(*attempt)) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.EachRunning(func(entry *session.Attempt) { do(entry.Work.(*attempt)) })
}

func (l *link) drain() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.state.Drain()
	l.stir()
}

func (l *link) connected() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.state.Welcomed()
}

// await waits until something is so; false if that takes longer.
func (l *link) await(limit time.Duration, so func(*session.State) bool) bool {
	timer := time.NewTimer(limit)
	defer timer.Stop()
	for {
		l.mu.Lock()
		if so(l.state) {
			l.mu.Unlock()
			return true
		}
		if l.changed == nil {
			l.changed = make(chan struct{})
		}
		changed := l.changed
		l.mu.Unlock()
		select {
		case <-changed:
		case <-timer.C:
			return false
		}
	}
}

// leave says goodbye if there is anyone to say it to; keep ends soon after.
func (l *link) leave() {
	l.mu.Lock()
	if l.state.Settled() && l.state.Welcomed() {
		l.state.Leave()
	}
	l.stir()
	l.mu.Unlock()
	close(l.closing)
}
