package stripetest

import (
	"context"
	"encoding/json"
	"net/http"
	"net/url"
	"time"
)

func (s *Server) ctlAddEndpoint(r *http.Request) (any, error) {
	var in struct {
		URL           string   `json:"url"`
		Secrets       []string `json:"secrets"`
		EnabledEvents []string `json:"enabled_events"`
		APIVersion    string   `json:"api_version"`
		Description   string   `json:"description"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if u, err := url.Parse(in.URL); err != nil || u.Host == "" {
		return nil, usage("url: %q is not an absolute URL", in.URL)
	}
	return s.AddEndpoint(Endpoint{URL: in.URL, Secrets: in.Secrets, EnabledEvents: in.EnabledEvents,
		APIVersion: in.APIVersion, Description: in.Description}), nil
}

func (s *Server) ctlSwitch(on bool) func(*http.Request) (any, error) {
	return func(r *http.Request) (any, error) { return nil, s.EnableEndpoint(r.PathValue("id"), on) }
}

func (s *Server) ctlRoll(r *http.Request) (any, error) {
	var in struct {
		Secret  string `json:"secret"`
		KeepOld string `json:"keep_old"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	keep, err := parseDuration(orElse(in.KeepOld, "24h"))
	if err != nil {
		return nil, usage("keep_old: %v", err)
	}
	next, err := s.RollSecret(r.PathValue("id"), in.Secret, keep)
	return map[string]string{"secret": next}, err
}

func (s *Server) ctlPause(paused bool) func(*http.Request) (any, error) {
	return func(*http.Request) (any, error) { s.setPaused(paused); return nil, nil }
}

func (s *Server) ctlWaitIdle(r *http.Request) (any, error) {
	limit, err := parseDuration(orElse(r.URL.Query().Get("timeout"), "10s"))
	if err != nil {
		return nil, usage("timeout: %v", err)
	}
	ctx, cancel := context.WithTimeout(r.Context(), min(limit, time.Minute))
	defer cancel()
	if s.WaitIdle(ctx) != nil {
		return nil, errNotIdle
	}
	return s.State(), nil
}

func (s *Server) ctlSettings(r *http.Request) (any, error) {
	var patch map[string]json.RawMessage
	if err := decode(r, &patch); err != nil {
		return nil, err
	}
	var err error
	s.Configure(func(now *Settings) {
		next := *now
		if err = turnKnobs(&next, patch); err == nil {
			*now = next
		}
	})
	if err != nil {
		return nil, usageError{err}
	}
	return describe(s.Settings()), nil
}

// faultInput is a Fault as a person writes it: without what the stand-in
// counts, and with a readable delay.
type faultInput struct {
	Kind     FaultKind `json:"kind"`
	Method   string    `json:"method"`
	Op       string    `json:"op"`
	Contains string    `json:"contains"`
	Skip     int       `json:"skip"`
	Count    int       `json:"count"`
	Delay    string    `json:"delay"`
	Reason   string    `json:"reason"`
	Status   int       `json:"status"`
	Type     string    `json:"type"`
	Code     string    `json:"code"`
	Param    string    `json:"param"`
	Message  string    `json:"message"`
	Body     string    `json:"body"`
}

func (s *Server) ctlAddFault(r *http.Request) (any, error) {
	var in faultInput
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	f := Fault{
		Kind: in.Kind, Method: in.Method, Op: in.Op, Contains: in.Contains, Skip: in.Skip, Count: in.Count, Reason: in.Reason,
		Status: in.Status, Type: in.Type, Code: in.Code, Param: in.Param, Message: in.Message, Body: in.Body,
	}
	if _, ok := gates[f.Kind]; !ok {
		return nil, usage("kind: %q is none of %v", f.Kind, FaultKinds())
	}
	if f.Skip < 0 {
		return nil, usage("skip: must not be negative")
	}
	if f.Status != 0 && (f.Status < 200 || f.Status > 599) {
		return nil, usage("status: %d is not an HTTP status from 200 to 599", f.Status)
	}
	delay, err := parseDuration(orElse(in.Delay, "0s"))
	if err != nil {
		return nil, usage("delay: %v", err)
	}
	f.Delay = delay
	return map[string]string{"id": s.AddFault(f)}, nil
}

func (s *Server) ctlRemoveFault(r *http.Request) (any, error) {
	if !s.RemoveFault(r.PathValue("id")) {
		return nil, noSuch("fault", r.PathValue("id"))
	}
	return nil, nil
}

func (s *Server) ctlClock(*http.Request) (any, error) {
	return map[string]time.Time{"now": s.Now().UTC()}, nil
}

func (s *Server) ctlSetClock(r *http.Request) (any, error) {
	var in struct {
		Advance string `json:"advance"`
		Now     string `json:"now"`
		Frozen  bool   `json:"frozen"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	switch {
	case in.Advance != "" && in.Now == "" && !in.Frozen:
		d, err := time.ParseDuration(in.Advance)
		if err != nil {
			return nil, usage("advance: %q is not a duration such as 48h", in.Advance)
		}
		s.AdvanceClock(d)
	case in.Advance == "" && in.Now != "":
		start, err := time.Parse(time.RFC3339Nano, in.Now)
		if err != nil {
			return nil, usage("now: %q is not a time such as 2024-03-01T12:00:00Z", in.Now)
		}
		s.SetClock(clockFrom(start, in.Frozen))
	default:
		return nil, usage("advance or now: give exactly one; frozen goes with now")
	}
	return s.ctlClock(r)
}

// clockFrom starts at a moment and runs, or stands still.
func clockFrom(start time.Time, frozen bool) func() time.Time {
	began := time.Now()
	return func() time.Time {
		if frozen {
			return start
		}
		return start.Add(time.Since(began))
	}
}
