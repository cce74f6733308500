package main

import (
	"errors"
	"testing"

	taskyard "github.com/taskyard/taskyard/sdk/go"
	"github.com/taskyard/taskyard/sdk/go/taskyardtest"
)

func TestAnOrderIsChargedOnce(t *testing.T) {
	ledger := NewLedger()
	worker := taskyard.NewWorker(taskyard.WorkerOptions{})
	Checkout.Handle(worker, ledger.charge)
	cluster := taskyardtest.New(t, worker)
	order := Order{"flaky-1", 4200}
	for click := range 2 {
		handle, err := place(t.Context(), cluster.Client(), order)
		if err != nil || handle.Deduplicated != (click == 1) {
			t.Fatal(handle, err)
		}
		if receipt, err := handle.Result(t.Context()); receipt != (Receipt{"flaky-1", 2}) || err != nil {
			t.Error(receipt, err)
		}
	}
	if got := ledger.orders["flaky-1"]; got != (entry{2, 4200, true}) {
		t.Error(got)
	}
}

// An attempt whose worker was thought dead wakes up after the next one has reserved the order.
func TestAnOlderAttemptWritesNothing(t *testing.T) {
	ledger := NewLedger()
	order := Order{"o-1", 4200}
	if err := ledger.Reserve(order, 1); err != nil {
		t.Fatal(err)
	}
	later := taskyardtest.Context(t.Context(), taskyardtest.Attempt{Number: 2})
	if _, err := ledger.charge(later, order); err != nil {
		t.Fatal(err)
	}
	var superseded *Superseded
	if err := ledger.Pay(order, 1); !errors.As(err, &superseded) {
		t.Error(err)
	}
	if _, err := ledger.charge(taskyardtest.Context(t.Context(), taskyardtest.Attempt{Number: 1}), order); !errors.As(err, &superseded) {
		t.Error(err)
	}
}
