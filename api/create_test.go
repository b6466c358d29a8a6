package api_test

import (
	"fmt"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/api"
)

const jenny = `{"external_id":"acct-1042","name":" Jenny Rosen ","email":"jenny@example.com","phone":"+14155550100",
	"address_line1":"510 Townsend St","address_city":"San Francisco","address_country":"us","metadata":{"plan":"pro","empty":""}}`

func TestCreate(t *testing.T) {
	t.Parallel()

	t.Run("stores_what_was_written", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		r := f.call(t, http.MethodPost, "/v1/customers", jenny)

		require.Equal(t, http.StatusCreated, r.status, string(r.body))
		got := r.json(t)
		assert.Regexp(t, `^cust_[0-9A-HJKMNP-TV-Z]{26}$`, got["id"])
		assert.Equal(t, "/v1/customers/"+got["id"].(string), r.header.Get("Location"))
		assert.Equal(t, `"1"`, r.header.Get("ETag"))
		assert.Equal(t, " Jenny Rosen ", got["name"])
		assert.Equal(t, "US", got["address_country"])
		assert.Equal(t, object{"plan": "pro"}, got["metadata"])
		assert.NotContains(t, got, "address_line2")
		assert.NotContains(t, got, "provider_info")

		require.Len(t, f.starter.changes, 1)
		ch := f.starter.changes[0]
		assert.Equal(t, tandem.ChangeCreate, ch.Kind)
		assert.Len(t, ch.ID, 26)
		assert.Empty(t, ch.IdempotencyKey)
		assert.Zero(t, f.store.written())
	})

	t.Run("needs_no_field", func(t *testing.T) {
		t.Parallel()
		r := setup(t).call(t, http.MethodPost, "/v1/customers", `{"name":null,"external_id":"","metadata":null}`)
		require.Equal(t, http.StatusCreated, r.status)
		assert.Equal(t, object{}, r.json(t)["metadata"])
	})

	t.Run("takes_the_given_ids", func(t *testing.T) {
		t.Parallel()
		f := setup(t, func(d *api.Deps) { d.NewID = func() string { return idA } })
		assert.Equal(t, idA, f.call(t, http.MethodPost, "/v1/customers", `{}`).json(t)["id"])
	})

	t.Run("refuses_an_external_id_in_use", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.put(tandem.Customer{ID: idA, ExternalID: "acct-1042"})
		p := f.call(t, http.MethodPost, "/v1/customers", jenny).problem(t, http.StatusConflict, tandem.CodeExternalIDTaken)
		assert.Equal(t, []string{"external_id external_id_taken"}, p.fields())
		assert.Zero(t, f.starter.started())
	})

	t.Run("names_the_external_id_when_the_database_refuses_it", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.err = tandem.Errorf(tandem.Conflict, tandem.CodeExternalIDTaken, "taken")
		p := f.call(t, http.MethodPost, "/v1/customers", jenny).problem(t, http.StatusConflict, tandem.CodeExternalIDTaken)
		assert.Equal(t, []string{"external_id external_id_taken"}, p.fields())
	})

	t.Run("does_not_guess_whether_an_external_id_is_free", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.store.err = tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away")
		f.call(t, http.MethodPost, "/v1/customers", jenny).problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
		assert.Zero(t, f.starter.started())
	})

	t.Run("answers_503_while_temporal_is_away", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.err = tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "dial tcp 10.0.0.7:7233")
		r := f.call(t, http.MethodPost, "/v1/customers", `{}`)
		r.problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
		assert.NotContains(t, string(r.body), "10.0.0.7")
		assert.NotEmpty(t, r.header.Get("Retry-After"))
	})
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()

	t.Run("answers_again_with_the_first_answer", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		first := f.call(t, http.MethodPost, "/v1/customers", jenny, "Idempotency-Key", "k 1")
		f.call(t, http.MethodPatch, first.header.Get("Location"), `{"name":"Changed"}`)
		again := f.call(t, http.MethodPost, "/v1/customers", strings.ReplaceAll(jenny, ",", ", "), "Idempotency-Key", "k 1")

		require.Equal(t, http.StatusCreated, again.status)
		assert.Equal(t, "true", again.header.Get("Idempotent-Replayed"))
		assert.Empty(t, first.header.Get("Idempotent-Replayed"))
		assert.JSONEq(t, string(first.body), string(again.body))
		assert.Equal(t, first.header.Get("ETag"), again.header.Get("ETag"))
		require.Len(t, f.starter.changes, 2)
		assert.Equal(t, f.starter.changes[0].IdempotencyKey, f.starter.changes[0].ID)
		assert.NotContains(t, f.starter.changes[0].ID, "k 1")
	})

	t.Run("refuses_another_body", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.call(t, http.MethodPost, "/v1/customers", jenny, "Idempotency-Key", "k")
		p := f.call(t, http.MethodPost, "/v1/customers", `{"name":"Other"}`, "Idempotency-Key", "k").
			problem(t, http.StatusUnprocessableEntity, tandem.CodeIdempotencyReused)
		assert.Equal(t, []string{"Idempotency-Key idempotency_key_reused"}, p.fields())
		assert.Len(t, f.starter.changes, 1)
	})

	t.Run("belongs_to_the_api_key", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		a := f.call(t, http.MethodPost, "/v1/customers", `{}`, "Idempotency-Key", "k").json(t)["id"]
		b := f.call(t, http.MethodPost, "/v1/customers", `{}`, "Idempotency-Key", "k", "Authorization", "Bearer sk_other").json(t)["id"]
		assert.NotEqual(t, a, b)
	})

	t.Run("makes_one_customer_of_many_requests_at_once", func(t *testing.T) {
		t.Parallel()
		h := &held{begun: make(chan string, 20), let: make(chan struct{})}
		f := setup(t, func(d *api.Deps) { h.fakeStarter, d.Starter = d.Starter.(*fakeStarter), h })
		ids := make([]any, 20)
		var made atomic.Int64
		var wg sync.WaitGroup
		for i := range ids {
			wg.Go(func() {
				r := f.call(t, http.MethodPost, "/v1/customers", jenny, "Idempotency-Key", "k")
				ids[i] = r.json(t)["id"]
				if r.header.Get("Idempotent-Replayed") == "" {
					made.Add(1)
				}
			})
		}
		for range ids { // none has an answer before all have asked
			<-h.begun
		}
		close(h.let)
		wg.Wait()
		assert.Equal(t, int64(1), made.Load(), "all but one are told that it is not their customer alone")
		for _, id := range ids {
			assert.Equal(t, ids[0], id)
		}
		assert.Len(t, f.store.customers, 1)
	})

	t.Run("goes_on_after_a_create_that_did_not_answer", func(t *testing.T) {
		t.Parallel()
		f := setup(t)
		f.starter.err = tandem.Errorf(tandem.Transient, tandem.CodeUnavailable, "away")
		f.call(t, http.MethodPost, "/v1/customers", jenny, "Idempotency-Key", "k").problem(t, http.StatusServiceUnavailable, tandem.CodeUnavailable)
		f.starter.err = nil
		require.Equal(t, http.StatusCreated, f.call(t, http.MethodPost, "/v1/customers", jenny, "Idempotency-Key", "k").status)
		assert.Equal(t, f.starter.changes[0], f.starter.changes[1])
	})

	for name, key := range map[string]string{"too_long": strings.Repeat("k", 256), "not_ascii": "schlüssel", "control": "a\tb"} {
		t.Run("refuses_a_key_that_is_"+name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			p := f.call(t, http.MethodPost, "/v1/customers", jenny, "Idempotency-Key", key).problem(t, http.StatusBadRequest, "invalid_parameter")
			assert.Equal(t, []string{"Idempotency-Key invalid"}, p.fields())
			assert.Zero(t, f.starter.started()+f.store.written())
		})
	}
}

