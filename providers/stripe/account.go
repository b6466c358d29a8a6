package stripe

import (
	"context"
	"net/http"

	stripego "github.com/stripe/stripe-go/v76"
)

// Account implements tandem.Provider. A restricted key may lack the permission to ask; then the answer is an Auth error.
func (p *Provider) Account(ctx context.Context) (string, error) {
	c := &call{op: opAccount, limit: maxAnswer}
	var id string
	err := p.do(ctx, c, func(ctx context.Context) error {
		params := &stripego.AccountParams{}
		params.Context = ctx
		var a answer
		err := c.check(p.backend.Call(http.MethodGet, "/v1/account", p.key, params, &a))
		if err != nil {
			return err
		}
		obj, ok := readObject(a.LastResponse.RawJSON)
		if id = obj.text("id"); !ok || id == "" || obj.text("object") != "account" {
			return errUnreadable
		}
		return nil
	})
	return id, err
}
