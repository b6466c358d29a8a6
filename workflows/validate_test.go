package workflows_test

import (
	"maps"
	"testing"

	"github.com/stretchr/testify/require"
	"go.temporal.io/sdk/temporal"
	"go.temporal.io/sdk/testsuite"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/workflows"
)

func TestValidators(t *testing.T) {
	t.Parallel()
	link := linkOf("lnk_1")
	unlink := tandem.Unlink{ID: "unl_1", CustomerID: customerID, MappingID: "eim_1"}
	for name, nonsense := range map[string]struct {
		update, field string
		arg           any
	}{
		"link for another customer":     {workflows.UpdateLink, "customer_id", with(link, func(l *tandem.Link) { l.CustomerID = "cust_2" })},
		"link without an id":            {workflows.UpdateLink, "id", with(link, func(l *tandem.Link) { l.ID = "" })},
		"link to nobody":                {workflows.UpdateLink, "remote_id", with(link, func(l *tandem.Link) { l.RemoteID = "" })},
		"link to no provider":           {workflows.UpdateLink, "provider", with(link, func(l *tandem.Link) { l.Provider = "" })},
		"link that nobody wins":         {workflows.UpdateLink, "winner", with(link, func(l *tandem.Link) { l.Winner = "hold" })},
		"unlink for another customer":   {workflows.UpdateUnlink, "customer_id", with(unlink, func(u *tandem.Unlink) { u.CustomerID = "cust_2" })},
		"unlink of nothing":             {workflows.UpdateUnlink, "mapping_id", with(unlink, func(u *tandem.Unlink) { u.MappingID = "" })},
		"resolve for another customer":  {workflows.UpdateResolve, "customer_id", with(resolveOf("res_1"), func(r *tandem.Resolve) { r.CustomerID = "cust_2" })},
		"resolve of no provider":        {workflows.UpdateResolve, "provider", with(resolveOf("res_1"), func(r *tandem.Resolve) { r.Provider = "" })},
		"resolve of nothing":            {workflows.UpdateResolve, "winners", with(resolveOf("res_1"), func(r *tandem.Resolve) { r.Winners = nil })},
		"resolve that nobody wins":      {workflows.UpdateResolve, "winner.email", with(resolveOf("res_1"), func(r *tandem.Resolve) { r.Winners = map[string]tandem.Winner{"email": "hold"} })},
		"change for another customer":   {workflows.UpdateChange, "customer_id", tandem.Change{ID: "chg_1", Kind: tandem.ChangeUpdate, CustomerID: "cust_2"}},
		"change without saying of what": {workflows.UpdateChange, "kind", tandem.Change{ID: "chg_1", CustomerID: customerID}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			l := newLinker(t)
			var refused error
			l.at(0, func() {
				l.env.UpdateWorkflow(nonsense.update, "upd_1", &testsuite.TestUpdateCallback{
					OnAccept:   func() { require.Fail(t, "the update was accepted") },
					OnReject:   func(err error) { refused = err },
					OnComplete: func(any, error) {},
				}, nonsense.arg)
			})
			require.NoError(t, l.run())
			require.Empty(t, l.did)
			var app *temporal.ApplicationError
			require.ErrorAs(t, refused, &app)
			var last tandem.LastError
			var fields []tandem.FieldError
			require.NoError(t, app.Details(&last, &fields))
			require.Equal(t, tandem.Invalid, last.Class)
			require.Equal(t, nonsense.field, fields[0].Field)
		})
	}
}

func with[T any](v T, change func(*T)) T {
	if r, ok := any(&v).(*tandem.Resolve); ok {
		r.Winners = maps.Clone(r.Winners)
	}
	change(&v)
	return v
}
