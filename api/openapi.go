package api

import (
	_ "embed" // openapi.yaml
	"net/http"

	"github.com/labstack/echo/v4"
)

// Document is openapi.yaml, the description of every public route.
//
//go:embed openapi.yaml
var Document []byte

func openAPI(c echo.Context) error { return c.Blob(http.StatusOK, "application/yaml", Document) }
