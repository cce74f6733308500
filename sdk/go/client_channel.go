package taskyard

import (
	"math/rand/v2"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/backoff"
	_ "google.golang.org/grpc/health" // watches "liveness" for the service configuration below
	"google.golang.org/grpc/keepalive"
)

// One name may stand for many schedulers. One that is about to stop says so in its health, before it breaks off what it
// is still sent.
const serviceConfig = `{"loadBalancingConfig": [{"round_robin": {}}], "healthCheckConfig": {"serviceName": "liveness"}}`

const largestAnswer = 16 << 20

func schedulerDialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultServiceConfig(serviceConfig),
		grpc.WithDisableServiceConfig(),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(largestAnswer)),
		// Without pings a peer that vanished silently would leave a waiting call hanging for hours.
		grpc.WithKeepaliveParams(keepalive.ClientParameters{Time: 30 * time.Second, Timeout: 10 * time.Second}),
		grpc.WithConnectParams(grpc.ConnectParams{
			Backoff: backoff.Config{
				BaseDelay: 100 * time.Millisecond, Multiplier: 1.6, Jitter: 0.2, MaxDelay: 2 * time.Second,
			},
			// Also the time limit of one attempt to connect, 20 s by default: too long to learn that an address is
			// dead.
			MinConnectTimeout: 3 * time.Second,
		}),
	}
}

// scheduler is a channel to one address.
type scheduler struct {
	address string
	conn    *grpc.ClientConn
}

// schedulers are those to choose from. All are equal; one is used until it is found to be away.
type schedulers struct {
	addresses []string
	dial      []grpc.DialOption

	mu     sync.Mutex
	place  int
	open   map[string]*scheduler
	closed bool
}

// Clients with the same list begin at different places, which spreads them.
func newSchedulers(addresses []string, dial []grpc.DialOption) *schedulers {
	return &schedulers{
		addresses: addresses, dial: dial, place: rand.IntN(len(addresses)), open: make(map[string]*scheduler),
	}
}

// current is the one to use now; its channel is opened at the first use.
func (s *schedulers) current() (*scheduler, *Error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, closedError(false)
	}
	address := s.addresses[s.place]
	if found := s.open[address]; found != nil {
		return found, nil
	}
	conn, err := grpc.NewClient(address, s.dial...)
	if err != nil {
		return nil, &Error{Kind: ErrInvalidArgument, Message: err.Error(), cause: err}
	}
	opened := &scheduler{address, conn}
	s.open[address] = opened
	return opened, nil
}

// avoid goes on to the next one, unless somebody else already did.
func (s *schedulers) avoid(away *scheduler) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.addresses[s.place] == away.address {
		s.place = (s.place + 1) % len(s.addresses)
	}
}

// close ends all calls and closes all channels.
func (s *schedulers) close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.closed = true
	for _, scheduler := range s.open {
		// It errs only where it is closed already.
		_ = scheduler.conn.Close()
	}
	clear(s.open)
}
