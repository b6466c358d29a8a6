package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"html"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// controlRoute is one line of the control API and of its index page.
type controlRoute struct {
	pattern, help string
	run           func(*http.Request) (any, error)
}

// usageError is the caller's mistake: 400.
type usageError struct{ error }

func usage(format string, args ...any) error { return usageError{fmt.Errorf(format, args...)} }

func (s *Server) controlTable() []controlRoute {
	return []controlRoute{
		{"GET /state", "counts of everything, and the clock", func(*http.Request) (any, error) { return s.State(), nil }},
		{"GET /operations", "the operation log; ?since=seq&customer=id", s.ctlOperations},
		{"GET /operations/counts", "how often each operation was asked for since the start",
			func(*http.Request) (any, error) { return s.Counts(), nil }},
		{"GET /customers", "live customers", func(*http.Request) (any, error) { return s.Customers(), nil }},
		{"GET /customers/{id}", "one customer, or its deleted stub", s.ctlCustomer},
		{"POST /customers", "create as a person would: JSON object or form", s.ctlCreate},
		{"PATCH /customers/{id}", "edit as a person would: null or \"\" unsets, metadata merges", s.ctlEdit},
		{"POST /customers/{id}", "the same", s.ctlEdit},
		{"DELETE /customers/{id}", "delete as a person would", s.ctlDelete},
		{"GET /events", "events of the last 30 days", func(*http.Request) (any, error) { return s.Events(), nil }},
		{"POST /events", "emit an event: {type, object}", s.ctlEmit},
		{"POST /events/{id}/redeliver", "send it once more", s.ctlRedeliver},
		{"GET /deliveries", "attempts made; ?event=id", s.ctlDeliveries},
		{"GET /endpoints", "webhook endpoints with their secrets", func(*http.Request) (any, error) { return s.Endpoints(), nil }},
		{"POST /endpoints", "add: {url, secrets, enabled_events, api_version}", s.ctlAddEndpoint},
		{"POST /endpoints/{id}/enable", "switch on", s.ctlSwitch(true)},
		{"POST /endpoints/{id}/disable", "switch off; what falls due then is given up", s.ctlSwitch(false)},
		{"POST /endpoints/{id}/roll", "new secret: {secret, keep_old}", s.ctlRoll},
		{"POST /webhooks/pause", "hold deliveries back", s.ctlPause(true)},
		{"POST /webhooks/resume", "let them go", s.ctlPause(false)},
		{"POST /wait-idle", "answers when no delivery is pending; ?timeout=10s, then 504", s.ctlWaitIdle},
		{"GET /settings", "all knobs", func(*http.Request) (any, error) { return describe(s.Settings()), nil }},
		{"PATCH /settings", "turn some: {name: value}", s.ctlSettings},
		{"GET /faults", "armed and spent faults", func(*http.Request) (any, error) { return s.Faults(), nil }},
		{"POST /faults", "arm: {kind, method, op, contains, skip: 0, count: 1 (-1: until removed), delay: \"2s\", …}", s.ctlAddFault},
		{"DELETE /faults", "disarm all", func(*http.Request) (any, error) { s.ResetFaults(); return nil, nil }},
		{"DELETE /faults/{id}", "disarm one", s.ctlRemoveFault},
		{"GET /clock", "the stand-in's time", s.ctlClock},
		{"POST /clock", "{advance: \"48h\"} or {now: RFC 3339, frozen: bool}", s.ctlSetClock},
	}
}

// controlRoutes refuses cross-origin browsers: a web page that knows the port
// must not be able to edit anything.
func (s *Server) controlRoutes() http.Handler {
	mux := http.NewServeMux()
	for _, rt := range s.controlTable() {
		mux.HandleFunc(rt.pattern, func(w http.ResponseWriter, r *http.Request) {
			r.Body = http.MaxBytesReader(w, r.Body, maxBody)
			v, err := rt.run(r)
			writeControl(w, v, err)
		})
	}
	mux.HandleFunc("GET /{$}", s.index)
	return http.NewCrossOriginProtection().Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.enter() {
			http.Error(w, "the stand-in is closed", http.StatusServiceUnavailable)
			return
		}
		defer s.wg.Done()
		mux.ServeHTTP(w, r)
	}))
}

