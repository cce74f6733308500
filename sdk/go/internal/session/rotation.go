package session

import "time"

const (
	backoffFirst = 50 * time.Millisecond
	backoffMost  = 2 * time.Second
)

// Rotation says which dispatcher to try next, and when.
//
// After a stream that worked every address is tried once without delay; from then on tries are spaced by an exponential
// backoff with jitter until a stream works again. A stream that was welcomed and soon broke counts as one that worked, but
// only once in a row: a dispatcher that breaks all streams is not besieged.
type Rotation struct {
	addresses []string
	// When an address may be tried again, where its dispatcher said so.
	notBefore []time.Time
	chance    func() float64
	index     int
	tries     int
	spared    bool
}

// NewRotation walks over addresses, which the caller has shuffled so that workers spread. chance is evenly from 0 to 1.
func NewRotation(addresses []string, chance func() float64) *Rotation {
	return &Rotation{
		addresses: addresses, notBefore: make([]time.Time, len(addresses)), chance: chance, index: len(addresses) - 1,
	}
}

// Addresses is how many there are.
func (r *Rotation) Addresses() int { return len(r.addresses) }

// Next is the address to try, and how long to wait before.
func (r *Rotation) Next(now time.Time) (string, time.Duration) {
	r.index = r.willing(now)
	delay := max(r.backoff(r.tries-len(r.addresses)), r.notBefore[r.index].Sub(now))
	r.tries++
	return r.addresses[r.index], delay
}

// willing is the next address that did not ask to be left alone, or else the one that did so for the shortest time.
func (r *Rotation) willing(now time.Time) int {
	best := -1
	for step := range r.addresses {
		index := (r.index + 1 + step) % len(r.addresses)
		if !r.notBefore[index].After(now) {
			return index
		}
		if best < 0 || r.notBefore[index].Before(r.notBefore[best]) {
			best = index
		}
	}
	return best
}

func (r *Rotation) backoff(failures int) time.Duration {
	if failures < 0 {
		return 0
	}
	ceiling := min(backoffMost, backoffFirst<<min(failures, 10))
	return time.Duration(float64(ceiling) * (0.5 + r.chance()/2))
}

// Worked says that the last address gave a stream that lived for a while.
func (r *Rotation) Worked() { r.tries, r.spared = 0, false }

// BrokeEarly says that the last address welcomed the worker, and soon after that the stream broke.
func (r *Rotation) BrokeEarly() {
	if !r.spared {
		r.tries, r.spared = 0, true
	}
}

// ComeBack says that the last address does not want to be tried again before a time.
func (r *Rotation) ComeBack(at time.Time) { r.notBefore[r.index] = at }
