package stripetest

import (
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

// paginate walks positions 0 (oldest) to n-1 (newest) and answers newest
// first. find locates a cursor; item yields what belongs in the list.
// ending_before takes the items next to the cursor, not the newest ones.
func paginate(c *call, noun string, n int, find func(id string) (int, bool), item func(i int) (any, bool)) (any, *apiError) {
	limit := limitOf(c.form)
	at, step := n, -1
	for _, cursor := range []string{"starting_after", "ending_before"} {
		id, sent := c.form.get(cursor)
		if !sent {
			continue
		}
		pos, ok := find(id)
		if !ok {
			return nil, noSuchCursor(noun, cursor, id)
		}
		at = pos
		if cursor == "ending_before" {
			step = 1
		}
	}
	list := listBody{Object: "list", Data: []any{}, URL: c.path}
	for at += step; at >= 0 && at < n; at += step {
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

// inRange applies created=… or created[gte]=… and its siblings.
func inRange(created int64, n *node) bool {
	if n == nil {
		return true
	}
	num := func(s string) int64 { v, _ := strconv.ParseInt(s, 10, 64); return v } // checked
	if n.leaf {
		return created == num(n.text)
	}
	for op, holds := range map[string]func(limit int64) bool{
		"gt":  func(limit int64) bool { return created > limit },
		"gte": func(limit int64) bool { return created >= limit },
		"lt":  func(limit int64) bool { return created < limit },
		"lte": func(limit int64) bool { return created <= limit },
	} {
		if v, sent := n.get(op); sent && !holds(num(v)) {
			return false
		}
	}
	return true
}

// listCustomers is read-after-write consistent; email matches exactly, case
// included; deleted customers are left out but may still serve as cursors.
func (s *Server) listCustomers(c *call) (any, *apiError) {
	email, byEmail := c.form.get("email")
	find := func(id string) (int, bool) {
		rec := s.customers[id]
		if rec == nil {
			return 0, false
		}
		return rec.pos, true
	}
	return paginate(c, "customer", len(s.order), find, func(i int) (any, bool) {
		cus := s.customers[s.order[i]].now
		return cus, !cus.Deleted && (!byEmail || cus.Email == email) && inRange(cus.Created, c.form.kid("created"))
	})
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
	return paginate(c, "event", len(s.events), find, func(i int) (any, bool) {
		e := s.events[i]
		delivered := len(e.pending) == 0
		return e.body(s.opts.APIVersion), matchesType(e.typ, types) && inRange(e.created, c.form.kid("created")) &&
			(!bySuccess || delivered == (success == "true"))
	})
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
