package stripe

import (
	"context"
	"time"

	stripego "github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/form"
	"github.com/tidwall/gjson"

	"github.com/tandem-sync/tandem"
)

// Events implements tandem.Provider. Stripe remembers 30 days. It asks for the three types that tell of a customer
// itself, because customer.* would fill the pages with subscriptions and cards.
func (p *Provider) Events(ctx context.Context, q tandem.EventsQuery) (tandem.EventsPage, error) {
	params, err := eventsParams(q)
	if err != nil {
		return tandem.EventsPage{}, err
	}
	c := &call{op: opEvents, limit: maxPage}
	var page tandem.EventsPage
	err = p.do(ctx, c, func(ctx context.Context) error {
		params.Context = ctx
		query := &form.Values{}
		form.AppendTo(query, params)
		more, err := p.page(c, "/v1/events", query, params.GetParams(), func(item gjson.Result) error {
			e, err := p.listedEvent(item.Raw)
			page.Items = append(page.Items, e)
			return err
		})
		if more {
			page.Next = page.Items[len(page.Items)-1].ID
		}
		_, page.SeenAt = c.seen(time.Now())
		return err
	})
	if err != nil {
		return tandem.EventsPage{}, err
	}
	return page, nil
}

func eventsParams(q tandem.EventsQuery) (*stripego.EventListParams, error) {
	limit, err := pageLimit(q.Limit)
	if err != nil {
		return nil, err
	}
	p := &stripego.EventListParams{Types: stripego.StringSlice([]string{typeCreated, typeUpdated, typeDeleted})}
	p.Limit, p.StartingAfter = &limit, nonEmpty(&q.Cursor)
	if !q.From.IsZero() {
		p.CreatedRange = &stripego.RangeQueryParams{GreaterThanOrEqual: q.From.Unix()}
	}
	return p, nil
}

// listedEvent reads one event of a page. One that cannot be read, yet has an id, is handed on without a state: the ledger
// shows it to a person, and it hides none of the events around it.
func (p *Provider) listedEvent(item string) (tandem.Event, error) {
	body := []byte(item) // a copy: an event must not keep its whole page in memory
	e, err := p.ParseEvent(body)
	if err == nil {
		return e, nil
	}
	o := open(item)
	if !isID(o.text("id")) {
		return tandem.Event{}, errUnreadable
	}
	e = tandem.Event{
		ID: o.text("id"), Created: o.time("created"), APIVersion: o.text("api_version"),
		Livemode: o.flag("livemode", p.livemode), Payload: body,
	}
	if t := o.text("type"); isID(t) {
		e.Type = t
	}
	return e, nil
}
