package cli

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"mime"
	"net/http"
	"net/url"
	"strings"
	"time"
)

const (
	requestTimeout = 30 * time.Second
	reportIdle     = time.Minute // a report may take long, but not stand still
	maxAnswer      = 16 << 20
	maxProblem     = 1 << 20
)

// client asks the API. The key leaves it in one header only.
type client struct {
	base *url.URL
	key  string
	http *http.Client
}

func newClient(base *url.URL, key string) *client {
	// A redirect would take the key elsewhere, or turn a POST into a GET: the API has none.
	refuse := func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &client{base: base, key: key, http: &http.Client{CheckRedirect: refuse}}
}

// problem is what the API says of a request that it refused, RFC 9457.
type problem struct {
	Status    int
	Title     string
	Detail    string
	Code      string
	RequestID string `json:"request_id"`
	Errors    []struct{ Field, Code, Message string }
}

func (p *problem) Error() string {
	var b strings.Builder
	b.WriteString(clean(p.Detail))
	if p.Detail == "" {
		b.WriteString(clean(p.Title))
	}
	fmt.Fprintf(&b, " (%d", p.Status)
	for _, part := range []string{p.Code, p.RequestID} {
		if part != "" {
			b.WriteString(", " + clean(part))
		}
	}
	b.WriteString(")")
	for _, e := range p.Errors {
		fmt.Fprintf(&b, "\n  %s: %s (%s)", clean(e.Field), clean(e.Message), clean(e.Code))
	}
	return b.String()
}

// passing reports whether the same request may be answered a little later.
func passing(err error) bool {
	if p, ok := errors.AsType[*problem](err); ok {
		return p.Status >= http.StatusInternalServerError || p.Status == http.StatusTooManyRequests
	}
	_, ok := errors.AsType[*unreachable](err)
	return ok || errors.Is(err, io.ErrUnexpectedEOF)
}

func (c *client) get(ctx context.Context, path string, q url.Values, out any) (json.RawMessage, error) {
	return c.do(ctx, http.MethodGet, path, q, nil, out)
}

func (c *client) post(ctx context.Context, path string, body, out any) (json.RawMessage, error) {
	return c.do(ctx, http.MethodPost, path, nil, body, out)
}

// do makes one request, and returns the answer as it came as well.
func (c *client) do(ctx context.Context, method, path string, q url.Values, body, out any) (json.RawMessage, error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	resp, err := c.send(ctx, method, path, q, body, "application/json")
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	raw, err := io.ReadAll(io.LimitReader(resp.Body, maxAnswer+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("read the answer: %w", err)
	case len(raw) > maxAnswer:
		return nil, fmt.Errorf("read the answer: it has more than %d bytes", maxAnswer)
	case out == nil || len(raw) == 0:
		return raw, nil
	}
	if err := json.Unmarshal(raw, out); err != nil {
		return nil, fmt.Errorf("read the answer: %w; is %s the address of a Tandem?", err, c.base)
	}
	return raw, nil
}

// send returns an answer that is a success; what is not is an error.
func (c *client) send(ctx context.Context, method, path string, q url.Values, body any, accept string) (*http.Response, error) {
	var content io.Reader
	if body != nil {
		b, err := json.Marshal(body)
		if err != nil {
			return nil, fmt.Errorf("write the request: %w", err)
		}
		content = bytes.NewReader(b)
	}
	to := strings.TrimSuffix(c.base.String(), "/") + path
	if len(q) > 0 {
		to += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, to, content)
	if err != nil {
		return nil, fmt.Errorf("write the request: %w", err)
	}
	req.Header.Set("Authorization", "Bearer "+c.key)
	req.Header.Set("Accept", accept)
	req.Header.Set("User-Agent", "tandem-cli")
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := c.http.Do(req)
	if err != nil {
		return nil, &unreachable{c.base, errors.Is(ctx.Err(), context.DeadlineExceeded), err}
	}
	if resp.StatusCode >= http.StatusMultipleChoices {
		defer func() { _ = resp.Body.Close() }()
		return nil, readProblem(resp)
	}
	return resp, nil
}

// unreachable is a request that has no answer.
type unreachable struct {
	base *url.URL
	late bool
	err  error
}

func (u *unreachable) Error() string {
	if u.late {
		return fmt.Sprintf("no answer from %s within %s; what was asked for may still be carried out", u.base, requestTimeout)
	}
	err := u.err
	if named, ok := errors.AsType[*url.Error](err); ok {
		err = named.Err // the rest is the address once more
	}
	return fmt.Sprintf("no answer from %s; is Tandem running there? See --url and %s: %v", u.base, EnvURL, err)
}

func (u *unreachable) Unwrap() error { return u.err }

// readProblem reads a refusal, which comes from something before Tandem if it is no problem of ours.
func readProblem(resp *http.Response) error {
	p := &problem{Title: http.StatusText(resp.StatusCode)}
	mediaType, _, _ := mime.ParseMediaType(resp.Header.Get("Content-Type"))
	if mediaType == "application/problem+json" {
		if raw, err := io.ReadAll(io.LimitReader(resp.Body, maxProblem)); err == nil {
			_ = json.Unmarshal(raw, p) // the status says enough
		}
	}
	p.Status = resp.StatusCode
	return p
}

// stream copies an answer of any length. It may take as long as it goes on.
func (c *client) stream(ctx context.Context, path string, q url.Values, accept string, to io.Writer) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	idle := time.AfterFunc(reportIdle, cancel)
	defer idle.Stop()
	resp, err := c.send(ctx, http.MethodGet, path, q, nil, accept)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	if _, err := io.Copy(to, alive{resp.Body, idle}); err != nil {
		return fmt.Errorf("the report broke off and is not whole: %w", err)
	}
	return nil
}

// alive puts off a timer with every read.
type alive struct {
	io.Reader
	idle *time.Timer
}

func (a alive) Read(p []byte) (int, error) {
	n, err := a.Reader.Read(p)
	a.idle.Reset(reportIdle)
	return n, err //nolint:wrapcheck // a reader's error is a word, like EOF
}
