package stripe

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
)

func TestSnapshot(t *testing.T) {
	t.Parallel()
	none := map[string]string{}
	all := []string{"name", "email", "phone", "address", "metadata"}
	rows := map[string]struct {
		raw    string
		fields tandem.Fields
		absent []string
	}{
		"null is empty": {`{"name":null,"email":null,"phone":null,"address":null,"metadata":null}`,
			tandem.Fields{Metadata: none, Reserved: none}, nil},
		"blank is empty": {`{"name":"","email":"","phone":"","address":{"line1":"","line2":null},"metadata":{}}`,
			tandem.Fields{Metadata: none, Reserved: none}, nil},
		"missing is unknown":       {`{}`, tandem.Fields{}, all},
		"odd shapes are unknown":   {`{"name":1,"email":{},"phone":[],"address":"x","metadata":{"a":{"b":1}}}`, tandem.Fields{}, all},
		"names are case sensitive": {`{"Name":"Ada","EMAIL":"x","Phone":"1","Address":null,"Metadata":{}}`, tandem.Fields{}, all},
		"address": {`{"name":"Ada","email":"a@example.org","phone":"1","metadata":{"a":"b"},
			"address":{"line1":"1","line2":"2","city":"3","state":"4","postal_code":"5","country":"6","more":7}}`,
			tandem.Fields{Name: "Ada", Email: "a@example.org", Phone: "1", Metadata: map[string]string{"a": "b"}, Reserved: none,
				Address: tandem.Address{Line1: "1", Line2: "2", City: "3", State: "4", PostalCode: "5", Country: "6"}}, nil},
		"reserved keys are split off": {`{"name":"","email":"","phone":"","address":null,
			"metadata":{"plan":"pro","flexprice_customer_id":"cust_1","flexprice_environment":"prod","external_id":"e","empty":"","null":null}}`,
			tandem.Fields{Metadata: map[string]string{"plan": "pro"}, Reserved: map[string]string{
				"flexprice_customer_id": "cust_1", "flexprice_environment": "prod", "external_id": "e"}}, nil},
	}
	p := setup(t, answering(200, ""))
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			obj, ok := readObject([]byte(r.raw))
			require.True(t, ok)
			s := p.snapshot(obj, "cus_1")
			require.Equal(t, r.fields, s.Fields)
			require.Equal(t, r.absent, s.Absent)
		})
	}
}

func TestFetchOfADeletedCustomer(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(200, `{"id":"cus_1","object":"customer","deleted":true}`))
	for _, call := range []func() (tandem.RemoteState, error){
		func() (tandem.RemoteState, error) { return p.Fetch(t.Context(), "cus_1") },
		func() (tandem.RemoteState, error) { return p.Delete(t.Context(), "cus_1") },
	} {
		s, err := call()
		require.NoError(t, err)
		require.True(t, s.Deleted)
		require.Equal(t, "cus_1", s.RemoteID)
		require.Len(t, s.Absent, 5, "a stub knows nothing of the fields")
		require.Nil(t, s.Fields.Reserved)
	}
}

func TestDeleteOfAMissingCustomer(t *testing.T) {
	t.Parallel()
	p := setup(t, answering(http.StatusNotFound, stripeError("invalid_request_error", "resource_missing", "id", "m"), "Request-Id", "req_4"))
	s, err := p.Delete(t.Context(), "cus_1")
	require.NoError(t, err)
	require.True(t, s.Deleted)
	require.Equal(t, "cus_1", s.RemoteID)
	require.Equal(t, "req_4", s.RequestID)
	require.False(t, s.SeenTo.IsZero())
}

func TestList(t *testing.T) {
	t.Parallel()
	rows := map[string]struct {
		body  string
		class tandem.Class
		ids   []string
		next  string
	}{
		"empty":                  {`{"object":"list","data":[],"has_more":false}`, "", nil, ""},
		"last":                   {`{"object":"list","data":[{"id":"cus_2","object":"customer"},{"id":"cus_1","object":"customer"}],"has_more":false}`, "", []string{"cus_2", "cus_1"}, ""},
		"more":                   {`{"object":"list","data":[{"id":"cus_2","object":"customer"},{"id":"cus_1","object":"customer"}],"has_more":true}`, "", []string{"cus_2", "cus_1"}, "cus_1"},
		"no data":                {`{"object":"list","has_more":false}`, tandem.Transient, nil, ""},
		"a customer without id":  {`{"object":"list","data":[{"object":"customer"}]}`, tandem.Transient, nil, ""},
		"data of an odd shape":   {`{"object":"list","data":{}}`, tandem.Transient, nil, ""},
		"a page that is no list": {page, tandem.Transient, nil, ""},
	}
	for name, r := range rows {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := setup(t, answering(200, r.body)).List(t.Context(), tandem.ListQuery{})
			if r.class != "" {
				require.Equal(t, r.class, tandem.ClassOf(err))
				return
			}
			require.NoError(t, err)
			var ids []string
			for _, s := range got.Items {
				require.Equal(t, tandem.FromList, s.Source)
				ids = append(ids, s.RemoteID)
			}
			require.Equal(t, r.ids, ids)
			require.Equal(t, r.next, got.Next)
		})
	}
}

func TestListWithAForgottenCursor(t *testing.T) {
	t.Parallel()
	for _, status := range []int{400, 404} {
		p := setup(t, answering(status, stripeError("invalid_request_error", "resource_missing", "starting_after", "m")))
		_, ofList := p.List(t.Context(), tandem.ListQuery{Cursor: "cus_x"})
		_, ofEvents := p.Events(t.Context(), tandem.EventsQuery{Cursor: "evt_x"})
		for _, err := range []error{ofList, ofEvents} {
			require.Equal(t, tandem.Invalid, tandem.ClassOf(err))
			require.Equal(t, tandem.CodeCursorGone, tandem.CodeOf(err))
			require.Equal(t, "starting_after", asError(t, err).Param)
		}
	}
	p := setup(t, answering(400, stripeError("invalid_request_error", "resource_missing", "test_clock", "m")))
	_, err := p.List(t.Context(), tandem.ListQuery{Cursor: "cus_x"})
	require.Equal(t, "resource_missing", tandem.CodeOf(err), "something else that is missing is no matter of cursors")
}
