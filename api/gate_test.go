package api_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

// anybody has no external id that another could have.
const anybody = `{"name":"Jenny Rosen"}`

// held is a starter whose changes take until they are let go.
type held struct {
	*fakeStarter
	begun chan string
	let   chan struct{}
}

func (h *held) Change(ctx context.Context, ch tandem.Change) (tandem.Customer, error) {
	h.begun <- ch.CustomerID
	<-h.let
	return h.fakeStarter.Change(ctx, ch)
}

func TestTooManyChangesAtOnceAreRefusedBeforeTheyBegin(t *testing.T) {
	t.Parallel()
	h := &held{begun: make(chan string, 100), let: make(chan struct{})}
	f := setup(t, func(d *api.Deps) {
		h.fakeStarter = d.Starter.(*fakeStarter)
		d.Starter, d.ChangesAtOnce = h, 2
	})
	var answers [2]response
	var callers sync.WaitGroup
	for i := range answers {
		callers.Go(func() { answers[i] = f.call(t, http.MethodPost, "/v1/customers", anybody) })
	}
	<-h.begun
	<-h.begun

	f.existing()
	for _, refused := range []struct{ method, path, body string }{
		{http.MethodPost, "/v1/customers", anybody},
		{http.MethodPatch, "/v1/customers/" + idA, `{"name":"Jen"}`},
		{http.MethodDelete, "/v1/customers/" + idA, ""},
		{http.MethodPost, "/v1/customers/" + idA + "/sync", `{"action":"sync"}`},
		{http.MethodPost, "/v1/customers/" + idA + "/sync", `{"action":"retry"}`},
	} {
		r := f.call(t, refused.method, refused.path, refused.body)
		p := r.problem(t, http.StatusServiceUnavailable, "overloaded")
		assert.Contains(t, p.Detail, "nothing was started")
		assert.NotEmpty(t, r.header.Get("Retry-After"))
	}
	require.Zero(t, f.starter.started(), "nothing of it was begun")
	require.Equal(t, http.StatusOK, f.call(t, http.MethodGet, "/v1/customers/"+idA, "").status, "reads are answered")
	_, metrics := f.admin(t, "/metrics")
	assert.Contains(t, metrics, `tandem_api_changes_refused_total{why="overloaded"} 5`)
	assert.NotContains(t, f.logs.String(), `"level":"ERROR"`, "a crowd is no failure of ours")

	close(h.let)
	callers.Wait()
	for _, a := range answers {
		assert.Equal(t, http.StatusCreated, a.status)
	}
	assert.Equal(t, http.StatusCreated, f.call(t, http.MethodPost, "/v1/customers", anybody).status, "there is room again")
}

func TestWaitingForASyncIsNoChangeUnderWay(t *testing.T) {
	t.Parallel()
	waits, let := make(chan struct{}, 1), make(chan struct{})
	f := setup(t, func(d *api.Deps) { d.ChangesAtOnce = 1 })
	f.starter.settle = func(context.Context, string) error { waits <- struct{}{}; <-let; return nil }
	var caller sync.WaitGroup
	caller.Go(func() { f.call(t, http.MethodPost, "/v1/customers?wait=30s", anybody) })
	<-waits
	assert.Equal(t, http.StatusCreated, f.call(t, http.MethodPost, "/v1/customers", anybody).status)
	close(let)
	caller.Wait()
}

func TestChangesAreRefusedAtOnceWhileTheWorkflowServiceIsAway(t *testing.T) {
	t.Parallel()
	var away error
	f := setup(t, func(d *api.Deps) { d.Reachable = func(context.Context) error { return away } })
	f.existing()
	away = errors.New("no connection")
	r := f.call(t, http.MethodPost, "/v1/customers", anybody)
	p := r.problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
	assert.Contains(t, p.Detail, "nothing was started")
	assert.NotEmpty(t, r.header.Get("Retry-After"))
	f.call(t, http.MethodPost, "/v1/customers/"+idA+"/sync", `{"action":"sync"}`).problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
	assert.Zero(t, f.starter.started())
	assert.Equal(t, http.StatusOK, f.deliver(t, updated, 0).status, "events are taken in")
	away = nil
	assert.Equal(t, http.StatusCreated, f.call(t, http.MethodPost, "/v1/customers", anybody).status)
	_, metrics := f.admin(t, "/metrics")
	assert.Contains(t, metrics, fmt.Sprintf("tandem_api_changes_refused_total{why=%q} 2", "away"))
}
