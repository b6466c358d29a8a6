package stripetest

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
)

var errNotIdle = errors.New("deliveries are still pending")

func (s *Server) ctlOperations(r *http.Request) (any, error) {
	since, err := queryInt(r, "since")
	if err != nil {
		return nil, err
	}
	out := []Operation{}
	customer := r.URL.Query().Get("customer")
	for _, op := range s.OperationsSince(since) {
		if customer == "" || op.CustomerID == customer {
			out = append(out, op)
		}
	}
	return out, nil
}

func (s *Server) ctlCustomer(r *http.Request) (any, error) {
	c, ok := s.Customer(r.PathValue("id"))
	if !ok {
		return nil, noSuch("customer", r.PathValue("id"))
	}
	return c, nil
}

func (s *Server) ctlCreate(r *http.Request) (any, error) {
	form, err := editForm(r)
	if err != nil {
		return nil, err
	}
	return s.CreateCustomer(form)
}

func (s *Server) ctlEdit(r *http.Request) (any, error) {
	form, err := editForm(r)
	if err != nil {
		return nil, err
	}
	return s.EditCustomer(r.PathValue("id"), form)
}

func (s *Server) ctlDelete(r *http.Request) (any, error) {
	return nil, s.DeleteCustomer(r.PathValue("id"))
}

// editForm reads a customer edit from a form or from a JSON object, which is
// flattened to the same form.
func editForm(r *http.Request) (url.Values, error) {
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			return nil, usage("body: %v", err)
		}
		form, err := url.ParseQuery(string(body))
		if err != nil {
			return nil, usage("body: %v", err)
		}
		return form, nil
	}
	var object map[string]any
	if err := decode(r, &object); err != nil {
		return nil, err
	}
	form := url.Values{}
	for name, v := range object {
		if err := flatten(form, name, v); err != nil {
			return nil, err
		}
	}
	return form, nil
}

func flatten(form url.Values, name string, v any) error {
	switch v := v.(type) {
	case nil:
		form.Set(name, "")
	case string:
		form.Set(name, v)
	case bool:
		form.Set(name, fmt.Sprint(v))
	case float64:
		form.Set(name, fmt.Sprintf("%.0f", v))
		if v != float64(int64(v)) {
			return usage("%s: must be a whole number", name)
		}
	case map[string]any:
		for sub, x := range v {
			if err := flatten(form, bracket(name, sub), x); err != nil {
				return err
			}
		}
	case []any:
		for i, x := range v {
			if err := flatten(form, fmt.Sprintf("%s[%d]", name, i), x); err != nil {
				return err
			}
		}
		if len(v) == 0 {
			form.Set(name, "")
		}
	}
	return nil
}

func (s *Server) ctlEmit(r *http.Request) (any, error) {
	var in struct {
		Type   string          `json:"type"`
		Object json.RawMessage `json:"object"`
	}
	if err := decode(r, &in); err != nil {
		return nil, err
	}
	if in.Type == "" || in.Object == nil {
		return nil, usage("type and object: both are needed")
	}
	return s.Emit(in.Type, in.Object)
}

func (s *Server) ctlRedeliver(r *http.Request) (any, error) {
	return nil, s.Redeliver(r.PathValue("id"))
}

func (s *Server) ctlDeliveries(r *http.Request) (any, error) {
	if id := r.URL.Query().Get("event"); id != "" {
		return s.Deliveries(id), nil
	}
	return s.Deliveries(), nil
}
