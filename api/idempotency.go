package api

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const maxIdempotencyKey = 255

// idempotencyKey reads the caller's key and returns the hash it is kept under; empty without a key. The API key is
// part of it: two callers may well think of the same key.
func idempotencyKey(c echo.Context) (string, error) {
	values := c.Request().Header.Values(headerIdempotencyKey)
	if len(values) == 0 {
		return "", nil
	}
	key := values[0]
	unprintable := strings.ContainsFunc(key, func(r rune) bool { return r < ' ' || r > '~' })
	if len(values) > 1 || key == "" || len(key) > maxIdempotencyKey || unprintable {
		return "", badParameter(headerIdempotencyKey, "must be 1 to 255 printable ASCII characters")
	}
	caller, _ := c.Get(ctxKey).([sha256.Size]byte)
	return hashed(append(caller[:], key...)), nil
}

// bodyHash is the same for two bodies that ask for the same customer, however they are written.
func bodyHash(ch tandem.Change) string {
	b, err := json.Marshal(ch.Apply(tandem.Customer{})) // map keys come out sorted
	if err != nil {
		panic("marshal customer: " + err.Error()) // strings and times only: cannot happen
	}
	return hashed(b)
}

func hashed(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