// TestBadBodies sends each to create and to update: nothing of it may reach the starter or be written.
func TestBadBodies(t *testing.T) {
	t.Parallel()
	long := func(n int) string { return strings.Repeat("x", n) }
	keys := make([]string, 60)
	for i := range keys {
		keys[i] = fmt.Sprintf(`"k%d":"v"`, i)
	}
	const malformed, invalid = "malformed_request", tandem.CodeInvalidRequest
	for name, tc := range map[string]struct {
		body   string
		code   string
		fields []string
	}{
		"empty_space":         {" ", malformed, []string{}},
		"not_json":            {`{"name":`, malformed, []string{}},
		"trailing_comma":      {`{"name":"a",}`, malformed, []string{}},
		"trailing_garbage":    {`{"name":"a"} {}`, malformed, []string{}},
		"array":               {`[{"name":"a"}]`, malformed, []string{}},
		"null":                {`null`, malformed, []string{}},
		"string":              {`"name"`, malformed, []string{}},
		"unknown_field":       {`{"emial":"a@b.co","naem":"x"}`, malformed, []string{"emial unknown_field", "naem unknown_field"}},
		"long_unknown_field":  {`{"` + long(5000) + `":1}`, malformed, []string{long(100) + "… unknown_field"}},
		"other_case":          {`{"Email":"a@b.co"}`, malformed, []string{"Email unknown_field"}},
		"database_columns":    {`{"deleted_at":"x","provider_entity_id":"cus_1","base":{},"claim":{}}`, malformed, []string{"deleted_at unknown_field", "provider_entity_id unknown_field", "base unknown_field", "claim unknown_field"}},
		"read_only":           {`{"id":"cust_1","version":7,"status":"archived","created_at":"x","updated_at":"x","archived_at":null,"provider_info":{}}`, malformed, []string{"id read_only", "version read_only", "status read_only", "created_at read_only", "updated_at read_only", "archived_at read_only", "provider_info read_only"}},
		"duplicate_field":     {`{"name":"a","name":"b"}`, malformed, []string{"name duplicate"}},
		"duplicate_metadata":  {`{"metadata":{"a":"1","a":"2"}}`, malformed, []string{"metadata.a duplicate"}},
		"wrong_types":         {`{"name":1,"email":true,"phone":[],"external_id":{}}`, malformed, []string{"name wrong_type", "email wrong_type", "phone wrong_type", "external_id wrong_type"}},
		"metadata_wrong_type": {`{"metadata":"x"}`, malformed, []string{"metadata wrong_type"}},
		"metadata_value_type": {`{"metadata":{"n":1,"o":{"deep":"x"}}}`, malformed, []string{"metadata.n wrong_type", "metadata.o wrong_type"}},
		"bad_email":           {`{"email":"not-an-address"}`, invalid, []string{"email invalid"}},
		"email_with_name":     {`{"email":"Jenny <jenny@example.com>"}`, invalid, []string{"email invalid"}},
		"email_with_blank":    {`{"email":" jenny@example.com"}`, invalid, []string{"email invalid"}},
		"email_without_dot":   {`{"email":"jenny@localhost"}`, invalid, []string{"email invalid"}},
		"email_of_a_number":   {`{"email":"jenny@[127.0.0.1]"}`, invalid, []string{"email invalid"}},
		"two_emails":          {`{"email":"a@b.co, c@d.co"}`, invalid, []string{"email invalid"}},
		"long_email":          {`{"email":"` + long(510) + `@b.co"}`, invalid, []string{"email too_long"}},
		"long_external_id":    {`{"external_id":"` + long(256) + `"}`, invalid, []string{"external_id too_long"}},
		"long_for_provider":   {`{"name":"` + long(257) + `","phone":"` + long(21) + `"}`, invalid, []string{"name too_long", "phone too_long"}},
		"many_metadata":       {`{"metadata":{` + strings.Join(keys, ",") + `}}`, invalid, []string{"metadata too_many"}},
		"country":             {`{"address_country":"XX"}`, invalid, []string{"address_country invalid"}},
		"country_name":        {`{"address_country":"Germany"}`, invalid, []string{"address_country invalid"}},
		"reserved_metadata":   {`{"metadata":{"flexprice_customer_id":"x","flexprice_environment":null,"external_id":"","ok":"1"}}`, invalid, []string{"metadata.external_id reserved", "metadata.flexprice_customer_id reserved", "metadata.flexprice_environment reserved"}},
		"empty_metadata_key":  {`{"metadata":{"":"x"}}`, invalid, []string{"metadata invalid"}},
		"nul":                 {`{"name":"a\u0000b","metadata":{"k":"\u0000"}}`, invalid, []string{"name invalid_characters", "metadata.k invalid_characters"}},
		"nul_in_key":          {`{"metadata":{"a\u0000":"x"}}`, invalid, []string{"metadata.a\x00 invalid_characters"}},
		"invalid_utf8":        {"{\"name\":\"a\xffb\"}", invalid, []string{"name invalid_characters"}},
		"lone_surrogate":      {`{"name":"a\ud800b"}`, invalid, []string{"name invalid_characters"}},
		"invalid_utf8_key":    {"{\"metadata\":{\"a\xff\":\"x\"}}", invalid, []string{"metadata.a� invalid_characters"}},
		"all_at_once":         {`{"email":"x","address_country":"ZZ","external_id":"` + long(300) + `","phone":"` + long(30) + `"}`, invalid, []string{"external_id too_long", "email invalid", "address_country invalid", "phone too_long"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.store.put(tandem.Customer{ID: idA})
			status := http.StatusUnprocessableEntity
			if tc.code == malformed {
				status = http.StatusBadRequest
			}
			for _, to := range []string{"POST /v1/customers", "PATCH /v1/customers/" + idA} {
				method, path, _ := strings.Cut(to, " ")
				p := f.call(t, method, path, tc.body, "Idempotency-Key", "k").problem(t, status, tc.code)
				assert.Equal(t, tc.fields, p.fields(), to)
			}
			assert.Zero(t, f.starter.started()+f.store.written())
		})
	}
}

