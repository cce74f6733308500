package main

import (
	"fmt"
	"sync"
)

// Ledger says who may write an order: its newest attempt. A real shop has this in its own database, where each of the
// two is one statement:
//
//	INSERT INTO orders … ON CONFLICT (id) DO UPDATE SET attempt = excluded.attempt WHERE excluded.attempt >= orders.attempt
//	UPDATE orders SET paid = true WHERE id = $1 AND attempt = $2
type Ledger struct {
	mu     sync.Mutex
	orders map[string]entry
}

type entry struct {
	attempt, cents int
	paid           bool
}

// Superseded: a newer attempt has the order. Its name becomes the error's type.
type Superseded struct {
	Order   string
	Attempt int
}

func (s *Superseded) Error() string {
	return fmt.Sprintf("order %s belongs to a newer attempt than %d", s.Order, s.Attempt)
}

// NewLedger is one without orders.
func NewLedger() *Ledger { return &Ledger{orders: map[string]entry{}} }

// Reserve makes this attempt the order's; Superseded for one that is older than who has it.
func (l *Ledger) Reserve(order Order, attempt int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.orders[order.ID]
	if attempt < known.attempt {
		return &Superseded{order.ID, attempt}
	}
	l.orders[order.ID] = entry{attempt, order.Cents, known.paid}
	return nil
}

// Pay charges the order, once; Superseded if this attempt no longer has it.
func (l *Ledger) Pay(order Order, attempt int) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	known := l.orders[order.ID]
	if attempt != known.attempt {
		return &Superseded{order.ID, attempt}
	}
	known.paid = true
	l.orders[order.ID] = known
	return nil
}
