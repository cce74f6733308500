package session

// queue has attempts in the order in which they came, and keeps its memory.
type queue struct {
	items []*Attempt
	head  int
}

func (q *queue) empty() bool { return q.head == len(q.items) }

func (q *queue) push(attempt *Attempt) { q.items = append(q.items, attempt) }

func (q *queue) first() *Attempt { return q.items[q.head] }

func (q *queue) pop() *Attempt {
	attempt := q.items[q.head]
	q.items[q.head] = nil
	q.head++
	if q.empty() {
		q.items, q.head = q.items[:0], 0
	}
	return attempt
}

func (q *queue) clear() {
	clear(q.items)
	q.items, q.head = q.items[:0], 0
}
