package api

import "github.com/labstack/echo/v4"

// Routes lists what the router knows.
func (s *Server) Routes() []*echo.Route { return s.echo.Routes() }
