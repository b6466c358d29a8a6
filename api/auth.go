package api

import (
	"crypto/sha256"
	"crypto/subtle"
	"net/http"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const ctxKey = "api_key_hash"

// HashKey is the form in which API keys are configured and compared. A plain hash is enough because keys are long and
// random: there is no dictionary to try.
func HashKey(key string) [sha256.Size]byte { return sha256.Sum256([]byte(key)) }

// authenticate lets a request through that carries one of the configured keys. Every key is compared, in constant
// time, so that the answer's delay tells nothing. It goes by the path, not by a group of routes, so that a route that
// is added under /v1 cannot be left open, and so that Echo goes on telling 404 from 405.
func (s *Server) authenticate(next echo.HandlerFunc) echo.HandlerFunc {
	return func(c echo.Context) error {
		if !strings.HasPrefix(c.Request().URL.Path, "/v1/") || c.Path() == pathWebhooks {
			return next(c)
		}
		key := presentedKey(c.Request().Header)
		sum, found := HashKey(key), 0
		for _, k := range s.keys {
			found |= subtle.ConstantTimeCompare(sum[:], k[:])
		}
		if key == "" || found == 0 {
			c.Response().Header().Set(echo.HeaderWWWAuthenticate, `Bearer realm="tandem"`)
			return tandem.Errorf(tandem.Invalid, codeUnauthorized, "send a valid API key as a bearer token or in x-api-key")
		}
		c.Set(ctxKey, sum)
		return next(c)
	}
}

func presentedKey(h http.Header) string {
	scheme, token, ok := strings.Cut(h.Get(echo.HeaderAuthorization), " ")
	if ok && strings.EqualFold(scheme, "Bearer") {
		return strings.TrimSpace(token)
	}
	return h.Get("X-Api-Key")
}
