package stripetest

import (
	"cmp"
	"slices"
	"sort"
)

// settle gives a new customer its place in listings: by time of creation, of
// those made in one second by arrival. It is the end, but for a customer seeded
// with an older time and under a clock that was put back. The lock is held.
func (s *Server) settle(c *Customer) *customerRecord {
	rec := &customerRecord{now: c}
	s.customers[c.ID] = rec
	at := len(s.order)
	for at > 0 && s.customers[s.order[at-1]].now.Created > c.Created {
		at--
	}
	s.order = slices.Insert(s.order, at, c.ID)
	s.number(at)
	return rec
}

// append puts customers behind the others, for sortOrder to place them all
// together; the lock is held.
func (s *Server) append(c *Customer) *customerRecord {
	rec := &customerRecord{now: c, pos: len(s.order)}
	s.customers[c.ID] = rec
	s.order = append(s.order, c.ID)
	return rec
}

// sortOrder does what settle would have done for each; the lock is held.
func (s *Server) sortOrder() {
	byTime := func(a, b string) int {
		return cmp.Compare(s.customers[a].now.Created, s.customers[b].now.Created)
	}
	if !slices.IsSortedFunc(s.order, byTime) {
		slices.SortStableFunc(s.order, byTime)
		s.number(0)
	}
}

// number tells the customers from a place on where they stand.
func (s *Server) number(from int) {
	for i := from; i < len(s.order); i++ {
		s.customers[s.order[i]].pos = i
	}
}

// madeIn finds the places of those made within the span, from the first to
// behind the last, without looking at the others; the lock is held.
func (s *Server) madeIn(in span) (from, to int) {
	made := func(i int) int64 { return s.customers[s.order[i]].now.Created }
	from = sort.Search(len(s.order), func(i int) bool { return made(i) >= in.from })
	to = sort.Search(len(s.order), func(i int) bool { return made(i) > in.to })
	return from, max(from, to)
}
