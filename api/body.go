package api

import (
	"errors"
	"io"
	"mime"
	"net/http"
	"os"
	"slices"
	"strings"

	"github.com/labstack/echo/v4"

	"github.com/tandem-sync/tandem"
)

const (
	maxBody        = 64 << 10
	maxWebhookBody = 1 << 20
)

const mergePatch = "application/merge-patch+json"

// readBody reads the whole body, at most limit bytes of it. How long that may take is the server's read timeout.
func readBody(c echo.Context, limit int64) ([]byte, error) {
	// Echo's response hides the one of net/http, which has to know that the connection is of no more use.
	r := http.MaxBytesReader(c.Response().Writer, c.Request().Body, limit)
	body, err := io.ReadAll(r)
	if _, ok := errors.AsType[*http.MaxBytesError](err); ok {
		return nil, tandem.Errorf(tandem.Invalid, codeTooLarge, "the body must not exceed %d bytes", limit)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return nil, tandem.Errorf(tandem.Invalid, codeTimeout, "the body did not arrive in time")
	}
	if err != nil {
		return nil, tandem.Errorf(tandem.Invalid, codeMalformed, "the body could not be read to its end")
	}
	return body, nil
}

// readJSON reads a body of one of the media types.
func readJSON(c echo.Context, mediaTypes ...string) ([]byte, error) {
	h := c.Request().Header
	mediaType, params, err := mime.ParseMediaType(h.Get(echo.HeaderContentType))
	if err != nil || !slices.Contains(mediaTypes, mediaType) {
		return nil, tandem.Errorf(tandem.Invalid, codeMediaType, "the Content-Type must be %s", strings.Join(mediaTypes, " or "))
	}
	if cs := params["charset"]; cs != "" && !strings.EqualFold(cs, "utf-8") {
		return nil, tandem.Errorf(tandem.Invalid, codeMediaType, "the charset must be utf-8")
	}
	if e := h.Get(echo.HeaderContentEncoding); e != "" && !strings.EqualFold(e, "identity") {
		return nil, tandem.Errorf(tandem.Invalid, codeMediaType, "the body must not be compressed")
	}
	return readBody(c, maxBody)
}
