package api

import (
	"time"

	"github.com/labstack/echo/v4"
)

// Routes lists what the router knows.
func (s *Server) Routes() []*echo.Route { return s.echo.Routes() }

// Overflow is what is known about the drain of one provider.
type Overflow struct{ o overflow }

// Extend has everything go to the drain from now on.
func (o *Overflow) Extend(now time.Time) { o.o.extend(now) }

// Until is for how long.
func (o *Overflow) Until() time.Time { return o.o.until }