func writeControl(w http.ResponseWriter, v any, err error) {
	status, body := http.StatusOK, v
	if err != nil {
		status = http.StatusInternalServerError
		switch api, mistake := (*apiError)(nil), (usageError{}); {
		case errors.As(err, &mistake):
			status = http.StatusBadRequest
		case errors.As(err, &api):
			status = api.status
		case errors.Is(err, errNotIdle):
			status = http.StatusGatewayTimeout
		}
		body = map[string]string{"error": err.Error()}
	}
	if v == nil && err == nil {
		w.WriteHeader(http.StatusNoContent)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(render(body))
}

// State counts what is there.
type State struct {
	Now               time.Time `json:"now"`
	Customers         int       `json:"customers"` // live
	Deleted           int       `json:"deleted"`
	Operations        int       `json:"operations"` // ever: the Seq of the last
	Events            int       `json:"events"`
	Endpoints         int       `json:"endpoints"`
	DeliveriesMade    int       `json:"deliveries_made"`
	DeliveriesPending int       `json:"deliveries_pending"`
	DeliveryPaused    bool      `json:"delivery_paused"`
	IdempotencyKeys   int       `json:"idempotency_keys"`
	Faults            int       `json:"faults"`
}

// State returns the counts.
func (s *Server) State() State {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pruneEvents()
	s.pruneKeys()
	return State{
		Now: s.now().UTC(), Customers: len(s.order) - s.deletions, Deleted: s.deletions, Operations: s.opsGone + len(s.ops), Events: len(s.events),
		Endpoints: len(s.endpoints), DeliveriesMade: s.out.logged, DeliveriesPending: len(s.out.open), DeliveryPaused: s.out.paused,
		IdempotencyKeys: len(s.keys), Faults: len(s.faults),
	}
}

func (s *Server) index(w http.ResponseWriter, _ *http.Request) {
	var b strings.Builder
	b.WriteString("<!doctype html><meta charset=utf-8><title>Stripe stand-in</title><style>body{font:15px system-ui;margin:2rem;max-width:60rem}" +
		"td{padding:.2rem 1rem .2rem 0;vertical-align:top}</style><h1>Stripe stand-in</h1><p>Not Stripe. ")
	if s.opts.StateFile != "" {
		fmt.Fprintf(&b, "State is kept in <code>%s</code>.</p>", html.EscapeString(s.opts.StateFile))
	} else {
		b.WriteString("State is in memory and ends with the process.</p>")
	}
	fmt.Fprintf(&b, "<p>API: <code>%s/v1</code></p><h2>Control routes</h2><table>", html.EscapeString(s.URL()))
	row := func(name, help string) {
		fmt.Fprintf(&b, "<tr><td><code>%s</code><td>%s", html.EscapeString(name), html.EscapeString(help))
	}
	for _, rt := range s.controlTable() {
		row(rt.pattern, rt.help)
	}
	b.WriteString("</table><h2>Settings</h2><table>")
	now := describe(s.Settings())
	for _, k := range knobs {
		row(fmt.Sprintf("%s = %v", k.name, now[k.name]), k.help+"; "+k.kind())
	}
	b.WriteString("</table><h2>Fault kinds</h2><p>")
	for _, kind := range FaultKinds() {
		fmt.Fprintf(&b, "<code>%s</code> ", kind)
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = io.WriteString(w, b.String())
}

// decode reads a JSON object into dst and names the field that does not fit.
// No body at all leaves dst as it is.
func decode(r *http.Request, dst any) error {
	dec := json.NewDecoder(r.Body)
	dec.DisallowUnknownFields()
	err := dec.Decode(dst)
	var wrong *json.UnmarshalTypeError
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.As(err, &wrong):
		return usage("%s: must be %s, not %s", orElse(wrong.Field, "body"), wrong.Type, wrong.Value)
	case err != nil:
		return usage("body: %s", strings.TrimPrefix(err.Error(), "json: "))
	case dec.More():
		return usage("body: more than one JSON value")
	}
	return nil
}

func queryInt(r *http.Request, name string) (int, error) {
	v := r.URL.Query().Get(name)
	if v == "" {
		return 0, nil
	}
	n, err := strconv.Atoi(v)
	if err != nil || n < 0 {
		return 0, usage("%s: %q is not a whole number", name, v)
	}
	return n, nil
}
