package session

import (
	"slices"
	"testing"
	"time"
)

func tries(rotation *Rotation, number int) (addresses []string, delays []time.Duration) {
	for range number {
		address, delay := rotation.Next(start)
		addresses, delays = append(addresses, address), append(delays, delay)
	}
	return addresses, delays
}

func TestEveryAddressIsTriedOnceWithoutDelay(t *testing.T) {
	rotation := NewRotation([]string{"a", "b", "c"}, func() float64 { return 1 })
	addresses, delays := tries(rotation, 6)
	if !slices.Equal(addresses, []string{"a", "b", "c", "a", "b", "c"}) {
		t.Errorf("tried %v", addresses)
	}
	want := []time.Duration{0, 0, 0, 50 * time.Millisecond, 100 * time.Millisecond, 200 * time.Millisecond}
	if !slices.Equal(delays, want) {
		t.Errorf("waited %v", delays)
	}
}

func TestWaitsAreHalfToWholeAndBounded(t *testing.T) {
	for _, chance := range []float64{0, 0.5, 1} {
		_, delays := tries(NewRotation([]string{"a"}, func() float64 { return chance }), 40)
		if last, want := delays[39], time.Duration(float64(2*time.Second)*(0.5+chance/2)); last != want {
			t.Errorf("the last wait is %v, not %v", last, want)
		}
	}
}

func TestAStreamThatBreaksSoonSparesOnce(t *testing.T) {
	rotation := NewRotation([]string{"a"}, func() float64 { return 1 })
	tries(rotation, 3)
	rotation.BrokeEarly()
	if _, delays := tries(rotation, 1); delays[0] != 0 {
		t.Errorf("waited %v after the first", delays[0])
	}
	rotation.BrokeEarly()
	if _, delays := tries(rotation, 1); delays[0] == 0 {
		t.Error("did not wait after the second")
	}
	rotation.Worked()
	if _, delays := tries(rotation, 1); delays[0] != 0 {
		t.Errorf("waited %v after one that worked", delays[0])
	}
}

func TestAnAddressThatAskedForItIsLeftAlone(t *testing.T) {
	rotation := NewRotation([]string{"a", "b"}, func() float64 { return 1 })
	tries(rotation, 1)
	rotation.ComeBack(start.Add(time.Minute))
	if addresses, _ := tries(rotation, 2); !slices.Equal(addresses, []string{"b", "b"}) {
		t.Errorf("tried %v", addresses)
	}
	rotation.ComeBack(start.Add(time.Hour))
	if addresses, delays := tries(rotation, 1); addresses[0] != "a" || delays[0] != time.Minute {
		t.Errorf("tried %v after %v", addresses, delays)
	}
}
