package stripetest

import (
	"crypto/sha256"
	"net/url"
	"time"
)

// keyLife is the least Stripe promises; the stand-in forgets at exactly that
// age, so that a key reused later executes again.
const keyLife = 24 * time.Hour

const maxKeyLength = 255

// saved is the store's entry of one key. The first result once execution began
// stays, whatever it was: a 500 is replayed like a 200.
type saved struct {
	key        string
	mark       [sha256.Size]byte
	inFlight   bool
	at         time.Time
	requestID  string // of the request that executed
	customerID string
	status     int // 0: not executed yet
	body       []byte
}

// fingerprint covers endpoint and parameters; the order they were sent in is
// not part of it.
func fingerprint(method, path string, form url.Values) [sha256.Size]byte {
	return sha256.Sum256([]byte(method + " " + path + "?" + form.Encode()))
}

// reserve claims the key for this request. It returns the saved result to
// replay, or an error, or neither: then the caller executes and must call
// keep or release. The lock is held.
func (s *Server) reserve(c *call) (*saved, *apiError) {
	s.pruneKeys()
	entry := s.keys[c.key]
	mark := fingerprint(c.method, c.path, c.values)
	switch {
	case entry == nil:
		s.keys[c.key] = &saved{key: c.key, mark: mark, inFlight: true, at: s.now(), requestID: c.requestID}
		return nil, nil
	case entry.inFlight:
		return nil, keyInUse(c.key)
	case entry.mark != mark:
		return nil, keyReused(c.key)
	default:
		return entry, nil
	}
}

// keep saves the result for later requests; the lock is held.
func (s *Server) keep(c *call, status int, body []byte) {
	entry := s.keys[c.key]
	entry.inFlight = false
	entry.note(c, status, body, s.now())
	s.keyAges = append(s.keyAges, entry)
	s.changed()
}

func (e *saved) note(c *call, status int, body []byte, now time.Time) {
	e.at, e.status, e.body, e.customerID = now, status, body, c.entry.CustomerID
}

// release forgets a key whose request never began to execute; the lock is held.
func (s *Server) release(c *call) {
	delete(s.keys, c.key)
	s.changed()
}

// pruneKeys drops results older than keyLife; the lock is held.
func (s *Server) pruneKeys() {
	deadline := s.now().Add(-keyLife)
	for len(s.keyAges) > 0 && s.keyAges[0].at.Before(deadline) {
		old := s.keyAges[0]
		s.keyAges = s.keyAges[1:]
		if s.keys[old.key] == old {
			delete(s.keys, old.key)
		}
	}
}
