package stripetest

import "net/http"

// serve takes one request through the gates drawn in doc.go.
func (s *Server) serve(w http.ResponseWriter, r *http.Request, rt route) {
	if !s.enter() {
		http.Error(w, "the stand-in is closed", http.StatusServiceUnavailable)
		return
	}
	defer s.wg.Done()
	c := s.newCall(w, r, rt)
	s.finish(w, c, s.process(c))
}

func (s *Server) process(c *call) answer {
	if err := s.authenticate(c.http); err != nil {
		return s.refuse(c, err)
	}
	if f := s.takeFault(c, atFront); f != nil {
		return s.strikeFront(c, f)
	}
	if err := s.limit(c); err != nil {
		return s.refuse(c, err)
	}
	if c.key == "" || len(c.key) > maxKeyLength {
		return s.execute(c)
	}
	s.mu.Lock()
	entry, err := s.reserve(c)
	s.mu.Unlock()
	switch {
	case err != nil:
		return s.refuse(c, err)
	case entry != nil:
		return s.replay(c, entry)
	}
	return s.execute(c)
}

// refuse answers without having executed anything.
func (s *Server) refuse(c *call, err *apiError) answer {
	a := c.failed(err)
	s.mu.Lock()
	defer s.mu.Unlock()
	if a.bare {
		c.entry.RequestID = ""
	}
	c.entry.Status = a.status
	s.record(c.entry)
	return a
}

func (s *Server) replay(c *call, entry *saved) answer {
	s.mu.Lock()
	defer s.mu.Unlock()
	c.entry.Status, c.entry.Replayed, c.entry.CustomerID = entry.status, true, entry.customerID
	s.record(c.entry)
	return answer{status: entry.status, body: entry.body, original: entry.requestID, replayed: true, executed: true}
}

// execute validates, waits out latency with the key in flight, and runs. What
// validation refuses frees the key; every result after that is kept.
func (s *Server) execute(c *call) answer {
	keyed := c.key != "" && len(c.key) <= maxKeyLength
	if err := c.valid(); err != nil {
		if keyed {
			s.mu.Lock()
			s.release(c)
			s.mu.Unlock()
		}
		return s.refuse(c, err)
	}
	s.lag(c)
	fault := s.takeFault(c, atRun)
	a := s.perform(c, fault)
	s.echoFirst(c)
	a.executed = true
	if keyed {
		a.original = c.requestID
		s.mu.Lock()
		s.keep(c, a.status, a.body)
		s.mu.Unlock()
	}
	return a
}

// perform runs the route and renders its result outside the lock: stored
// states never change, so nothing can slip in between.
func (s *Server) perform(c *call, fault *Fault) answer {
	result, err := s.commit(c, fault)
	return c.outcome(result, err)
}

// commit is the moment of truth: change, event and log entry under one lock.
// With a StateFile the key's result too: a save may come before keep, and then
// a kill.
func (s *Server) commit(c *call, fault *Fault) (result any, err *apiError) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if fault == nil || fault.Kind != Error500 {
		result, err = c.run(s, c)
	}
	if fault != nil && err == nil {
		err = serverError()
	}
	c.entry.Status = http.StatusOK
	if err != nil {
		c.entry.Status = err.status
	}
	s.record(c.entry)
	if c.key != "" && s.opts.StateFile != "" {
		a := c.outcome(result, err)
		s.keys[c.key].note(c, a.status, a.body, s.now())
	}
	return result, err
}

// lag spends the configured latency and any Slow or Hold fault.
func (s *Server) lag(c *call) {
	s.mu.Lock()
	wait := s.settings.Latency + s.upTo(s.settings.LatencyJitter)
	s.mu.Unlock()
	s.pause(s.ctx, wait)
	if f := s.takeFault(c, atWait); f != nil {
		s.strikeWait(f)
	}
}

// echoFirst lets webhooks overtake the answer of the write that caused them.
func (s *Server) echoFirst(c *call) {
	s.mu.Lock()
	on, limit := s.settings.EchoFirst && !s.out.paused, s.settings.EchoTimeout
	s.mu.Unlock()
	if on && len(c.events) > 0 {
		s.awaitFirsts(c.events, limit)
	}
}

// finish writes the answer or what a fault leaves of it. Date is set from the
// clock at this moment, later than the state the body shows: so it is at
// Stripe, and a client that reads the provider's time must live with it.
func (s *Server) finish(w http.ResponseWriter, c *call, a answer) {
	h := w.Header()
	h.Set("Date", s.Now().UTC().Format(http.TimeFormat))
	if a.executed {
		if f := s.takeFault(c, atAnswer); f != nil {
			s.strikeAnswer(w, c, a, f)
			return
		}
	}
	c.setHeaders(h, a)
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body) // the client may be gone
	s.log.Debug("request.answered", "method", c.method, "op", c.op, "status", a.status, "request_id", c.requestID)
}
