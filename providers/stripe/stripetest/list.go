package stripetest

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
)

type listBody struct {
	Object  string `json:"object"`
	Data    []any  `json:"data"`
	HasMore bool   `json:"has_more"`
	URL     string `json:"url"`
}

// checkPage holds limit and cursors of a list.
func checkPage(n *node) *apiError {
	if v, sent := n.get("limit"); sent {
		switch l, _ := strconv.Atoi(v); {
		case l < 1:
			return badRequest("parameter_invalid_integer", "limit", "This value must be greater than or equal to 1.")
		case l > 100:
			return badRequest("parameter_invalid_integer", "limit", "This value must be less than or equal to 100.")
		}
	}
	_, after := n.get("starting_after")
	if _, before := n.get("ending_before"); after && before {
		return badRequest("", "", "You may only specify one of these parameters: ending_before, starting_after.")
	}
	return nil
}

// paginate walks places from (the oldest) to before to and answers newest
// first. find locates a cursor, which may stand outside of these; item yields
// what belongs in the list. ending_before takes the items next to the cursor,
// not the newest ones.
func paginate(
	c *call, noun string, from, to int, find func(id string) (int, bool), item func(i int) (any, bool),
) (listBody, *apiError) {
	limit := limitOf(c.form)
	at, step := to, -1
	for _, cursor := range []string{"starting_after", "ending_before"} {
		id, sent := c.form.get(cursor)
		if !sent {
			continue
		}
		pos, ok := find(id)
		if !ok {
			return listBody{}, noSuchCursor(noun, cursor, id)
		}
		at = min(pos, to)
		if cursor == "ending_before" {
			at, step = max(pos, from-1), 1
		}
	}
	list := listBody{Object: "list", Data: []any{}, URL: c.path}
	for at += step; at >= from && at < to; at += step {
		v, ok := item(at)
		if !ok {
			continue
		}
		if list.HasMore = len(list.Data) == limit; list.HasMore {
			break
		}
		list.Data = append(list.Data, v)
	}
	if step > 0 {
		slices.Reverse(list.Data)
	}
	return list, nil
}

func limitOf(n *node) int {
	if v, sent := n.get("limit"); sent {
		limit, _ := strconv.Atoi(v) // checked
		return limit
	}
	return 10
}

// span is what created=… or created[gte]=… and its siblings let through, both
// ends included.
type span struct{ from, to int64 }

func (in span) has(created int64) bool { return created >= in.from && created <= in.to }

func spanOf(n *node) span {
	in := span{math.MinInt64, math.MaxInt64}
	num := func(s string) int64 { v, _ := strconv.ParseInt(s, 10, 64); return v } // checked
	switch {
	case n == nil:
		return in
	case n.leaf:
		return span{num(n.text), num(n.text)}
	}
	if v, sent := n.get("gt"); sent && num(v) < math.MaxInt64 {
		in.from = max(in.from, num(v)+1)
	}
	if v, sent := n.get("gte"); sent {
		in.from = max(in.from, num(v))
	}
	if v, sent := n.get("lt"); sent && num(v) > math.MinInt64 {
		in.to = min(in.to, num(v)-1)
	}
	if v, sent := n.get("lte"); sent {
		in.to = min(in.to, num(v))
	}
	return in
}

// listCustomers is read-after-write consistent; email matches exactly, case
// included; deleted customers are left out but may still serve as cursors,
// unless ForgetDeletedCursors is set.
func (s *Server) listCustomers(c *call) (any, *apiError) {
	email, byEmail := c.form.get("email")
	find := func(id string) (int, bool) {
		rec := s.customers[id]
		if rec == nil || rec.now.Deleted && s.settings.ForgetDeletedCursors {
			return 0, false
		}
		return rec.pos, true
	}
	from, to := s.madeIn(spanOf(c.form.kid("created")))
	list, err := paginate(c, "customer", from, to, find, func(i int) (any, bool) {
		cus := s.customers[s.order[i]].now
		return cus, !cus.Deleted && (!byEmail || cus.Email == email)
	})
	return page(list), err
}

func checkEventList(n *node) *apiError {
	_, one := n.get("type")
	types := n.kid("types").list()
	if one && len(types) > 0 {
		return badRequest("", "", "You may only specify one of these parameters: type, types.")
	}
	if len(types) > 20 {
		return badRequest("", "types", "You may pass up to 20 event types.")
	}
	return nil
}

// listEvents shows 30 days in the account's API version.
func (s *Server) listEvents(c *call) (any, *apiError) {
	s.pruneEvents()
	types := c.form.kid("types").list()
	if v, sent := c.form.get("type"); sent {
		types = []string{v}
	}
	success, bySuccess := c.form.get("delivery_success")
	find := func(id string) (int, bool) {
		e := s.eventByID[id]
		if e == nil {
			return 0, false
		}
		return e.pos - s.events[0].pos, true
	}
	made := spanOf(c.form.kid("created"))
	list, err := paginate(c, "event", 0, len(s.events), find, func(i int) (any, bool) {
		e := s.events[i]
		delivered := len(e.pending) == 0
		if !made.has(e.created) || !matchesType(e.typ, types) || bySuccess && delivered != (success == "true") {
			return nil, false
		}
		return e.body(s.opts.APIVersion), true
	})
	return page(list), err
}

// matchesType accepts a trailing wildcard, as in customer.*.
func matchesType(typ string, wanted []string) bool {
	if len(wanted) == 0 {
		return true
	}
	return slices.ContainsFunc(wanted, func(w string) bool {
		prefix, wild := strings.CutSuffix(w, "*")
		return w == typ || wild && strings.HasPrefix(typ, prefix)
	})
}

func (s *Server) retrieveEvent(c *call) (any, *apiError) {
	s.pruneEvents()
	e := s.eventByID[c.id]
	if e == nil {
		return nil, noSuch("event", c.id)
	}
	return e.body(s.opts.APIVersion), nil
}

// version is a state of a customer and when it began.
type version struct {
	at    time.Time
	state *Customer
}

// longestLag is the most search is said to fall behind in an outage; states
// replaced earlier than that can never be found again.
const longestLag = time.Hour

func (rec *customerRecord) index(now time.Time, state *Customer) {
	rec.versions = append(rec.versions, version{now, state})
	for len(rec.versions) > 1 && rec.versions[1].at.Before(now.Add(-longestLag)) {
		rec.versions = rec.versions[1:]
	}
}

// seen is the state search knows at a moment, or nil.
func (rec *customerRecord) seen(at time.Time) *Customer {
	for i := len(rec.versions) - 1; i >= 0; i-- {
		if !rec.versions[i].at.After(at) {
			return rec.versions[i].state
		}
	}
	return nil
}
