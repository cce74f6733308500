package taskyard

import (
	"context"
	"math/rand/v2"
	"time"
)

// delays draws how long to wait before the next try: evenly between nothing and a bound that doubles up to a maximum.
type delays struct {
	base, max time.Duration
	// random is a draw from [0, 1).
	random func() float64
}

// callDelays is for calls to schedulers and for watches.
var callDelays = delays{base: 50 * time.Millisecond, max: 2 * time.Second, random: rand.Float64}

// wait is how long to wait after so many failures in a row, of which the first is 0.
func (d delays) wait(failures int) time.Duration {
	bound := d.max
	if failures < 32 {
		bound = min(d.max, d.base<<failures)
	}
	return time.Duration(d.random() * float64(bound))
}

// pause waits; it is false when the context ended, or would end before the time is up.
func pause(ctx context.Context, length time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < length {
		return false
	}
	timer := time.NewTimer(length)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-ctx.Done():
		return false
	}
}
