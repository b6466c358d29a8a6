package stripetest

import (
	"container/heap"
	"time"
)

// delivery is one event on its way to one endpoint, through all its attempts.
type delivery struct {
	event    *event
	endpoint string
	attempt  int  // the one to make next, from 1
	manual   bool // asked for by Redeliver: one attempt, no retries

	due time.Duration // when it was last planned for, with seq its place in line
	seq int
}

// batch is what one goroutine sends, in this order; normally one delivery.
type batch struct {
	due  time.Duration // in the dispatcher's time
	seq  int
	list []*delivery
}

// dispatcher is the delivery side of the state; the Server's lock guards it.
//
//	plan → [collect, when reordering] → queue (by due time) → running → done
//	                                      ↑___ retry, later ____|
type dispatcher struct {
	queue   batchHeap
	seq     int
	held    []*delivery // collected for WebhookReorder
	heldDue time.Duration
	running int                    // batches under way
	open    map[*delivery]struct{} // not finished: queued, held or running
	paused  bool
	wake    chan struct{}
	log     []Delivery
	logged  int // entries ever written, so that numbers survive trimming
}

// plan decides what becomes of a new event at each endpoint.
func (s *Server) plan(e *event) {
	for _, ep := range s.endpoints {
		if !ep.wants(e.typ) {
			continue
		}
		e.pending[ep.ID] = true
		for range 1 + s.settings.WebhookDuplicates {
			if !s.dropped() {
				s.enqueue(&delivery{event: e, endpoint: ep.ID, attempt: 1})
			}
		}
	}
	if e.firstsLeft == 0 {
		close(e.firstsDone)
	}
	s.wakeDispatcher()
}

func (s *Server) dropped() bool {
	if s.settings.WebhookDropNext > 0 {
		s.settings.WebhookDropNext--
		return true
	}
	return s.settings.WebhookDropRate > 0 && s.rng.Float64() < s.settings.WebhookDropRate
}

func (s *Server) enqueue(d *delivery) {
	s.open(d)
	if s.settings.WebhookReorder < 2 || d.manual {
		s.schedule(s.firstWait(), d)
		return
	}
	if len(s.out.held) == 0 {
		s.out.heldDue = s.elapsed() + s.settings.WebhookReorderWait
	}
	s.place(d, s.out.heldDue)
	s.out.held = append(s.out.held, d)
	if len(s.out.held) >= s.settings.WebhookReorder {
		s.releaseHeld()
	}
}

// open counts a new delivery in.
func (s *Server) open(d *delivery) {
	s.out.open[d] = struct{}{}
	if !d.manual {
		d.event.firstsLeft++
	}
}

func (s *Server) firstWait() time.Duration {
	return s.settings.WebhookDelay + s.upTo(s.settings.WebhookJitter)
}

// upTo draws a random duration below limit; the lock is held.
func (s *Server) upTo(limit time.Duration) time.Duration {
	if limit <= 0 {
		return 0
	}
	return time.Duration(s.rng.Int64N(int64(limit)))
}

// releaseHeld sends the collection last one first, by one goroutine: with
// several the network could put it in order again.
func (s *Server) releaseHeld() {
	list := make([]*delivery, 0, len(s.out.held))
	for i := len(s.out.held) - 1; i >= 0; i-- {
		list = append(list, s.out.held[i])
	}
	s.out.held = nil
	if len(list) > 0 {
		s.schedule(s.firstWait(), list...)
	}
}

func (s *Server) schedule(wait time.Duration, list ...*delivery) {
	due := s.elapsed() + wait
	for _, d := range list {
		s.place(d, due)
	}
	heap.Push(&s.out.queue, &batch{due: due, seq: s.out.seq, list: list})
}

func (s *Server) place(d *delivery, due time.Duration) {
	s.out.seq++
	d.due, d.seq = due, s.out.seq
}

func (s *Server) wakeDispatcher() {
	select {
	case s.out.wake <- struct{}{}:
	default: // already woken
	}
}

// dispatch runs until Close.
func (s *Server) dispatch() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		s.mu.Lock()
		wait := s.startDue()
		s.mu.Unlock()
		timer.Reset(wait)
		select {
		case <-timer.C:
		case <-s.out.wake:
		case <-s.ctx.Done():
			return
		}
	}
}

// startDue starts what may go out now and returns how long to sleep.
func (s *Server) startDue() time.Duration {
	const long = time.Hour
	if s.out.paused {
		return long
	}
	now := s.elapsed()
	if len(s.out.held) > 0 && (s.out.heldDue <= now || s.settings.WebhookReorder < 2) {
		s.releaseHeld()
	}
	for len(s.out.queue) > 0 && s.out.queue[0].due <= now && s.out.running < s.settings.WebhookConcurrency {
		b := heap.Pop(&s.out.queue).(*batch)
		s.out.running++
		s.wg.Go(func() { s.send(b) })
	}
	wait := long
	if len(s.out.queue) > 0 && s.out.running < s.settings.WebhookConcurrency {
		wait = min(wait, s.out.queue[0].due-now)
	}
	if len(s.out.held) > 0 {
		wait = min(wait, s.out.heldDue-now)
	}
	return max(wait, 0)
}

func (s *Server) send(b *batch) {
	for _, d := range b.list {
		s.deliver(d)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.running--
	s.wakeDispatcher()
}

// PauseDelivery holds all deliveries back until ResumeDelivery; attempts
// already under way finish.
func (s *Server) PauseDelivery() { s.setPaused(true) }

// ResumeDelivery sends what waited, in order of due time.
func (s *Server) ResumeDelivery() { s.setPaused(false) }

func (s *Server) setPaused(paused bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.out.paused = paused
	s.changed()
	s.wakeDispatcher()
}

// DeliveryPaused reports whether deliveries are held back.
func (s *Server) DeliveryPaused() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.out.paused
}

// PendingDeliveries counts deliveries not finished, waiting retries included.
func (s *Server) PendingDeliveries() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.out.open)
}

// Redeliver sends an event once more to every enabled endpoint that takes its
// type. As with Stripe's resend, automatic retries go on regardless.
func (s *Server) Redeliver(eventID string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruneEvents()
	e := s.eventByID[eventID]
	if e == nil {
		return noSuch("event", eventID)
	}
	for _, ep := range s.endpoints {
		if ep.wants(e.typ) {
			s.enqueue(&delivery{event: e, endpoint: ep.ID, attempt: 1, manual: true})
		}
	}
	s.changed()
	s.wakeDispatcher()
	return nil
}

type batchHeap []*batch

func (h batchHeap) Len() int { return len(h) }
func (h batchHeap) Less(i, j int) bool {
	if h[i].due != h[j].due {
		return h[i].due < h[j].due
	}
	return h[i].seq < h[j].seq
}
func (h batchHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *batchHeap) Push(x any)   { *h = append(*h, x.(*batch)) }
func (h *batchHeap) Pop() any {
	last := (*h)[len(*h)-1]
	(*h)[len(*h)-1] = nil
	*h = (*h)[:len(*h)-1]
	return last
}
