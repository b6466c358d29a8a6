package db_test

import (
	"encoding/binary"
	"io"
	"net"
	"net/url"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/tandem-sync/tandem"
	"github.com/tandem-sync/tandem/db"
	"github.com/tandem-sync/tandem/db/dbtest"
)

// proxy stands between a store and Postgres and reads what the store says: it counts statements and can break the
// connection at one of them.
type proxy struct {
	server string
	direct string // the database's own address

	mu         sync.Mutex
	statements []string
	cut        func(statement string) cut
}

// cut says what happens to the connection at a statement.
type cut int

const (
	pass    cut = iota
	unsent      // broken before the server has it
	unheard     // broken after the server carried it out, before the client hears of it
)

// throughProxy is setup with a proxy in between.
func throughProxy(t *testing.T) (*bundle, *proxy) {
	t.Helper()
	p, address := newProxy(t)
	return &bundle{Store: openAt(t, address, dbtest.Policy), t: t, ctx: t.Context()}, p
}

// openAt is a store on a database that is there already.
func openAt(t *testing.T, address string, policy tandem.Policy) *db.Store {
	t.Helper()
	store, err := db.Open(t.Context(), db.Config{URL: address, Policy: policy, Providers: []string{"stripe"}})
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, store.Close()) })
	return store
}

// newProxy stands before a fresh database; the address is the way through it.
func newProxy(t *testing.T) (p *proxy, address string) {
	t.Helper()
	direct := dbtest.NewURL(t)
	u, err := url.Parse(direct)
	require.NoError(t, err)
	p = &proxy{server: u.Host, direct: direct}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var open sync.WaitGroup
	open.Go(func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			open.Go(func() { p.serve(client) })
		}
	})
	u.Host = listener.Addr().String()
	t.Cleanup(func() {
		require.NoError(t, listener.Close())
		open.Wait()
	})
	return p, u.String()
}

func (p *proxy) serve(client net.Conn) {
	server, err := net.Dial("tcp", p.server)
	if err != nil {
		_ = client.Close()
		return
	}
	var mute sync.Mutex // held: the client hears nothing any more
	var back sync.WaitGroup
	back.Go(func() {
		defer func() { _ = client.Close() }()
		buf := make([]byte, 64<<10)
		for {
			n, err := server.Read(buf)
			if n > 0 {
				mute.Lock()
				_, writeErr := client.Write(buf[:n])
				mute.Unlock()
				if writeErr != nil {
					return
				}
			}
			if err != nil {
				return
			}
		}
	})
	p.forward(client, server, &mute)
	_ = server.Close()
	back.Wait()
}

// forward passes the client's messages on, one by one.
func (p *proxy) forward(client, server net.Conn, mute *sync.Mutex) {
	first, prepared := true, map[string]string{}
	for {
		header := make([]byte, 5)
		if first { // the startup message has no type
			header = header[:4]
		}
		if _, err := io.ReadFull(client, header); err != nil {
			return
		}
		body := make([]byte, binary.BigEndian.Uint32(header[len(header)-4:])-4)
		if _, err := io.ReadFull(client, body); err != nil {
			return
		}
		what := pass
		if !first {
			if text := statement(header[0], body, prepared); text != "" {
				what = p.hear(text)
			}
		}
		first = false
		if what == unsent {
			_ = client.Close()
			return
		}
		if what == unheard {
			mute.Lock() // the answer is not passed on
		}
		_, err := server.Write(slices.Concat(header, body))
		if what == unheard {
			// Terminate is read after the statement is done, so the server has carried it out when it hangs up.
			_, _ = server.Write([]byte{'X', 0, 0, 0, 4})
			_, _ = io.Copy(io.Discard, server)
			_ = client.Close() // only now: whoever asks next finds it carried out
			mute.Unlock()
			return
		}
		if err != nil {
			return
		}
	}
}

// statement is the text of what a message carries out. One that is prepared is carried out when it is bound.
func statement(kind byte, body []byte, prepared map[string]string) string {
	first, rest, _ := strings.Cut(string(body), "\x00")
	second, _, _ := strings.Cut(rest, "\x00")
	switch {
	case kind == 'Q':
		return first
	case kind == 'P' && first == "":
		return second
	case kind == 'P':
		prepared[first] = second
	case kind == 'B':
		return prepared[second]
	}
	return ""
}

func (p *proxy) hear(text string) cut {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements = append(p.statements, strings.Join(strings.Fields(text), " "))
	if p.cut != nil {
		return p.cut(text)
	}
	return pass
}

// during returns the statements that f made.
func (p *proxy) during(f func()) []string {
	p.mu.Lock()
	p.statements = nil
	p.mu.Unlock()
	f()
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.statements
}

// once breaks the connection at the first statement that begins like this, and lets everything else pass.
func (p *proxy) once(prefix string, what cut) {
	done := false
	p.mu.Lock()
	defer p.mu.Unlock()
	p.statements = nil // nobody reads them twice
	p.cut = func(statement string) cut {
		if done || !strings.HasPrefix(strings.TrimSpace(strings.ToUpper(statement)), prefix) {
			return pass
		}
		done = true
		return what
	}
}

// before has somebody else act just before the first statement that says this is passed on.
func (p *proxy) before(phrase string, act func()) {
	done := false
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = func(statement string) cut {
		if !done && strings.Contains(statement, phrase) {
			done = true
			act()
		}
		return pass
	}
}
