package stripe

import (
	"context"
	"net/http"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
	"github.com/tidwall/gjson"

	"github.com/tandem-sync/tandem"
)

const customersPath = "/v1/customers"

// Create implements tandem.Provider. Empty values of the body are left out: there is nothing to clear yet, and Stripe
// refuses some of them.
func (p *Provider) Create(ctx context.Context, key string, body tandem.Patch) (tandem.RemoteState, error) {
	params, err := createParams(body)
	if err == nil {
		err = checkKey(key)
	}
	if err != nil {
		return tandem.RemoteState{}, err
	}
	return p.write(ctx, opCreate, "", key, params)
}

// Update implements tandem.Provider. Gone is no proof of a deletion: the customer may belong to another account or
// mode. Fetch tells these apart.
func (p *Provider) Update(ctx context.Context, remoteID, key string, body tandem.Patch) (tandem.RemoteState, error) {
	params, err := updateParams(body)
	if err == nil {
		err = checkKey(key)
	}
	if err == nil {
		err = checkID(remoteID)
	}
	if err != nil {
		return tandem.RemoteState{}, err
	}
	return p.write(ctx, opUpdate, remoteID, key, params)
}

func (p *Provider) write(ctx context.Context, o op, id, key string, params *stripego.CustomerParams) (tandem.RemoteState, error) {
	params.IdempotencyKey = &key
	path := customersPath
	if id != "" {
		path = stripego.FormatURLPath(customersPath+"/%s", id)
	}
	return p.one(ctx, &call{op: o, key: key}, http.MethodPost, path, id, params)
}

// Fetch implements tandem.Provider. Stripe answers for a deleted customer with 200 and a stub that says so.
func (p *Provider) Fetch(ctx context.Context, remoteID string) (tandem.RemoteState, error) {
	if err := checkID(remoteID); err != nil {
		return tandem.RemoteState{}, err
	}
	path := stripego.FormatURLPath(customersPath+"/%s", remoteID)
	return p.one(ctx, &call{op: opFetch}, http.MethodGet, path, remoteID, &stripego.CustomerParams{})
}

// Delete implements tandem.Provider. Stripe answers a second delete with 404, which is as good as success.
func (p *Provider) Delete(ctx context.Context, remoteID string) (tandem.RemoteState, error) {
	if err := checkID(remoteID); err != nil {
		return tandem.RemoteState{}, err
	}
	path := stripego.FormatURLPath(customersPath+"/%s", remoteID)
	return p.one(ctx, &call{op: opDelete}, http.MethodDelete, path, remoteID, &stripego.CustomerParams{})
}

// one makes a call that is answered with one customer, the one called id unless that is empty.
func (p *Provider) one(
	ctx context.Context, c *call, method, path, id string, params *stripego.CustomerParams,
) (tandem.RemoteState, error) {
	c.limit = maxAnswer
	var state tandem.RemoteState
	err := p.do(ctx, c, func(ctx context.Context) error {
		params.Context = ctx
		var a answer
		err := c.check(p.backend.Call(method, path, p.key, params, &a))
		if c.op == opDelete && isMissing(c, err) {
			state = p.stateOf(c, object{}, id)
			state.Deleted = true
			return nil
		}
		if err == nil {
			state, err = p.readCustomer(c, a.LastResponse.RawJSON, id)
		}
		return err
	})
	return state, err
}

// List implements tandem.Provider.
func (p *Provider) List(ctx context.Context, q tandem.ListQuery) (tandem.Page, error) {
	params, err := listParams(q)
	if err != nil {
		return tandem.Page{}, err
	}
	c := &call{op: opList, limit: maxPage}
	var page tandem.Page
	err = p.do(ctx, c, func(ctx context.Context) error {
		params.Context = ctx
		one := object{} // refilled for each, as a map for each would be a fifth of what the page costs
		query := &form.Values{}
		form.AppendTo(query, params)
		more, err := p.page(c, customersPath, query, params.GetParams(), func(item gjson.Result) error {
			clear(one)
			one.fill(item)
			state, err := p.customerOf(c, one, "")
			page.Items = append(page.Items, state)
			return err
		})
		if more {
			page.Next = page.Items[len(page.Items)-1].RemoteID
		}
		return err
	})
	if err != nil {
		return tandem.Page{}, err
	}
	return page, nil
}

// answer takes any JSON object; what it says is read from LastResponse.RawJSON.
type answer struct{ stripego.APIResource }

func (a *answer) UnmarshalJSON([]byte) error { return nil }

// do gives f the deadline and the record of one call, and turns what comes of it into a tandem.Error.
func (p *Provider) do(ctx context.Context, c *call, f func(context.Context) error) error {
	c.started = time.Now()
	if err := ctx.Err(); err != nil { // too late to begin: nothing was sent, whatever the kind of call
		c.dialling.Store(true)
		return p.finish(ctx, c, err)
	}
	callCtx, cancel := context.WithTimeout(ctx, p.timeout)
	defer cancel()
	return p.finish(ctx, c, f(withCall(callCtx, c)))
}

// readCustomer is customerOf for a whole answer.
func (p *Provider) readCustomer(c *call, raw []byte, id string) (tandem.RemoteState, error) {
	obj, _ := readObject(raw)
	return p.customerOf(c, obj, id)
}

// customerOf insists on a customer, and on the one that was asked for: anything else is an answer not understood.
func (p *Provider) customerOf(c *call, obj object, id string) (tandem.RemoteState, error) {
	got := obj.text("id")
	if got == "" || obj.text("object") != "customer" || id != "" && got != id {
		return tandem.RemoteState{}, errUnreadable
	}
	return p.stateOf(c, obj, got), nil
}