func TestBadRequests(t *testing.T) {
	t.Parallel()
	for name, tc := range map[string]struct {
		query, body string
		header      []string
		status      int
		code        string
	}{
		"no_body":         {"", "", []string{"Content-Type", "application/json"}, http.StatusBadRequest, "malformed_request"},
		"no_content_type": {"", jenny, []string{"Content-Type", ""}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
		"form":            {"", "name=a", []string{"Content-Type", "application/x-www-form-urlencoded"}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
		"merge_patch":     {"", jenny, []string{"Content-Type", "application/merge-patch+json"}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
		"charset":         {"", jenny, []string{"Content-Type", "application/json; charset=latin1"}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
		"compressed":      {"", jenny, []string{"Content-Encoding", "gzip"}, http.StatusUnsupportedMediaType, "unsupported_media_type"},
		"too_large":       {"", `{"name":"` + strings.Repeat("a", 64<<10) + `"}`, nil, http.StatusRequestEntityTooLarge, "body_too_large"},
		"wait_nonsense":   {"?wait=soon", jenny, nil, http.StatusBadRequest, "invalid_parameter"},
		"wait_too_long":   {"?wait=61s", jenny, nil, http.StatusBadRequest, "invalid_parameter"},
		"wait_negative":   {"?wait=-1s", jenny, nil, http.StatusBadRequest, "invalid_parameter"},
		"wait_twice":      {"?wait=1s&wait=2s", jenny, nil, http.StatusBadRequest, "invalid_parameter"},
		"unknown_query":   {"?wiat=1s", jenny, nil, http.StatusBadRequest, "invalid_parameter"},
		"broken_query":    {"?wait=%zz", jenny, nil, http.StatusBadRequest, "invalid_parameter"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f := setup(t)
			f.call(t, http.MethodPost, "/v1/customers"+tc.query, tc.body, tc.header...).problem(t, tc.status, tc.code)
			assert.Zero(t, f.starter.started()+f.store.written())
		})
	}
	t.Run("charset_utf8_is_fine", func(t *testing.T) {
		t.Parallel()
		r := setup(t).call(t, http.MethodPost, "/v1/customers", jenny, "Content-Type", "application/json; charset=UTF-8")
		assert.Equal(t, http.StatusCreated, r.status)
	})
}
